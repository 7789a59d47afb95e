"""The controls of the page: what each may be, and where it does nothing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fathometer.lab.tasks import TASKS

if TYPE_CHECKING:
    from fathometer.lab.setting import Setting


@dataclass(frozen=True)
class Number:
    """A control that is a number: its bounds, where it begins, and whether 0 turns it off."""

    least: int | float
    most: int | float
    first: int | float
    whole: bool = False
    log: bool = True
    off: bool = False


FAMILIES = {"mlp": "Perceptron", "convnet": "Convnet", "transformer": "Transformer"}
CHOICES: dict[str, dict[str, str]] = {
    "family": FAMILIES,
    "task": {name: task.label for name, task in TASKS.items()},
    "activation": {
        "relu": "ReLU",
        "tanh": "tanh",
        "gelu": "GELU",
        "silu": "SiLU",
        "elu": "ELU",
        "selu": "SELU",
        "sigmoid": "sigmoid",
        "linear": "linear",
    },
    "norm": {"none": "none", "layer": "LayerNorm", "rms": "RMSNorm", "batch": "BatchNorm"},
    "place": {"before": "before the branch", "after": "after the sum", "both": "before and inside"},
    "residual": {
        "none": "none",
        "plain": "x + α f(x)",
        "scaled": "x + f(x)/√L",
        "rezero": "ReZero",
        "layerscale": "LayerScale",
        "deepnorm": "DeepNorm",
        "highway": "highway",
    },
    "init": {
        "pytorch": "PyTorch's default",
        "lecun": "LeCun",
        "xavier": "Xavier",
        "he": "He",
        "orthogonal": "orthogonal",
        "fixup": "Fixup",
        "gpt2": "GPT-2",
        "mup": "μP",
        "depth-mup": "depth-μP",
        "completep": "CompleteP",
    },
    "optimizer": {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "muon": "Muon"},
}
NUMBERS: dict[str, Number] = {
    "depth": Number(1, 1000, 50, whole=True),
    "width": Number(8, 512, 64, whole=True),
    "strength": Number(0.01, 4, 1),
    "gain": Number(0.25, 4, 1),
    "rate": Number(1e-5, 1, 1e-3),
    "clip": Number(0.01, 10, 1, off=True),
    "steps": Number(20, 2000, 200, whole=True),
    "seed": Number(0, 99, 0, whole=True, log=False),
}
_FITTING = {family: tuple(name for name, task in TASKS.items() if family in task.families) for family in FAMILIES}
# What a family can have, where it cannot have all; the first one is taken where the family changes.
ALLOWED: dict[str, dict[str, tuple[str, ...]]] = {
    "mlp": {
        "task": _FITTING["mlp"],
        "init": ("he", "pytorch", "lecun", "xavier", "orthogonal", "fixup", "mup", "depth-mup", "completep"),
    },
    "convnet": {
        "task": _FITTING["convnet"],
        "norm": ("batch", "none", "layer"),
        "residual": ("plain", "none"),
        "init": ("he", "pytorch", "lecun", "xavier", "orthogonal"),
    },
    "transformer": {
        "task": _FITTING["transformer"],
        "norm": ("layer", "none", "rms"),
        "residual": ("plain", "scaled", "rezero", "layerscale", "deepnorm"),
        "init": ("gpt2", "pytorch", "lecun", "xavier", "he", "orthogonal", "mup", "depth-mup", "completep"),
    },
}


def idle(setting: "Setting") -> dict[str, str]:
    """Return the controls that change nothing in a setting, each with the reason."""
    found = dict[str, str]()
    if setting.residual not in ("plain", "highway") or (setting.family == "convnet" and setting.residual == "none"):
        found["strength"] = _strength_words(setting)
    if setting.residual == "highway":
        found["strength"] = "A highway block has a gate in place of a strength."
    if setting.residual in ("scaled", "rezero", "layerscale", "highway"):
        found["norm"] = found["place"] = "This kind of residual does without a norm."
    elif setting.residual == "deepnorm":
        found["place"] = "DeepNorm stands after the sum."
    elif setting.residual == "none":
        found["place"] = "Without a residual stream the norm stands before the activation."
    elif setting.norm == "none":
        found["place"] = "There is no norm to place."
    if setting.family == "convnet":
        found["place"] = "Here a norm follows each convolution."
    if setting.family != "mlp":
        found["gain"] = "The gain is for perceptrons."
    return found


def _strength_words(setting: "Setting") -> str:
    return {
        "none": "Without a residual stream there is no branch.",
        "scaled": "The strength is 1/√L.",
        "rezero": "ReZero starts at 0, and learns its strength.",
        "layerscale": "LayerScale starts tiny, and learns its strength.",
        "deepnorm": "DeepNorm sets its own strength by depth.",
    }[setting.residual]


def controls_table() -> dict[str, object]:
    """Return all controls for the page to draw."""
    return {
        "choices": CHOICES,
        "numbers": {name: vars(number) for name, number in NUMBERS.items()},
        "allowed": ALLOWED,
        "questions": {name: task.question for name, task in TASKS.items()},
    }
