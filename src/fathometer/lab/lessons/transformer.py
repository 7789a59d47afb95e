"""Lesson: the transformer block, and where its norm stands."""

from functools import lru_cache

from fathometer.depth_profile import DepthProfile
from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount, logarithms, numbered
from fathometer.lab.setting import Setting
from fathometer.scaling import num_parameters
from fathometer.scaling.costs import parameters_by_group
from fathometer.spec import Transformer, preset
from fathometer.theory import forecast

GPT3 = "gpt3-175b"
PLACES = {"norm first (GPT)": "pre-norm", "norm last (2017)": "post-norm", "no norm": "plain"}


@lru_cache(maxsize=64)
def along(kind: str, depth: int) -> DepthProfile:
    """Return the forecast of a narrow transformer with its norm in that place."""
    return forecast(Transformer(depth=depth, width=64, heads=4, vocabulary=189, context=16, residual=kind, init="gpt2"))


def show(value: float) -> Shown:
    """Return signal and gradient along the blocks, for three places of the norm, and the parts of GPT-3."""
    depth = round(value)
    profiles = {name: along(kind, depth) for name, kind in PLACES.items()}
    whole = preset(GPT3)
    assert isinstance(whole, Transformer)
    groups, total = parameters_by_group(whole), num_parameters(whole)
    attention = sum(count for name, count in groups.items() if "attention" in name)
    perceptron = sum(count for name, count in groups.items() if "mlp" in name)
    first, last, _ = profiles.values()
    numbers = {
        "depth": amount(depth),
        "pre": amount(first.values["gradient"][0] or 0.0),
        "post": amount(last.values["gradient"][0] or 0.0),
        "growth": amount((first.values["signal"][-1] or 0.0) / (first.values["signal"][0] or 1.0)),
        "blocks": amount(whole.depth),
        "wide": amount(whole.width),
        "total": amount(total),
        "rule": amount(12 * whole.width**2 * whole.depth),
        "attention": f"{attention / total:.0%}",
        "perceptron": f"{perceptron / total:.0%}",
        "branches": amount(2 * whole.depth),
    }
    backward = tuple(Line(name, numbered(logarithms(one.values["gradient"]))) for name, one in profiles.items())
    forward = tuple(Line(name, numbered(logarithms(one.values["signal"]))) for name, one in profiles.items())
    return Shown(
        numbers,
        (
            Picture(
                "Gradient, over that of the last block", "block", backward, log_y=True, see="At GPT's start all three are calm."
            ),
            Picture("Signal in the stream", "block", forward, log_y=True, see="Norm first lets the stream grow, slowly."),
        ),
    )


TRANSFORMER = Lesson(
    "The transformer block",
    "Look around, then think; add both to the stream.",
    (
        "A block has two branches. Attention lets each token gather from those before it; a perceptron then works on what was "
        "gathered, each token by itself. Both are added to a stream that runs from the embedding to the readout: {branches} "
        "additions in GPT-3's {blocks} blocks.",
        "Its size follows from the width alone: about twelve times the width squared for each block, {rule} at width {wide}, of "
        "{total} in all. Attention holds {attention} of them and the perceptrons {perceptron}.",
        "Where the norm stands decides what the stream may do. Before each branch: the stream grows ({growth} times over "
        "{depth} blocks), and always has a way past. After each sum: every block rescales everything, and the gradient has to "
        "pass every norm. With GPT's start, {depth} blocks hand {pre} and {post} of the gradient to the first block: the start "
        "is not what tells them apart. Training is: with the norm last it needs a warm-up.",
    ),
    "Turn depth up to the {blocks} of GPT-3. Which stream grows like its depth?",
    Slider("blocks", 2, 96, 24),
    show,
    (
        "Train a small transformer on English",
        Setting(
            family="transformer",
            task="english",
            depth=6,
            width=64,
            activation="gelu",
            norm="layer",
            residual="plain",
            init="gpt2",
            rate=3e-3,
        ),
    ),
    ("Vaswani and others: Attention is all you need", "Xiong and others: On layer normalization in the transformer architecture"),
)
