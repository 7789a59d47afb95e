"""How deep, how wide? What has been published, none of it the last word."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np

from fathometer.errors import SpecError, look_up
from fathometer.scaling.costs import num_parameters
from fathometer.scaling.gpt3 import between_gpt3
from fathometer.scaling.published import GEMSTONES_SHAPE
from fathometer.spec import Transformer
from fathometer.spec.checks import largest_divisor

DEEPEST = 400
LEVINE = (5.039, 0.0555)  # log width = a + b · depth at the limit past which more depth is spent better on width


@dataclass(frozen=True)
class Opinion:
    """What a source says of depth against width: in words, and where it names one, as a width for a depth (its aspect)."""

    name: str
    says: str
    source: str
    aspect: Callable[[float], float] | None = None  # width over depth, for so many parameters


def _gpt3_aspect(parameters: float) -> float:
    return between_gpt3(parameters, lambda row: row.width / row.depth)


def _levine_aspect(parameters: float) -> float:
    depth = levine_depth(parameters)
    return exp(LEVINE[0] + LEVINE[1] * depth) / depth


def levine_depth(parameters: float | int) -> float:
    """Return the depth at which 12·L·d² parameters lie on Levine et al. 2020's limit log d = 5.039 + 0.0555 L.

    >>> round(levine_depth(175e9), 1)
    80.5
    """
    depths = np.linspace(0.1, DEEPEST, 40_000)
    return float(np.interp(log(parameters), np.log(12 * depths) + 2 * (LEVINE[0] + LEVINE[1] * depths), depths))


def levine_width(depth: float | int) -> float:
    """Return the width of that limit at a depth."""
    return exp(LEVINE[0] + LEVINE[1] * depth)


def _gemstones_aspect(parameters: float) -> float:
    """Return the aspect at which the fitted A / width^α + B / depth^β is least under 12·L·d² parameters."""
    _, log_a, log_b, _, alpha, beta, _ = GEMSTONES_SHAPE.theta
    depths = np.geomspace(1, DEEPEST, 4000)
    widths = np.sqrt(parameters / (12 * depths))
    place = int((np.exp(log_a) * widths**-alpha + np.exp(log_b) * depths**-beta).argmin())
    return float(widths[place] / depths[place])


def _mobile_aspect(parameters: float) -> float:
    return exp(float(np.interp(log(parameters), [log(125e6), log(350e6)], [log(576 / 30), log(960 / 32)])))


OPINIONS: dict[str, Opinion] = {
    opinion.name: opinion
    for opinion in (
        Opinion(
            "gpt3",
            "The shapes of GPT-3, between its sizes: 43 to 128 times as wide as deep.",
            "Brown et al. 2020, Language models are few-shot learners, table 2.1.",
            _gpt3_aspect,
        ),
        Opinion(
            "kaplan2020",
            "Shape hardly matters: width / depth may vary 40 times at little cost; 6 × 4288 comes within 3% of 48 × 1600.",
            "Kaplan et al. 2020, Scaling laws for neural language models.",
        ),
        Opinion(
            "levine2020",
            "Depth pays up to a limit that grows with the logarithm of the width; GPT-3 is deeper than that.",
            "Levine et al. 2020, Limits to depth efficiencies of self-attention.",
            _levine_aspect,
        ),
        Opinion(
            "liu2024",
            "Deep and thin is better below a billion parameters (30 × 576 at 125 million).",
            "Liu et al. 2024, MobileLLM.",
            _mobile_aspect,
        ),
        Opinion(
            "gemstones2025",
            "The best shape of a law fitted to 22 public shapes of 0.05 to 2 billion parameters; its floor E is not identified.",
            "Fitted here to the losses of McLeish et al. 2025, Gemstones.",
            _gemstones_aspect,
        ),
        Opinion(
            "depth-delusion2026",
            "Past a depth that grows like width^0.44 more layers do harm: 32 × 4096 beat 64 × 2816 by 0.12 nats (a preprint).",
            "The depth delusion, 2026 preprint arXiv:2601.20994, read second-hand.",
        ),
        Opinion("nanochat", "A rule of thumb: 64 times as wide as deep.", "Karpathy 2025, nanochat.", lambda parameters: 64.0),
    )
}


def find_opinion(name: str) -> Opinion:
    """Return the opinion of that name; raise `SpecError` for one that there is not, or that names no shape."""
    found = look_up("opinion on shape", name, OPINIONS)
    if found.aspect is None:
        shapes = ", ".join(other for other, opinion in OPINIONS.items() if opinion.aspect is not None)
        raise SpecError(f'"{name}" names no shape: {found.says}', f"These do: {shapes}", 'Try shape = "gpt3"')
    return found


def shape_for(parameters: float | int, opinion: Opinion, like: Transformer) -> Transformer:
    """Return the transformer like another one whose parameters come nearest to a number, in the shape of an opinion.

    Widths are whole heads of 128 (64 below a width of 1024, 16 below 128). Where even the smallest is too large, it is that.
    """
    assert opinion.aspect is not None
    parameters = float(parameters)
    aspect = opinion.aspect(max(parameters, 1e5))
    depth = _depth_for(parameters, aspect, like)
    widths = [_with(like, depth, width) for width in _widths(_width_for(parameters, depth, like))]
    return min(widths, key=lambda spec: abs(log(num_parameters(spec) / parameters)))


def _depth_for(parameters: float, aspect: float, like: Transformer) -> int:
    """Return the whole depth at which a network of this aspect is nearest to its parameters."""
    block, outside = _sizes(like)
    return max(1, round(_where(parameters, lambda depth: depth * block * (aspect * depth) ** 2 + outside * aspect * depth)))


def _width_for(parameters: float, depth: int, like: Transformer) -> float:
    block, outside = _sizes(like)
    return _where(parameters, lambda width: depth * block * width**2 + outside * width)


def _where(goal: float, rising: Callable[[float], float]) -> float:
    """Return where a rising function reaches a number, by halving."""
    low, high = 1e-2, 1e7
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if rising(middle) < goal else (low, middle)
    return low


def _sizes(like: Transformer) -> tuple[float, float]:
    """Return about the parameters of a block over its width squared, and of all outside over the width."""
    one, two = (num_parameters(_with(like, depth, 1024)) for depth in (1, 2))
    return (two - one) / 1024**2, (2 * one - two) / 1024


def _widths(width: float) -> list[int]:
    step = 128 if width >= 1024 else 64 if width >= 128 else 16
    below = max(step, int(width // step) * step)
    return [below, below + step]


def _with(like: Transformer, depth: int, width: int) -> Transformer:
    head = 128 if width >= 1024 and width % 128 == 0 else 64 if width % 64 == 0 and width >= 128 else 16
    heads = width // head
    kv_heads = None if like.kv_heads is None else largest_divisor(heads, round(heads * like.num_kv_heads / like.num_heads))
    mlp = None if like.mlp_width is None else max(1, round(width * like.mlp_width / like.width))
    return replace(like, depth=depth, width=width, heads=heads, kv_heads=kv_heads, mlp_width=mlp)
