"""Lesson: features made of features, in pictures and in language."""

from math import log10

from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount, numbered
from fathometer.lab.setting import Setting

CLASSES, SYMBOLS, SYNONYMS, BRANCHING = 8, 8, 4, 2  # as the task "hierarchy" has them
MOST_LEVELS = 7
KERNEL = 3


def inputs_that_exist(levels: int) -> float:
    """Return the base-10 logarithm of how many inputs the rules can write: classes · synonyms^(rules applied)."""
    return log10(CLASSES) + (BRANCHING**levels - 1) / (BRANCHING - 1) * log10(SYNONYMS)


def rules_to_learn(levels: int) -> int:
    """Return how many rules there are: each class and each symbol of each level above the lowest, in each way."""
    return SYNONYMS * (CLASSES + SYMBOLS * (levels - 1))


def receptive_field(layers: int) -> int:
    """Return how many pixels a unit of a stack of 3×3 convolutions sees, along one side."""
    return 1 + layers * (KERNEL - 1)


def show(value: float) -> Shown:
    """Return how inputs, rules and the field of view grow with depth."""
    levels = round(value)
    ladder = range(1, MOST_LEVELS + 1)
    exists = Line("inputs that exist", numbered([inputs_that_exist(level) for level in ladder]))
    rules = Line("rules to learn", numbered([log10(rules_to_learn(level)) for level in ladder]))
    view = Line("pixels seen along a side", numbered([float(receptive_field(layer)) for layer in range(1, 17)]))
    whole = Line("the whole scene", [(1, 16.0), (16, 16.0)], quiet=True)
    sees_all = next(layer for layer in range(1, 17) if receptive_field(layer) >= 16)
    numbers = {
        "levels": amount(levels),
        "length": amount(BRANCHING**levels),
        "inputs": amount(10 ** inputs_that_exist(levels)) if inputs_that_exist(levels) < 300 else "more than can be written",
        "rules": amount(rules_to_learn(levels)),
        "classes": amount(CLASSES),
        "synonyms": amount(SYNONYMS),
        "kernel": amount(KERNEL),
        "layers_for_all": amount(sees_all),
        "side": amount(16),
    }
    return Shown(
        numbers,
        (
            Picture(
                "Data, and what makes them",
                "levels",
                (exists, rules),
                log_y=True,
                mark=levels,
                see="Memorising is the upper line.",
            ),
            Picture("What one unit sees", "layers of 3×3", (view, whole), see="An early unit sees only a part of the scene."),
        ),
    )


HIERARCHIES = Lesson(
    "Features made of features",
    "The world is written in parts, of parts, of parts. Depth reads it the same way.",
    (
        "In a picture, pixels make edges, edges make textures, textures make parts, parts make an object. A unit behind "
        "{layers_for_all} convolutions of {kernel} by {kernel} is the first to see a whole scene of {side} pixels; before it, "
        "each unit knows a part of the scene. Whether a trained network keeps to that order is to be measured: the command "
        "fathometer look scenes does.",
        "In language, words have parts of speech, join to phrases, play roles in sentences, and sentences share a topic. The "
        "same ladder, with another alphabet.",
        "A toy makes it exact: {classes} classes, each written as two symbols, each of those as two smaller ones, in any of "
        "{synonyms} ways. At {levels} levels an input has {length} symbols and there are {inputs} of them, but only {rules} "
        "rules made them all. One layer needs examples in the number of the inputs; with a layer for each level, the rules can "
        "be learnt one on top of the other.",
    ),
    "Go up one level: by how much do the rules grow, and by how much the inputs?",
    Slider("levels", 1, MOST_LEVELS, 3),
    show,
    (
        "Look inside a network that reads the toy",
        Setting(depth=4, width=128, activation="relu", init="he", task="hierarchy", steps=1000, rate=2e-3),
    ),
    (
        "Cagnetta and others: How deep neural networks learn compositional data",
        "Zeiler & Fergus: Visualizing and understanding convolutional networks",
        "Tenney and others: BERT rediscovers the classical NLP pipeline",
    ),
)
