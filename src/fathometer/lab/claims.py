"""The lesson as a table: what it claims, and the setting that shows it."""

from dataclasses import replace

from fathometer.lab.presets import BEGINNINGS
from fathometer.lab.setting import Setting

_RELU = Setting(depth=20, activation="relu")
_STREAM = BEGINNINGS["96"].setting
_EXPLODES = Setting(init="lecun", gain=2.5)
_FAST = Setting(depth=30, activation="relu", init="he", optimizer="sgd", rate=0.3)
# A claim is the reader's to check: the page measures a row when it is asked to, and types no number.
CLAIMS: dict[str, Setting] = {
    "1 layer": BEGINNINGS["1"].setting,
    "5 layers": BEGINNINGS["5"].setting,
    "50 layers, with a residual stream": replace(_STREAM, depth=50),
    "96 layers": _STREAM,
    "The gradient vanishes with depth": Setting(),
    "The gradient explodes with depth": _EXPLODES,
    "Plain networks: few layers train": replace(_RELU, depth=2, init="he"),
    "… and many train worse": replace(_RELU, depth=64, init="he"),
    "ReLU, started as for any layer": _RELU,
    "… and with a start of its own": replace(_RELU, init="he"),
    "output = input + f(input)": Setting(residual="scaled"),
    "The norm last": replace(_STREAM, place="after"),
    "A rate that is too high": _FAST,
    "… tamed by clipping": replace(_FAST, clip=1.0),
}


def claims_table() -> list[dict[str, object]]:
    """Return the claims for the page, in the order in which the lesson makes them."""
    return [{"claim": claim, "setting": setting.to_dict()} for claim, setting in CLAIMS.items()]
