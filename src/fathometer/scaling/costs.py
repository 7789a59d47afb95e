"""Parameters and floating-point operations of a spec, in closed form."""

from collections import Counter
from collections.abc import Iterable

from fathometer.errors import SpecError, unknown_name
from fathometer.scaling.convnets import convnet_parts
from fathometer.scaling.parts import Part, mlp_parts
from fathometer.scaling.transformers import transformer_parts
from fathometer.spec import ConvNet, Mlp, Spec, Transformer

PETAFLOP_DAY = 8.64e19  # floating-point operations
PAIRS = {"full": "every token against every token", "causal": "every token against itself and those before it"}


def parts_of(spec: Spec, tokens: int | None = None, *, pairs: str = "full", fused: bool = True) -> list[Part]:
    """Return the parts of any spec, for one sample: an image, a vector, or a sequence of `tokens` (None: the context).

    Raises `SpecError` for more tokens than there are learned positions, or a word that is not in `PAIRS`.
    """
    if pairs not in PAIRS:
        raise unknown_name("way to count pairs", pairs, PAIRS)
    if isinstance(spec, Mlp):
        return list(mlp_parts(spec))
    if isinstance(spec, ConvNet):
        return list(convnet_parts(spec))
    tokens = _tokens(spec, tokens)
    return list(transformer_parts(spec, tokens, causal_half=pairs == "causal", fused=fused))


def parameters_by_group(spec: Spec) -> dict[str, int]:
    """Return the exact number of parameters of each group of tensors; a tied readout has none of its own.

    >>> parameters_by_group(Mlp(depth=2, width=3, inputs=4, outputs=5))
    {'blocks': 27, 'readout': 20}
    """
    return _by_group((part.group, part.parameters * part.times) for part in parts_of(spec))


def num_parameters(spec: Spec) -> int:
    """Return the exact number of parameters, without buffers such as BatchNorm's running statistics.

    >>> num_parameters(Transformer())  # GPT-2
    124439808
    """
    return sum(parameters_by_group(spec).values())


def flops_by_group(spec: Spec, tokens: int | None = None, *, pairs: str = "full") -> dict[str, int]:
    """Return the floating-point operations of one forward pass over one sample, by group.

    Matrix products and convolutions are counted, 2·m·n·k each; norms, activations, biases, sums and look-ups are not.
    `pairs` "full" counts attention as it is computed without regard to the mask, "causal" only the pairs that the mask leaves.
    """
    return _by_group((part.group, 2 * part.macs * part.times) for part in parts_of(spec, tokens, pairs=pairs))


def forward_flops(spec: Spec, tokens: int | None = None, *, pairs: str = "full") -> int:
    """Return the floating-point operations of one forward pass over one sample; see `flops_by_group` for what counts."""
    return sum(flops_by_group(spec, tokens, pairs=pairs).values())


def forward_flops_per_token(spec: Transformer, tokens: int | None = None, *, pairs: str = "full") -> float:
    """Return `forward_flops` over the number of tokens."""
    return forward_flops(spec, tokens, pairs=pairs) / _tokens(spec, tokens)


def backward_flops(spec: Spec, tokens: int | None = None, *, pairs: str = "full") -> int:
    """Return the floating-point operations of one backward pass: each product twice, for its weights and for its input.

    The first matrix of a perceptron or convnet needs no gradient for its input; it is counted all the same.
    """
    return 2 * forward_flops(spec, tokens, pairs=pairs)


def training_flops(spec: Spec, tokens: int | None = None, *, pairs: str = "full", recompute: bool = False) -> int:
    """Return the operations of forward and backward over one sample: 3 forward passes, or 4 where each is run again."""
    return (4 if recompute else 3) * forward_flops(spec, tokens, pairs=pairs)


def run_flops(parameters: float, tokens: float) -> float:
    """Return 6·N·D, the rule of thumb for a whole training run; it leaves attention scores out. Kaplan et al. 2020.

    >>> round(run_flops(174.6e9, 300e9) / PETAFLOP_DAY)  # GPT-3, in petaflop days
    3637
    """
    return 6.0 * parameters * tokens


def _tokens(spec: Transformer, tokens: int | None) -> int:
    tokens = spec.context if tokens is None else tokens
    is_learned = spec.positions == "learned"
    if tokens < 1 or (tokens > spec.context and is_learned):
        expected = f"With learned positions it is from 1 to the context of {spec.context}" if is_learned else "It is at least 1"
        raise SpecError(f"`tokens` is {tokens}", expected, f"Try {spec.context}")
    return tokens


def _by_group(numbers: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for group, number in numbers:
        total[group] += number
    return {group: number for group, number in total.items() if number}
