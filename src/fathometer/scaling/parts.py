"""The parts that a network is added up from, for a perceptron too."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fathometer.spec import Mlp
from fathometer.spec.residual import LEARNED_SCALE, NORM_AFTER, NORM_BEFORE, NORM_INSIDE

# Autograd keeps the result of these, which the next matrix keeps anyway, the input of others, and nothing of "linear".
KEPT_BY_RESULT = ("relu", "tanh", "sigmoid")


@dataclass(frozen=True)
class Part:
    """Some tensors of a network, and what they take for one sample.

    `macs` are multiply-adds of matrix products; `saved` numbers are kept for the backward pass; `times` says how often the
    part is there. `block` names the kind of block that it belongs to (None outside). On one part of it, `stream` counts the
    numbers that enter such a block (0 where a part outside keeps them), and `rerun` what a block that runs again keeps beyond
    what `saved` says: less what enters it, more what leaves it.
    """

    group: str
    parameters: int = 0
    macs: int = 0
    saved: int = 0
    times: int = 1
    block: str | None = None
    stream: int = 0
    rerun: int = 0


def mlp_parts(spec: Mlp) -> Iterator[Part]:
    """Yield the parts of a perceptron, for one sample."""
    yield from _plain_blocks(spec) if spec.residual == "none" else _residual_blocks(spec)
    final = norm_parameters(spec.norm_kind, spec.width) if spec.residual in NORM_BEFORE else 0
    yield Part("norms", final, saved=spec.width if final else 0)
    yield matrix("readout", spec.width, spec.outputs)


def matrix(group: str, fan_in: int, fan_out: int, *, bias: bool = True, rows: int = 1) -> Part:
    """Return a matrix that meets `rows` vectors, which are kept."""
    parameters = fan_in * fan_out + (fan_out if bias else 0)
    return Part(group, parameters, macs=rows * fan_in * fan_out, saved=rows * fan_in)


def norm_parameters(kind: str | None, width: int, *, bias: bool = True) -> int:
    """Return the gains and biases of one norm; RMSNorm has no biases."""
    return 0 if kind is None else width if kind == "rms" or not bias else 2 * width


def kept_input(activation: str, size: int) -> int:
    """Return how many numbers are kept in front of an activation."""
    return 0 if activation in (*KEPT_BY_RESULT, "linear") else size


def _plain_blocks(spec: Mlp) -> Iterator[Part]:
    norm = norm_parameters(spec.norm_kind, spec.width)
    saved = (spec.width if norm else 0) + kept_input(spec.activation, spec.width)
    given = spec.width if spec.activation in KEPT_BY_RESULT else 0
    first = replace(matrix("blocks", spec.inputs, spec.width), block="first", stream=spec.inputs)
    later = replace(matrix("blocks", spec.width, spec.width), block="later", stream=spec.width, times=spec.depth - 1)
    for part in (first, later):
        yield replace(part, rerun=given - part.stream)
        yield Part("norms", norm, saved=saved, times=part.times, block=part.block)


def _residual_blocks(spec: Mlp) -> Iterator[Part]:
    width, in_blocks = spec.width, {"block": "block", "times": spec.depth}
    yield matrix("stem", spec.inputs, width)
    layer = replace(matrix("blocks", width, width), times=spec.depth * spec.branch_layers, block="block")
    yield replace(layer, saved=layer.saved + kept_input(spec.activation, width))
    norms = sum(spec.residual in places for places in (NORM_BEFORE, NORM_INSIDE, NORM_AFTER))
    learned = {"rezero": 1, "layerscale": width}.get(spec.residual, 0)
    is_highway = spec.residual == "highway"
    branch_keeps = spec.activation not in KEPT_BY_RESULT and spec.residual not in NORM_BEFORE  # the very numbers that enter
    rerun = -width if branch_keeps or is_highway or spec.residual in NORM_BEFORE else 0
    norm = norms * norm_parameters(spec.norm_kind, width)
    yield Part("norms", norm, saved=width * norms, stream=width, rerun=rerun, **in_blocks)
    yield Part("branch scales", learned, saved=width if spec.residual in LEARNED_SCALE else 0, **in_blocks)
    if is_highway:
        # T is kept for its own slope, and T, 1 - T, x and f(x) for the two products.
        yield replace(matrix("gates", width, width), saved=(3 if branch_keeps else 4) * width, **in_blocks)
