"""Lesson: one, five, fifty and ninety-six layers, by four recipes."""

from functools import cache

from fathometer.lab.lessons.entry import Lesson, Line, Picture, Shown, Slider, amount, logarithms, numbered
from fathometer.lab.setting import Setting
from fathometer.spec import Mlp
from fathometer.theory import forecast

DEEPEST = 120
DEPTHS = {"one": 1, "five": 5, "fifty": 50, "ninety_six": 96}
RECIPES = {
    "tanh, as PyTorch starts it": Mlp(depth=DEEPEST, activation="tanh", init="pytorch"),
    "ReLU, as PyTorch starts it": Mlp(depth=DEEPEST, activation="relu", init="pytorch"),
    "ReLU, He": Mlp(depth=DEEPEST, activation="relu", init="he"),
    "residual, norm first": Mlp(depth=DEEPEST, activation="relu", init="he", residual="pre-norm"),
}


@cache
def arriving(recipe: str) -> tuple[float, ...]:
    """Return what part of the last layer's gradient arrives at layer 1, for networks of each depth up to the deepest."""
    gradient = [value or 0.0 for value in forecast(RECIPES[recipe], correlation=0.47).values["gradient"]]
    return tuple(gradient[0] / value for value in gradient)


def show(value: float) -> Shown:
    """Return how much gradient arrives at layer 1, by depth, for four recipes."""
    depth = round(value)
    numbers = {"depth": amount(depth)} | {name: amount(count) for name, count in DEPTHS.items()}
    for name, recipe in zip(("tanh", "relu", "he", "pre"), RECIPES, strict=True):
        numbers[name] = amount(arriving(recipe)[depth - 1])
        numbers |= {f"{name}_{word}": amount(arriving(recipe)[count - 1]) for word, count in DEPTHS.items()}
    lines = tuple(Line(recipe, numbered(logarithms(arriving(recipe)))) for recipe in RECIPES)
    title = "Gradient that arrives at layer 1; at 1, all of it does"
    return Shown(numbers, (Picture(title, "layers", lines, log_y=True, mark=depth, see="Two recipes fall off the chart."),))


FOUR_DEPTHS = Lesson(
    "{one}, {five}, {fifty}, {ninety_six} layers",
    "Nothing breaks at once. It breaks by the same factor at every layer.",
    (
        "With {one} layer there is nothing to lose. With {five}, all four recipes work: even tanh as PyTorch starts it still "
        "hands layer {one} a part {tanh_five} of the gradient.",
        "At {fifty} layers the same recipe leaves {tanh_fifty}. A larger learning rate does not bring that back: it would throw "
        "the last layers far away before layer {one} moved. Adam, which divides each step by the size of the gradient, bears a "
        "few factors of ten, and not so many.",
        "He's start keeps the size ({he_fifty} at {fifty} layers). In a residual stream that is normalised before each branch it "
        "grows as a line, and not as a power: {pre_ninety_six} times at {ninety_six} blocks.",
        "Now, at {depth} layers: tanh {tanh}, ReLU as PyTorch starts it {relu}, ReLU with He {he}, residual {pre}.",
    ),
    "Find the depth at which a millionth of the gradient is left. Does it change when the activation does?",
    Slider("layers", 1, DEEPEST, 50),
    show,
    ("Watch fifty layers fail", Setting()),
    (
        "Glorot & Bengio: Understanding the difficulty of training deep feedforward networks",
        "He and others: Delving deep into rectifiers",
    ),
)
