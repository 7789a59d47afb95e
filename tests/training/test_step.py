"""Each wish of a step does what it says: parts, precision, z-loss, Muon."""

from collections.abc import Callable
from dataclasses import replace
from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.errors import BatchError, ModelError, SpecError
from fathometer.networks import build
from fathometer.parametrizations import Scale
from fathometer.records import Asked
from fathometer.spec import ConvNet, Mlp, Transformer
from fathometer.training import begin, fit, make_optimizer, muon
from fathometer.training.batch import log_sum_squared, parts
from fathometer.training.step import take_step

Pair = tuple[Tensor, Tensor]


def network(seed: int) -> nn.Sequential:
    """Return a small classifier without anything random."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))


def batches(seed: int, size: int = 16) -> list[Pair]:
    """Return three batches."""
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(size, 6, generator=generator), torch.randint(3, (size,), generator=generator)) for _ in range(3)]


def gradients(model: nn.Module) -> Tensor:
    """Return all gradients as one vector."""
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


@pytest.mark.parametrize("count", [2, 5, 16])
def test_parts_add_up_to_the_gradient_of_the_whole_batch(count: int, seed: int) -> None:
    """Also where they are of unequal size: each counts with its share of the samples."""
    seen = []
    for accumulate in (1, count):
        asked = Asked(steps=1, batch_size=16, accumulate=accumulate)
        model = network(seed)
        losses = fit(model, batches(seed), asked, observers=[lambda step, model, loss: seen.append(gradients(model))]).losses
        seen.append(torch.tensor(losses))

    torch.testing.assert_close(seen[2], seen[0], rtol=1e-5, atol=1e-7)  # float32 sums in another order
    torch.testing.assert_close(seen[3], seen[1], rtol=1e-6, atol=0)


def test_parts_are_the_samples_in_order() -> None:
    """No sample is lost or counted twice, and the shares add up to 1."""
    inputs = torch.arange(10.0)[:, None]
    found = list(parts((inputs, torch.arange(10)), 3))

    assert torch.equal(torch.cat([part[0] for part, _ in found]), inputs)
    assert [share for _, share in found] == [0.4, 0.3, 0.3]
    assert [part[1].tolist() for part, _ in parts((inputs[:2], torch.arange(2)), 5)] == [[0], [1]]


def test_a_bad_part_stops_the_step(seed: int) -> None:
    """A loss that is not finite in the second half of a batch leaves the weights as they were."""
    model, (inputs, targets) = network(seed), batches(seed)[0]
    inputs[12] = float("nan")
    before = model[0].weight.detach().clone()
    fitted = fit(model, [(inputs, targets)], Asked(steps=3, accumulate=2))

    assert (fitted.stopped_at, fitted.status, fitted.losses) == (1, "stopped: loss is not finite", ())
    assert torch.equal(before, model[0].weight)


class Cliff(torch.autograd.Function):
    """The identity, with a gradient that is not finite."""

    @staticmethod
    def forward(ctx: object, signal: Tensor) -> Tensor:
        return signal.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient * float("inf")


def cliff_loss(output: Tensor, targets: Tensor) -> Tensor:
    """Return a finite loss whose gradient is not."""
    return F.cross_entropy(Cliff.apply(output), targets)


@pytest.mark.parametrize(("precision", "clip"), [("float32", 1.0), ("bfloat16", 1.0), ("float16", None)])
def test_a_gradient_that_is_not_finite_stops_the_run(precision: str, clip: float | None, seed: int) -> None:
    """With a norm to look at the run stops before the weights move; in float16 once the scaler has tried all its scales."""
    model = network(seed)
    before = model[0].weight.detach().clone()
    asked = Asked(steps=100, precision=precision, clip=clip)
    fitted = fit(model, batches(seed), asked, loss_fn=cliff_loss)

    assert fitted.status == "stopped: gradient is not finite"
    assert fitted.stopped_at == (1 if precision != "float16" else 31)  # from 2^16 down to below 2^-14
    assert torch.equal(before, model[0].weight)


def test_float16_passes_over_a_step_and_lowers_its_scale(seed: int) -> None:
    """A gradient too large for the scale costs one step and half the scale; observers see only whole gradients, unscaled."""
    course, (batch, *_) = begin(network(seed), Asked(precision="float16", learning_rate=0.1)), batches(seed)
    assert course.scaler is not None
    course.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    seen: list[Tensor] = []

    def observe(step: int, model: nn.Module, loss: Tensor) -> None:
        seen.append(gradients(model))

    before = course.model[0].weight.detach().clone()
    while not seen:
        assert torch.equal(before, course.model[0].weight)
        assert take_step(course, batch, observers=[observe]) is None
    plain = network(seed)
    F.cross_entropy(plain(batch[0]), batch[1]).backward()

    assert course.step > 1
    assert course.scaler.get_scale() == 2.0 ** (40 - (course.step - 1))
    assert not torch.equal(before, course.model[0].weight)
    torch.testing.assert_close(seen[0], gradients(plain), rtol=0.02, atol=2e-4)  # float16 has 11 bits


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_as_well(precision: str, seed: int) -> None:
    """Products are taken in half precision, weights stay in float32, and the loss falls as it does in float32."""
    kinds: list[torch.dtype] = []
    model, data = network(seed), batches(seed)
    model[0].register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    fitted = fit(model, data, Asked(steps=60, precision=precision, learning_rate=3e-3))
    plain = fit(network(seed), data, Asked(steps=60, learning_rate=3e-3))

    assert set(kinds) == {{"bfloat16": torch.bfloat16, "float16": torch.float16}[precision]}
    assert model[0].weight.dtype == torch.float32
    assert fitted.losses[-1] == pytest.approx(plain.losses[-1], abs=0.1)
    assert plain.losses[-1] < plain.losses[0] - 0.3
    assert fitted.losses != plain.losses


def test_the_z_loss_of_zero_logits() -> None:
    """Of 50,257 zero logits it is (ln 50257)²: with a weight of 1e-4 that is 0.011718; targets marked -100 do not count."""
    logits, targets = torch.zeros(2, 3, 50_257), torch.zeros(2, 3, dtype=torch.long)
    targets[0] = -100
    logits[0] = 7.0

    assert 1e-4 * log_sum_squared(logits, targets).item() == pytest.approx(0.011718, abs=1e-6)
    assert log_sum_squared(logits, targets).item() == pytest.approx(log(50_257) ** 2)


def test_the_z_loss_pulls_the_logits_and_is_not_reported(seed: int) -> None:
    """The loss of the first step is the plain one, the gradient is that of both together."""
    model, (inputs, targets) = network(seed), batches(seed)[0]
    seen: list[Tensor] = []
    asked = Asked(steps=1, z_loss=0.5)
    losses = fit(model, [(inputs, targets)], asked, observers=[lambda step, model, loss: seen.append(gradients(model))]).losses
    plain = network(seed)
    output = plain(inputs)
    loss = F.cross_entropy(output, targets)
    (loss + 0.5 * output.logsumexp(1).square().mean()).backward()

    assert losses == (loss.item(),)
    torch.testing.assert_close(seen[0], gradients(plain))
    with pytest.raises(BatchError, match="no classes"):
        fit(network(seed), [(inputs, torch.randn(16, 3))], Asked(steps=1, z_loss=1e-4))


@pytest.mark.skipif(not muon.HAS_MUON, reason="this torch has no Muon, which is said in an error")
def test_muon_moves_the_hidden_matrices_and_adamw_the_rest(seed: int) -> None:
    """A transformer's matrices in blocks take the orthogonal step; embeddings, norms and biases AdamW's, bit for bit."""
    spec = Transformer(depth=2, width=16, heads=2, vocabulary=8, context=6)
    tokens = torch.arange(12).reshape(2, 6) % 8
    both = [build(spec, seed=1), build(spec, seed=1)]
    asked = Asked(steps=1, optimizer="muon", learning_rate=0.01, weight_decay=0.1)
    start = {name: value.detach().clone() for name, value in both[0].named_parameters()}
    taken: dict[str, Tensor] = {}

    def keep(step: int, model: nn.Module, loss: Tensor) -> None:
        taken.update({name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None})

    fit(both[0], [(tokens, tokens.roll(1, 1))], asked, observers=[keep])
    fit(both[1], [(tokens, tokens.roll(1, 1))], replace(asked, optimizer="adamw"))
    twin, hidden = dict(both[1].named_parameters()), 0
    for name, value in both[0].named_parameters():
        if name.startswith("blocks") and value.ndim == 2:
            hidden += 1
            lone = nn.Parameter(start[name].clone())
            lone.grad = taken[name]
            torch.optim.Muon([lone], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw").step()
            torch.testing.assert_close(value, lone, rtol=0, atol=1e-4)  # bfloat16 rounds to 1/256 of a step of some 0.003
            # its singular values are near 1: the step is 0.01·0.2·√(longer side), as large as AdamW's or a little less
            assert 0.001 < (value - start[name]).square().mean().sqrt() < 0.01
        else:
            assert torch.equal(value, twin[name])
    assert hidden == 12


def test_muon_says_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without blocks, with four-dimensional weights alone, with rates of μP, or with a torch that has none."""
    asked = Asked(optimizer="muon")
    monkeypatch.setattr(muon, "HAS_MUON", True)
    for model in (nn.Linear(4, 4), build(ConvNet(depth=20, width=4))):
        with pytest.raises(ModelError, match="repeated blocks"):
            make_optimizer(model, asked)
    with pytest.raises(SpecError, match="made for Adam"):
        make_optimizer(build(Mlp(depth=3)), asked, {"blocks.0.linear.weight": Scale(0.1, learning_rate_multiplier=0.5)})
    monkeypatch.setattr(muon, "HAS_MUON", False)
    with pytest.raises(SpecError, match="has no Muon"):
        make_optimizer(build(Mlp(depth=3)), asked)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, in its compiler
def test_compiled_blocks_learn_the_same(seed: int) -> None:
    """Losses are near the plain ones, and the modules are as they were afterwards."""
    model, plain, data = network(seed), network(seed), batches(seed)
    compiled = fit(model, data, Asked(steps=5, compile=True))

    # compiled kernels round otherwise
    assert compiled.losses == pytest.approx(fit(plain, data, Asked(steps=5)).losses, abs=1e-4)
    assert all(module._compiled_call_impl is None for module in model.modules())


@pytest.mark.skipif(not muon.HAS_MUON, reason="this torch has no Muon, which is said in an error")
def test_the_closure_of_an_optimizer_is_called() -> None:
    """Muon with AdamW keeps torch's contract of `step`."""
    model = network(0)
    optimizer, loss = make_optimizer(model, Asked(optimizer="muon")), model(torch.ones(2, 6)).sum()

    def closure() -> float:
        loss.backward()
        return loss.item()

    step: Callable[..., float | None] = optimizer.step
    assert step(closure) == loss.item()
