"""Lesson: what is often said of depth, and what is so."""

from functools import lru_cache
from math import log10, pi

import numpy as np

from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount, numbered
from fathometer.lab.lessons.recipe import REFITTED, ROUNDED
from fathometer.lab.setting import Setting
from fathometer.scaling import optimum
from fathometer.spec import Mlp
from fathometer.theory import forecast, most_pieces_on_a_line

UNITS, DRAWS, PLACES = 32, 12, 4001
CHINCHILLA = 5.88e23  # operations: what the paper's own network was trained with


def show(value: float) -> Shown:
    """Return four sayings' numbers at a depth."""
    depth = round(value)
    stream = [
        signal or 0.0 for signal in forecast(Mlp(depth=depth, activation="relu", init="he", residual="pre-norm")).values["signal"]
    ]
    cosines = forecast(Mlp(depth=depth, activation="relu", init="he")).values["correlation"]
    layers = (1, 2, 4, 8)
    counts = [random_pieces(UNITS // count, count) for count in layers]
    most = [most_pieces_on_a_line([UNITS // count] * count) for count in layers]
    rounded, refitted = (optimum(law, CHINCHILLA).tokens_per_parameter.value for law in (ROUNDED, REFITTED))
    numbers = {
        "depth": amount(depth),
        "half": amount(depth // 2),
        "growth": f"{stream[-1] / stream[depth // 2 - 1]:.2f}",
        "doubling": amount(2.0 ** (depth / 2)),
        "apart": amount(1 - (cosines[-1] or 0.0)),
        "formula": amount(9 * pi**2 / 2 / depth**2),
        "units": amount(UNITS),
        "could": amount(most[-1]),
        "has": f"{counts[-1]:.0f}",
        "has_flat": f"{counts[0]:.0f}",
        "deepest": amount(layers[-1]),
        "rounded": amount(rounded),
        "refitted": amount(refitted),
        "draws": amount(DRAWS),
    }
    growing = (
        Line("signal of the stream", numbered([value / stream[0] for value in stream])),
        Line("a straight line", [(1, 1.0), (depth, stream[-1] / stream[0])], quiet=True),
    )
    pieces = (
        Line("at a random start", [(count, log10(found)) for count, found in zip(layers, counts, strict=True)]),
        Line("the most there can be", [(count, log10(found)) for count, found in zip(layers, most, strict=True)], quiet=True),
    )
    return Shown(
        numbers,
        (
            Picture("A pre-norm stream, over its first block", "block", growing, see="It grows as a line does, not as a power."),
            Picture(
                f"Straight pieces of {UNITS} ReLU units",
                "layers they stand in",
                pieces,
                log_y=True,
                see="Depth may fold; at random it does not.",
            ),
        ),
    )


@lru_cache(maxsize=16)
def random_pieces(width: int, depth: int) -> float:
    """Return the mean number of linear pieces on a line of random ReLU networks (He, and biases), by their changing signs."""
    line, total = np.linspace(-2, 2, PLACES)[None], 0
    for draw in range(DRAWS):
        generator = np.random.default_rng((width, depth, draw))
        signal, pattern = line, []
        for _ in range(depth):
            weights = generator.standard_normal((width, len(signal))) * (2 / len(signal)) ** 0.5
            before = weights @ signal + 0.5 * generator.standard_normal((width, 1))
            pattern.append(before > 0)
            signal = np.maximum(before, 0)
        active = np.concatenate(pattern)
        total += 1 + int((active[:, 1:] != active[:, :-1]).any(axis=0).sum())
    return total / DRAWS


FOLKLORE = Lesson(
    "Where the folklore is wrong",
    "Said often, measured seldom.",
    (
        "“Deep networks have exponentially many pieces.” They can: {units} ReLU units in {deepest} layers could bend a line "
        "into {could} pieces. Drawn at random, {draws} times over, they have {has} on average, against {has_flat} in one layer."
        " Depth buys the capacity for folds; training has to find them.",
        "“The stream of a pre-norm network grows exponentially.” At its start it grows as a line: at block {depth} it is "
        "{growth} times what it is at block {half}. Doubling with every second block would make it {doubling} times its start.",
        "“He's start solves depth.” It keeps the size of signal and gradient. It does not keep inputs apart: after {depth} "
        "plain layers, one minus their cosine is {apart}, and theory's rule, nine halves of π² over depth squared, says "
        "{formula}.",
        "“Twenty tokens for each parameter, says the Chinchilla paper.” Its constants, as printed and rounded, give {rounded} "
        "at its own compute; refitted to its own points they give {refitted}.",
        "“Sick-looking is sick.” Of networks meant to be broken, some train well: Adam repairs some starts in ten steps. That is "
        "why a remedy here counts only when training has proved it.",
    ),
    "Double the depth. Does the stream double with it?",
    Slider("layers", 10, 200, 100),
    show,
    ("See it in the lab", Setting(depth=100, activation="relu", init="he")),
    (
        "Hanin & Rolnick: Complexity of linear regions in deep networks",
        "Xiong and others: On layer normalization in the transformer architecture",
        "Besiroglu and others: Chinchilla scaling: a replication attempt",
    ),
)
