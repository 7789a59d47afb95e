"""What a forecast costs: processor time from one layer to the 96 blocks of GPT-3."""

from statistics import median
from time import process_time
from typing import Any

from fathometer.spec import Mlp, Spec, preset
from fathometer.theory import forecast

REPEATS = 7
SPECS: dict[str, Spec] = {
    "tanh, 50 layers": Mlp(depth=50, activation="tanh"),
    "tanh, 1,000 layers": Mlp(depth=1000, activation="tanh"),
    "gelu, 1,000 layers": Mlp(depth=1000, activation="gelu"),
    "resnet-50": preset("resnet-50"),
    "gpt2": preset("gpt2"),
    "gpt3-175b": preset("gpt3-175b"),
    "llama3-405b": preset("llama3-405b"),
}


def forecast_cost() -> list[dict[str, Any]]:
    """Return one row for each network: the middle and the largest processor time of some forecasts, the first left out."""
    rows = []
    for name, spec in SPECS.items():
        forecast(spec)
        times = [_seconds(spec) for _ in range(REPEATS)]
        rows.append({"network": name, "milliseconds": 1000 * median(times), "most": 1000 * max(times), "repeats": REPEATS})
    return rows


def _seconds(spec: Spec) -> float:
    start = process_time()
    forecast(spec)
    return process_time() - start
