"""Lesson: what depth can say in few words, and one layer in many."""

import numpy as np

from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount, numbered
from fathometer.lab.setting import Setting
from fathometer.theory import (
    ReluStack,
    least_error,
    most_pieces_on_a_line,
    shallow_sawtooth,
    shallow_twin,
    tent_network,
    units_for_sawtooth,
)

MOST_FOLDS = 10


def show(value: float) -> Shown:
    """Return the sawtooth of so many folds, by a deep network and by one layer of as many units."""
    folds = round(value)
    deep, shallow = tent_network(folds), shallow_sawtooth(folds)
    places = np.linspace(0, 1, 2 ** min(folds, 8) * 4 + 1)
    numbers = {
        "folds": amount(folds),
        "pieces": amount(2**folds),
        "deep_units": amount(deep.num_units),
        "deep_weights": amount(deep.num_parameters),
        "shallow_units": amount(units_for_sawtooth(folds)),
        "shallow_weights": amount(shallow.num_parameters),
        "same_pieces": amount(most_pieces_on_a_line([deep.num_units])),
        "error": f"{float(least_error(most_pieces_on_a_line([deep.num_units]), 2**folds)):.0%}",
    }
    lines = (
        Line(f"{folds} layers of two units", _points(places, deep(places))),
        Line("one layer with as many units", _points(places, _same_units(folds, deep.num_units)(places)), quiet=True),
    )
    ladder = range(1, MOST_FOLDS + 1)
    cost = (
        Line("deep", numbered([float(np.log10(2 * k)) for k in ladder])),
        Line("one layer", numbered([float(np.log10(units_for_sawtooth(k))) for k in ladder])),
    )
    return Shown(
        numbers,
        (
            Picture("A line, folded", "input", lines, see="One layer runs out of bends after the first teeth."),
            Picture("Units it takes", "folds", cost, log_y=True, mark=folds, see="One is a line here, and the other a power."),
        ),
    )


def _same_units(folds: int, units: int) -> ReluStack:
    """Return one layer of so many units: exact on the first teeth, and then flat."""
    teeth = min(units - 1, 2**folds)
    places = np.arange(teeth + 1) / 2**folds
    values = np.arange(teeth + 1) % 2.0
    if teeth < 2**folds:
        places, values = np.append(places, 1.0), np.append(values, values[-1])
    return shallow_twin(places, values)


def _points(places: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(places.tolist(), np.ravel(values).tolist(), strict=True))


POWER = Lesson(
    "The power of depth",
    "A layer folds the paper; the next layer folds what is folded already.",
    (
        "One hidden layer can come as near to any continuous function as you like, if it may be as wide as it likes. Each of its "
        "units bends the line once, so a curve with {pieces} straight pieces costs it {shallow_units} units and "
        "{shallow_weights} weights.",
        "A deep network composes. Two units fold the line in half; the same two units again fold the fold. {folds} such layers "
        "make {pieces} pieces from {deep_units} units and {deep_weights} weights, exactly. One layer of {deep_units} units has "
        "{same_pieces} pieces at most.",
        "Of {pieces} points with alternating labels, one layer that small must get at least {error} wrong, however it is "
        "trained.",
        "This is what a deep network can say, and not what it says at its start: random layers do not fold so neatly. The last "
        "lesson counts their pieces.",
    ),
    "Add one fold at a time. The deep network grows by two units; how fast does the shallow one grow?",
    Slider("folds", 1, MOST_FOLDS, 7),
    show,
    ("Train five layers on the sawtooth", Setting(depth=5, width=32, activation="relu", init="he", task="sawtooth", steps=600)),
    ("Telgarsky: Representation benefits of deep feedforward networks", "Cybenko; Hornik: universal approximation"),
)
