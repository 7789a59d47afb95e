"""The whole transformer: its size, its formulas, its options, and what goes in."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.errors import BatchError
from fathometer.networks import TransformerNetwork, build
from fathometer.networks.residual import ResidualBlock
from fathometer.scaling import num_parameters
from fathometer.spec import Transformer, preset
from fathometer.spec.transformer import TRANSFORMER_KINDS

WIDTH, DEPTH = 12, 3
SMALL = {"depth": DEPTH, "width": WIDTH, "heads": 3, "vocabulary": 17, "context": 10}
PARAMETERS = {  # facts: counted from the released weights, and from the tables of the papers
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}


def tokens_for(spec: Transformer, seed: int, time: int = 8) -> Tensor:
    """Return three random sequences."""
    return torch.randint(0, spec.vocabulary, (3, time), generator=torch.Generator().manual_seed(seed))


def size(model: nn.Module) -> int:
    """Return the number of parameters, each counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PARAMETERS)
def test_gpt2_has_its_published_size(name: str) -> None:
    """The four sizes of GPT-2 have the parameters of the released weights, to the last one."""
    assert size(build(name, device="meta")) == PARAMETERS[name]


@pytest.mark.parametrize("name", ["gpt2", "gpt3-xl", "gpt3-175b"])
def test_the_size_is_that_of_the_formula(name: str) -> None:
    """V·d + T·d + L(12d² + 13d) + 2d, the formula for GPT-2 and GPT-3; one word more would be noticed."""
    spec = preset(name)
    assert isinstance(spec, Transformer)
    vocabulary, time, layers, width = spec.vocabulary, spec.context, spec.depth, spec.width

    expected = (vocabulary + time) * width + layers * (12 * width**2 + 13 * width) + 2 * width
    assert size(build(spec, device="meta")) == expected
    assert size(build(f"{name}@vocabulary={vocabulary + 1}", device="meta")) == expected + width


GRID = list(
    product(
        TRANSFORMER_KINDS,
        ["layer", "rms"],
        [
            {},
            {"positions": "rope", "gated": True, "activation": "silu", "kv_heads": 1, "tied": False, "bias": False},
            {"positions": "none", "qk_norm": True, "attention_softcap": 5.0, "logit_softcap": 3.0, "causal": False},
            {"dropout": 0.3, "mlp_width": 7, "init": "completep", "base_width": 6, "base_depth": 2},
        ],
    )
)


@pytest.mark.parametrize(
    ("kind", "norm", "options"), GRID, ids=lambda value: "-".join(value) if isinstance(value, dict) else value
)
def test_every_combination_runs_forward_and_back(kind: str, norm: str, options: dict, seed: int) -> None:
    """Any mix of options has finite logits, a finite gradient for every parameter, and the size of the closed form."""
    shape = {**SMALL, "heads": 2} if options.get("positions") == "rope" else SMALL
    spec = Transformer(**shape, residual=kind, norm=norm, **options)
    model = build(spec, seed=seed)
    logits = model(tokens_for(spec, seed))
    F.cross_entropy(logits.flatten(0, 1), tokens_for(spec, seed + 1).flatten()).backward()

    assert logits.shape == (3, 8, 17)
    assert logits.isfinite().all()
    assert [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.isfinite().all()] == []
    assert size(model) == num_parameters(spec)


def norm(stream: Tensor) -> Tensor:
    """Return the layer norm without gain and bias."""
    return F.layer_norm(stream, (WIDTH,))


Branch = Callable[[Tensor], Tensor]
# A block of each kind by hand: `place` counts blocks from 1, and there are 2·DEPTH branches.
FORMULAS: dict[str, Callable[[Tensor, Branch, int], Tensor]] = {
    "plain": lambda x, f, place: x + f(x),
    "scaled": lambda x, f, place: x + f(x) / (2 * DEPTH) ** 0.5,
    "pre-norm": lambda x, f, place: x + f(norm(x)),
    "post-norm": lambda x, f, place: norm(x + f(x)),
    "peri-norm": lambda x, f, place: x + norm(f(norm(x))),
    "rezero": lambda x, f, place: x,
    "layerscale": lambda x, f, place: x + 0.1 * f(x),
    "deepnorm": lambda x, f, place: norm((2 * DEPTH) ** 0.25 * x + f(x)),
    "norm scaling": lambda x, f, place: x + f(norm(x) / place**0.5),
    "CompleteP": lambda x, f, place: x + f(norm(x)) / DEPTH,
    "depth-μP": lambda x, f, place: x + f(norm(x)) / DEPTH**0.5,
}
ASKED = {
    "norm scaling": {"norm_scaling": True},
    "CompleteP": {"init": "completep", "base_depth": 1},
    "depth-μP": {"init": "depth-mup", "base_depth": 1},
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_block_equals_its_formula_written_out(name: str, seed: int) -> None:
    """Each block adds its attention branch, then its MLP branch, as its kind says."""
    model = build(Transformer(**SMALL, **ASKED.get(name, {"residual": name})), seed=seed, dtype=torch.float64)
    stream = torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    for number, block in enumerate(model.blocks, start=1):
        expected = stream
        for part in (block.attention, block.mlp):
            expected = FORMULAS[name](expected, part.branch, number)
        # Double precision; only the order of additions differs.
        torch.testing.assert_close(block(stream), expected, rtol=1e-9, atol=1e-11)
        assert name == "rezero" or not torch.allclose(block(stream), stream, rtol=1e-6)


def test_every_kind_has_a_formula() -> None:
    """The table above leaves no residual kind out."""
    assert set(TRANSFORMER_KINDS) <= set(FORMULAS)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["pre-norm", "post-norm"])
def test_the_network_is_its_parts_in_order(kind: str, tied: bool, seed: int) -> None:
    """Embedding plus position, blocks, final norm where there is one, and a readout that is the embedding if tied."""
    model = build(Transformer(**SMALL, residual=kind, tied=tied, logit_softcap=0.3), seed=seed, dtype=torch.float64)
    tokens = tokens_for(model.spec, seed)
    stream = model.embedding.weight[tokens] + model.positions.weight[: tokens.shape[1]]
    for block in model.blocks:
        stream = block(stream)
    stream = norm(stream) if kind == "pre-norm" else stream
    logits = stream @ (model.embedding if tied else model.readout).weight.T

    torch.testing.assert_close(model(tokens), 0.3 * torch.tanh(logits / 0.3))
    assert ("readout.weight" in dict(model.named_parameters())) == (not tied)


@pytest.mark.parametrize("tied", [True, False])
def test_mup_divides_the_logits_by_the_width_ratio(tied: bool, seed: int) -> None:
    """At four times the base's width the logits are a quarter of the readout's answer."""
    model = build(Transformer(**SMALL, tied=tied, init="mup", base_width=3), seed=seed, dtype=torch.float64)
    answers: list[Tensor] = []
    model.readout.register_forward_hook(lambda module, inputs, output: answers.append(output))

    torch.testing.assert_close(model(tokens_for(model.spec, seed)), answers[0] / 4)


def test_the_parts_have_their_roles() -> None:
    """Queries and keys, values, and what is added to the stream are told apart; a tied readout is not listed."""
    roles = [role for role, _ in build(Transformer(**{**SMALL, "depth": 1}, gated=True, tied=False)).matrices()]

    attention = ["query_key", "query_key", "hidden", "branch_last"]
    assert roles == ["embedding", "embedding", *attention, "hidden", "hidden", "branch_last", "output"]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(2, 11, dtype=torch.long), r"(?s)have 11 tokens.*context is 10.*tokens\[:, -10:\]"),
        (torch.tensor([[0, 17]]), "(?s)from 0 to 17.*0 to 16"),
        (torch.tensor([[-1, 3]]), "(?s)from -1 to 3.*0 to 16"),
        (torch.zeros(4, dtype=torch.long), r"(?s)shape \(4,\).*tokens\[None\]"),
        (torch.zeros(2, 4), r"(?s)float32.*tokens\.long\(\)"),
    ],
    ids=["too long", "too high", "below zero", "no batch", "not whole numbers"],
)
def test_tokens_that_do_not_fit_are_an_error_with_a_mend(tokens: Tensor, message: str) -> None:
    """The error says what was given, what was expected and what to change; tokens that fit go through."""
    model = build(Transformer(**SMALL))

    with pytest.raises(BatchError, match=message):
        model(tokens)
    assert model(torch.tensor([[0, 16]])).shape == (1, 2, 17)


def test_a_network_made_without_build_works_too(seed: int) -> None:
    """The module alone starts with torch's own numbers and with its learned scales in place."""
    torch.manual_seed(seed)
    model = TransformerNetwork(Transformer(**SMALL, residual="rezero"))
    scales = [module.branch_scale for module in model.modules() if isinstance(module, ResidualBlock)]

    assert model(tokens_for(model.spec, seed)).isfinite().all()
    assert [scale.item() for scale in scales] == [0.0] * 2 * DEPTH
