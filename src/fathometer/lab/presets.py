"""The settings to begin with: one, five, fifty and ninety-six layers."""

from dataclasses import dataclass

from fathometer.lab.setting import Setting


@dataclass(frozen=True)
class Beginning:
    """A setting with a name and a sentence about it."""

    label: str
    sentence: str
    setting: Setting


BEGINNINGS: dict[str, Beginning] = {
    "1": Beginning(
        "1", "One wide layer: approximates anything, inefficiently.", Setting(depth=1, width=256, activation="relu", init="he")
    ),
    "5": Beginning(
        "5", "Five layers: few enough that hardly any start fails.", Setting(depth=5, width=128, activation="relu", init="he")
    ),
    "50": Beginning("50", "Fifty plain layers, as PyTorch starts them: this one fails.", Setting()),
    "96": Beginning(
        "96",
        "As deep as GPT-3: a residual stream, normalised before each branch.",
        Setting(depth=96, activation="relu", init="he", residual="plain", norm="layer"),
    ),
}
FAILING = "50"  # the one that the first button watches fail


def beginnings_table() -> dict[str, object]:
    """Return the beginnings for the page."""
    rows = {
        name: {"label": one.label, "sentence": one.sentence, "setting": one.setting.to_dict()} for name, one in BEGINNINGS.items()
    }
    return {"beginnings": rows, "failing": FAILING}
