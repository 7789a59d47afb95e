"""A network whose weights are never made behaves as one whose weights are: statistic by statistic, over seeds."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from benchmarks.permutations import p_value
from torch import nn

import fathometer.implicit.matrix as matrix_module
from fathometer.contract import loss_of
from fathometer.diagnosis.full_size.unmade import unmade_network
from fathometer.implicit import ImplicitWeight, Session, implicit_parameter, implicit_weights, replay
from fathometer.implicit.gaussian import draw_product
from fathometer.instruments import find_depth_points, sound, trace_of
from fathometer.networks import build
from fathometer.spec import Mlp, Spec, Transformer

SEEDS, ALPHA = 40, 0.01
SMALL = {"depth": 2, "width": 32, "vocabulary": 40, "context": 8, "heads": 4}
NETWORKS: dict[str, Spec] = {
    "GPT, tied": Transformer(**SMALL),
    "Llama": Transformer(
        **SMALL, kv_heads=2, norm="rms", positions="rope", gated=True, activation="silu", tied=False, bias=False
    ),
    "post-norm, QK-norm": Transformer(**SMALL, residual="post-norm", qk_norm=True, init="lecun"),
    "plain perceptron": Mlp(depth=5, width=24, inputs=16, outputs=4),
    "uniform weights": Mlp(depth=5, width=24, inputs=16, outputs=4, residual="pre-norm", init="pytorch"),
}
FAST = ("GPT, tied", "plain perceptron")
DEEP = Transformer(depth=24, width=512, vocabulary=2000, context=16)
Statistics = dict[str, list[float]]


def batch_of(spec: Spec) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one batch, the same for every seed: only the weights differ."""
    generator = torch.Generator().manual_seed(7)
    if isinstance(spec, Transformer):
        tokens = torch.randint(0, spec.vocabulary, (4, 5), generator=generator)
        return tokens[:, :-1], tokens[:, 1:]
    return torch.randn(16, spec.inputs, generator=generator), torch.randint(0, spec.outputs, (16,), generator=generator)


def measure(model: nn.Module, spec: Spec) -> Statistics:
    """Return what one forward and backward pass shows, by statistic: logs of second moments and norms, and shares."""
    inputs, targets = batch_of(spec)
    points = find_depth_points(model, [(f"blocks.{index}", 0) for index in range(spec.depth)], ["blocks.*"])

    def loss(output: torch.Tensor) -> torch.Tensor:
        found = loss_of(output, targets)
        assert found is not None
        return found

    sounding = sound(model, lambda: model(inputs), loss, points, num_samples=len(inputs))
    found = {
        name: list(map(float, column)) for name, column in sounding.columns.items() if name in COLUMNS and None not in column
    }
    for name in ("signal", "gradient", "attention_logits"):
        found[name] = [np.log(value) for value in found.get(name, [])]
    found["weight_gradient"] = [np.log(norm / sounding.scale) for norm in weight_gradients(model, sounding.parameter_gradients)]
    assert sounding.loss is not None
    found["loss"] = [float(sounding.loss.detach())]
    return {name: values for name, values in found.items() if values}


COLUMNS = ("signal", "correlation", "token_spread", "gradient", "gradient_correlation", "attention_entropy", "attention_logits")


def weight_gradients(model: nn.Module, gradients: dict[str, torch.Tensor | None]) -> list[float]:
    """Return the norm of the gradient of every matrix, tied ones once."""
    norms = []
    for name, parameter in model.named_parameters():
        if isinstance(parameter, ImplicitWeight):
            norms.append(parameter.matrix.tally.norm_square() ** 0.5)
        elif parameter.ndim > 1:
            gradient = gradients[name]
            assert gradient is not None
            norms.append(float(gradient.norm()))
    return norms


def real(spec: Spec, seed: int) -> Statistics:
    """Measure a network with real weights."""
    return measure(build(spec, seed=seed), spec)


def sampled(spec: Spec, seed: int) -> Statistics:
    """Measure one whose weights are never made, each block run again in the backward pass."""
    model = unmade_network(spec, seed=seed, smallest=1)
    replay(model, [f"blocks.{index}" for index in range(spec.depth)])
    return measure(model, spec)


def over_seeds(measured: Callable[[Spec, int], Statistics], spec: Spec, first: int, count: int = SEEDS) -> dict[str, np.ndarray]:
    """Return a table (seed × number) for each statistic."""
    runs = [measured(spec, first + seed) for seed in range(count)]
    return {name: np.array([run[name] for run in runs]) for name in runs[0]}


@pytest.mark.parametrize("name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS])
def test_sampled_weights_equal_real_ones_in_distribution(name: str) -> None:
    """No statistic of forward and backward pass tells them apart over 40 seeds (max-|z| permutation test, all of them at 1%)."""
    spec = NETWORKS[name]
    true, drawn = over_seeds(real, spec, 0), over_seeds(sampled, spec, 0)

    found = {statistic: p_value(true[statistic], drawn[statistic]) for statistic in true}

    assert set(true) == set(drawn)
    # All statistics together are to be wrong in one of a hundred worlds; 2,000 permutations tell p from 1/2,000 on.
    assert min(found.values()) > ALPHA / len(found), found


def test_the_permutation_test_sees_another_spread() -> None:
    """Negative control: weights whose std is 5% larger are told from real ones."""
    spec = NETWORKS["GPT, tied"]

    def louder(spec: Spec, seed: int) -> Statistics:
        model = unmade_network(spec, seed=seed, smallest=1)
        for weight in implicit_weights(model).values():
            weight.matrix.std *= 1.05
        return measure(model, spec)

    true, wrong = over_seeds(real, spec, 0), over_seeds(louder, spec, 0)

    assert min(p_value(true[statistic], wrong[statistic]) for statistic in true) == 0


@pytest.mark.slow
def test_at_24_times_512_every_statistic_agrees() -> None:
    """Each statistic by itself at 1%, sampled against real beside real against real, over 40 seeds."""
    true, again, drawn = (over_seeds(how, DEEP, first) for how, first in ((real, 0), (real, SEEDS), (sampled, 0)))

    found = {name: (p_value(true[name], drawn[name]), p_value(true[name], again[name])) for name in true}

    print(found)
    assert all(p > ALPHA for p, _ in found.values()), found


def one_layer(seed: int, width: int = 64, rows: int = 48) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return x, y, a gradient G that depends on y, and G W, of one implicit layer; two of the vectors are the same."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, width, generator=generator)
    x[3] = x[1]
    x.requires_grad_(True)
    weight = implicit_parameter("w", (rows, width), width**-0.5, Session(seed), torch.float32)
    y = nn.functional.linear(x, weight)
    (back,) = torch.autograd.grad(y.tanh().square().sum(), [x])
    return x.detach(), y.detach(), (2 * y.tanh() * (1 - y.tanh().square())).detach(), back


@pytest.mark.parametrize("seed", range(5))
def test_forward_and_backward_are_one_matrix(seed: int) -> None:
    """⟨G W, x⟩ = ⟨G, y⟩ for every pair of vectors, though W was never there, to 1e-5 of their lengths."""
    x, y, gradient, back = one_layer(seed)

    lengths = back.norm(dim=1, keepdim=True) * x.norm(dim=1)
    assert float(((back @ x.T - gradient @ y.T).abs() / lengths).max()) < 1e-5  # float32 sums of 64 numbers: 1e-6


def test_a_fresh_matrix_in_the_backward_pass_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: G W drawn without regard to y is 100 standard errors off, where a conditioned one is within 4."""

    def pull() -> np.ndarray:
        """Return Σ⟨G W, x⟩ over what a matrix owes, Σ⟨G, y⟩, for many seeds."""
        found = [one_layer(seed) for seed in range(200)]
        return np.array([float((back * x).sum() / (gradient * y).sum()) for x, y, gradient, back in found])

    right = pull()
    monkeypatch.setattr(
        matrix_module, "draw_return",
        lambda g, x, y, factors, std, generator: draw_product(factors[1], x.shape[1], std, generator, g),
    )  # fmt: skip
    wrong = pull()

    assert np.abs(right - 1).max() < 1e-4
    assert abs(wrong.mean() - 1) / (wrong.std(ddof=1) / len(wrong) ** 0.5) > 100


def test_uniform_weights_become_gaussian_with_width() -> None:
    """The excess kurtosis of what one uniform row makes of x is -1.2 Σx⁴/(Σx²)², which falls as 1/width."""
    generator = torch.Generator().manual_seed(0)
    excess = []
    for width in (4, 16, 64):
        x = torch.randn(width, generator=generator).double()
        y = (torch.rand(400_000, width, generator=generator).double() * 2 - 1) @ x
        measured = float(((y - y.mean()) ** 4).mean() / y.var() ** 2 - 3)
        expected = -1.2 * float((x**4).sum() / (x**2).sum() ** 2)
        assert abs(measured - expected) < 4 * (24 / 400_000) ** 0.5  # four standard errors of a Gaussian's kurtosis
        excess.append(expected)
    assert abs(excess[2]) < 0.1 * abs(excess[0])


def test_the_blocks_are_found_in_the_same_way() -> None:
    """A sampled network is the same tree of modules as a real one: the same depth points, names and numbers of parameters."""
    spec = NETWORKS["GPT, tied"]
    twin, model = build(spec), unmade_network(spec, smallest=1)
    inputs, _ = batch_of(spec)

    points = [find_depth_points(each, trace_of(each, lambda each=each: each(inputs))) for each in (twin, model)]

    assert points[0] == points[1]
    assert {name: tuple(p.shape) for name, p in twin.named_parameters()} == {
        n: tuple(p.shape) for n, p in model.named_parameters()
    }
