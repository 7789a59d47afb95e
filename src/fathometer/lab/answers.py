"""What theory answers while a slider moves: a few small numbers."""

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite, log10
from typing import Any

from fathometer.depth_profile import DepthProfile, Series
from fathometer.errors import SpecError
from fathometer.lab.controls import idle
from fathometer.lab.setting import BATCH_SIZE, Setting, spec_of
from fathometer.text import power_text

MOST_POINTS = 240  # drawn along depth: more than a screen has places for
MOST_ROWS = 64  # of a heatmap
EDGE = 150.0  # of logarithms: what lies beyond is drawn there
LOGARITHMIC = ("signal", "gradient", "update", "branch_ratio")
MOST_FLOPS = 3e12  # of one training run: about two minutes of one core
_DRAWN = ("signal", "gradient", "correlation", "branch_ratio")


@lru_cache(maxsize=512)
def theory(setting: Setting) -> dict[str, Any]:
    """Return what theory expects of a setting, as the page draws it: logarithms to base 10 of what spans magnitudes.

    `words` says it in a sentence with a number, `idle` which controls change nothing here, and `facts` what the network
    costs.
    """
    from fathometer.scaling import num_parameters
    from fathometer.theory import forecast

    spec = spec_of(setting)
    profile = forecast(
        spec,
        correlation=max(setting.what.correlation, 1 / setting.what.outputs if setting.what.context else 0.0),
        num_inputs=BATCH_SIZE,
        num_tokens=setting.what.context or None,
    )
    return {
        **drawn(profile),
        "setting": setting.to_dict(),
        "words": theory_words(profile),
        "idle": idle(setting),
        "facts": {"parameters": num_parameters(spec), "blocks": len(profile), "flops": run_cost(setting)},
    }


def run_cost(setting: Setting) -> float:
    """Return the operations of the training run that a setting asks for."""
    from fathometer.scaling import training_flops

    return float(training_flops(spec_of(setting))) * BATCH_SIZE * setting.steps


def check_cost(setting: Setting) -> None:
    """Raise `SpecError` for a run that would take far longer than a visitor waits."""
    cost = run_cost(setting)
    if cost > MOST_FLOPS:
        fewer = int(setting.steps * MOST_FLOPS / cost)
        raise SpecError(
            f"This run takes {cost:.1e} operations",
            f"The lab trains up to {MOST_FLOPS:.0e}, about two minutes of one core",
            f"Try steps = {fewer}" if fewer >= 20 else "Take fewer layers, or narrower ones",
        )


def drawn(profile: DepthProfile, most: int = MOST_POINTS, columns: Sequence[str] = _DRAWN) -> dict[str, Any]:
    """Return a profile as the page draws it: the depth of each point, its columns and their bands."""
    picked = evenly(len(profile), most)
    shown = [name for name in columns if name in profile.values]
    return {
        "depth": len(profile),
        "at": [index + 1 for index in picked],
        "values": {name: scaled(name, profile.values[name], picked) for name in shown},
        "bands": {
            name: [scaled(name, side[name], picked) for side in (profile.low, profile.high)]
            for name in shown
            if name in profile.low and name in profile.high
        },
    }


def evenly(count: int, most: int) -> list[int]:
    """Return at most so many places of a list, evenly spaced, the first and the last among them.

    >>> evenly(5, 3), evenly(2, 3)
    ([0, 2, 4], [0, 1])
    """
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def scaled(name: str, series: Series, picked: Sequence[int]) -> list[float | None]:
    """Return some numbers of a column, rounded, as logarithms where the column spans magnitudes."""
    values = [series[index] for index in picked]
    return [_logarithm(value) for value in values] if name in LOGARITHMIC else [_short(value) for value in values]


def _logarithm(value: float | None) -> float | None:
    """Return the logarithm, within ±`EDGE`: nothing at all is the lower edge, infinity the upper; NaN is None."""
    if value is None or value != value or value < 0:
        return None
    return -EDGE if value == 0 else round(max(-EDGE, min(EDGE, log10(value))), 3)


def _short(value: float | None) -> float | None:
    return round(value, 4) if value is not None and isfinite(value) else None


def theory_words(profile: DepthProfile) -> str:
    """Return what is foretold in one sentence."""
    gradients = [value for value in profile.values.get("gradient", ()) if value is not None]
    correlations = [value for value in profile.values.get("correlation", ()) if value is not None]
    depth = len(profile)
    if depth < 2 or not gradients:
        return "One layer has no depth to lose a gradient in."
    change = (_logarithm(gradients[0]) or 0.0) - (_logarithm(gradients[-1]) or 0.0)
    if change < -3:
        start = f"The gradient fades to {power(change)} of itself on the way from layer {depth} to layer 1."
    elif change > 3:
        start = f"The gradient grows {power(change)} times on the way from layer {depth} to layer 1."
    else:
        start = f"The gradient arrives at layer 1 at {10**change:.2g} times its size at layer {depth}."
    if correlations and correlations[-1] > 0.99:
        start += f" Two inputs have become nearly one: their cosine is {correlations[-1]:.4f}."
    return start


def power(exponent: int | float) -> str:
    """Return the nearest power of ten as it is written.

    >>> power(-24.6)
    '10⁻²⁵'
    """
    return power_text(round(exponent))
