"""Lesson: output = input + f(input), and why doing nothing is easy."""

from dataclasses import replace
from functools import lru_cache

from fathometer.depth_profile import DepthProfile
from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount, logarithms, numbered
from fathometer.lab.setting import Setting
from fathometer.spec import Mlp
from fathometer.theory import forecast

BASE = Mlp(width=64, activation="relu", init="he")
KINDS = {
    "plain, PyTorch's start": replace(BASE, init="pytorch"),
    "x + f(x)": replace(BASE, residual="plain"),
    "x + f(x)/√depth": replace(BASE, residual="scaled"),
    "x + f(norm(x))": replace(BASE, residual="pre-norm"),
}


@lru_cache(maxsize=64)
def along(kind: str, depth: int) -> DepthProfile:
    """Return the forecast of one kind at a depth."""
    return forecast(replace(KINDS[kind], depth=depth))


def show(value: float) -> Shown:
    """Return signal and gradient of four kinds at a depth."""
    depth = round(value)
    profiles = {kind: along(kind, depth) for kind in KINDS}
    plain, sums, scaled, normed = profiles.values()
    numbers = {
        "depth": amount(depth),
        "width": amount(BASE.width),
        "weights": amount(BASE.width**2),
        "plain": amount(_back(plain)),
        "sums": amount(_back(sums)),
        "scaled": amount(_back(scaled)),
        "normed": amount(_back(normed)),
        "growth": amount((sums.values["signal"][-1] or 0) / (sums.values["signal"][0] or 1)),
        "scaled_growth": amount((scaled.values["signal"][-1] or 0) / (scaled.values["signal"][0] or 1)),
    }
    backward = tuple(Line(kind, numbered(logarithms(one.values["gradient"]))) for kind, one in profiles.items())
    forward = tuple(Line(kind, numbered(logarithms(one.values["signal"]))) for kind, one in profiles.items())
    return Shown(
        numbers,
        (
            Picture(
                "Gradient, over that of the last layer", "layer", backward, log_y=True, see="The sum has a way past every weight."
            ),
            Picture("Signal", "layer", forward, log_y=True, see="A bare sum doubles at every block; scaling or a norm tames it."),
        ),
    )


def _back(profile: DepthProfile) -> float:
    gradient = profile.values["gradient"]
    return (gradient[0] or 0.0) / (gradient[-1] or 1.0)


RESIDUALS = Lesson(
    "Residual connections",
    "Ask a layer for the change, not for the whole.",
    (
        "To pass its input on unchanged, a plain layer of {width} units must set {weights} weights to the identity, and its "
        "activation must let everything through. A residual block has to do nothing: with f at zero, x + f(x) is x. Extra depth"
        " then does no harm at its start, and no deeper network need be worse than a shallower one.",
        "Backwards, the derivative of x + f(x) is one plus something: a way to the first layer that passes no weight at all. "
        "Through {depth} layers a plain stack as PyTorch starts it leaves {plain} of the gradient.",
        "It has a price. A bare sum adds as much as it has: its signal grows {growth} times over {depth} blocks, and the "
        "gradient {sums} times on the way back. Divide each branch by √depth and both stay in hand ({scaled_growth} and "
        "{scaled}); normalise what each branch reads, and the gradient changes by {normed}.",
    ),
    "Turn the depth up until the bare sum is off the scale. Which two lines stay flat?",
    Slider("layers", 2, 400, 50, log=True),
    show,
    ("Open a thousand residual layers", Setting(depth=1000, activation="relu", init="he", residual="scaled", steps=60)),
    (
        "He and others: Deep residual learning; Identity mappings in deep residual networks",
        "Hayou and others: Stable ResNet",
        "Srivastava and others: Highway networks",
    ),
)
