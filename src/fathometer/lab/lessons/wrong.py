"""Lesson: vanishing, exploding, and becoming one; and what mends each."""

from dataclasses import replace
from functools import lru_cache

from fathometer.depth_profile import DepthProfile
from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount, logarithms, numbered
from fathometer.lab.setting import Setting
from fathometer.spec import Mlp
from fathometer.theory import critical_gain, depth_scales, forecast

DEPTH = 50
TANH = Mlp(depth=DEPTH, activation="tanh", init="lecun", bias_std=0.05**0.5)
RELU = Mlp(depth=DEPTH, activation="relu", init="he")


@lru_cache(maxsize=64)
def along(spec: Mlp) -> DepthProfile:
    """Return the forecast of a network."""
    return forecast(spec)


def show(value: float) -> Shown:
    """Return what fifty tanh layers do at a gain, beside the critical one."""
    critical = critical_gain("tanh", TANH.bias_std or 0.0) or 1.0
    here, best = along(replace(TANH, gain=round(value, 2))), along(replace(TANH, gain=round(critical, 4)))
    scales = depth_scales("tanh", value**2, 0.05)
    plain, mended = along(RELU), along(replace(RELU, residual="scaled"))
    start = here.values["gradient"][0] or 0.0
    numbers = {
        "depth": amount(DEPTH),
        "gain": f"{value:.2f}",
        "critical": f"{critical:.3f}",
        "relu_gain": f"{critical_gain('relu') or 0:.3f}",
        "arrives": amount(start),
        "word": "vanishes" if start < 1e-3 else "explodes" if start > 1e3 else "survives",
        "reach": amount(6 * scales.correlation),
        "relu_gradient": amount(plain.values["gradient"][0] or 0.0),
        "relu_cosine": f"{plain.values['correlation'][-1]:.4f}",
        "mended_cosine": f"{mended.values['correlation'][-1]:.2f}",
    }
    gradient = (
        Line(f"gain {value:.2f}", numbered(logarithms(here.values["gradient"]))),
        Line(f"gain {critical:.2f}, the critical one", numbered(logarithms(best.values["gradient"])), quiet=True),
    )
    cosine = (
        Line("plain ReLU, He", numbered(plain.values["correlation"])),
        Line("the same with a stream", numbered(mended.values["correlation"])),
    )
    return Shown(
        numbers,
        (
            Picture("Gradient, over that of the last layer", "layer", gradient, log_y=True, see="Left is where learning begins."),
            Picture(
                "Cosine of two different inputs", "layer", cosine, y=(0, 1), see="At one, the network cannot tell them apart."
            ),
        ),
    )


WRONG = Lesson(
    "What goes wrong, and what mends it",
    "Three ways to lose a signal: it fades, it bursts, or everything becomes the same.",
    (
        "A layer multiplies. At a gain of {gain}, {depth} tanh layers hand a part {arrives} of the gradient to the first: it "
        "{word}. Between fading and bursting lies one critical gain, {critical} for tanh with small biases, {relu_gain} for "
        "ReLU, where it is called He's start.",
        "A rule of thumb follows from the theory of wide networks: at this gain, a plain network trains down to some {reach} "
        "layers.",
        "The third way is quieter. In plain ReLU layers with He's start the gradient lives ({relu_gradient} arrives), and two "
        "different inputs still become one: their cosine at layer {depth} is {relu_cosine}. Deeper plain networks fit even their"
        " training data worse, which is called degradation; this is one likely reason. A residual "
        "stream keeps inputs apart ({mended_cosine}).",
        "Remedies, from small to large: start at the critical gain (or orthogonally); swap the activation; clip, warm up or slow "
        "down; scale the branches; normalise; add a residual stream. Take the first that is proved to work.",
    ),
    "Find the gain at which the line lies flat. A little to the left it fades, a little to the right it bursts.",
    Slider("gain", 0.6, 2.5, 1.0, step=0.05),
    show,
    ("Break fifty layers, then mend them", Setting()),
    (
        "Poole and others: Exponential expressivity in deep neural networks through transient chaos",
        "Schoenholz and others: Deep information propagation",
        "He and others: Deep residual learning for image recognition",
    ),
)
