"""From crossings, block by block, to a profile with its bands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from fathometer.activations import Activation
from fathometer.depth_profile import DepthProfile, Series
from fathometer.errors import SpecError, shown
from fathometer.spec.checks import check_count
from fathometer.theory.gaussian import Array
from fathometer.theory.maps import saturation_edge
from fathometer.theory.steps import IDENTITY, Response, Signal, then

BAND = 1.96  # standard deviations to each side: 95% of a Gaussian
_SCATTER_STOPS = "depth over width: single networks scatter so much that the curve of infinite width says little of one"


@dataclass(frozen=True)
class Start:
    """What goes in: second moment and mean cosine of the inputs, how many there are, and how many tokens each has."""

    signal: float = 1.0
    correlation: float = 0.0
    num_inputs: int | None = None
    num_tokens: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.signal < inf:
            raise SpecError(f"`signal` is {shown(self.signal)}", "It must be a finite number above 0", "Try signal = 1.0")
        if not -1 <= self.correlation <= 1:
            raise SpecError(f"`correlation` is {shown(self.correlation)}", "It must be from -1 to 1", "Try correlation = 0.0")
        check_count("num_inputs", self.num_inputs, optional=True)
        check_count("num_tokens", self.num_tokens, optional=True)


@dataclass(frozen=True)
class Crossing:
    """What came of one block: the signal that leaves it, its response, and two facts about its inside.

    `lengths` are the second moments in front of its activations; `added` is the root mean square of what the block adds
    to its stream over that of the stream (None without a stream).
    """

    signal: Signal
    response: Response
    lengths: tuple[float, ...]
    added: float | None = None


def profile_of(
    crossings: Sequence[Crossing],
    phi: Activation,
    *,
    scatter: float = 0.0,
    stops: Iterable[str] = (),
    points: Iterable[str] | None = None,
) -> DepthProfile:
    """Return the profile of these blocks; `scatter` is the variance of the log of the signal that enters the first.

    `stops` are reasons why theory does not reach all of it; one is added where single networks scatter too much.
    """
    signals = np.array([crossing.signal.moment for crossing in crossings])
    scatters = _scatters(crossings, scatter)
    gradients, gradient_scatters = _gradients(crossings, scatters)
    values = {
        "signal": _series(signals),
        "correlation": _series(crossing.signal.correlation for crossing in crossings),
        "gradient": _series(gradients),
    }
    if phi.saturates:
        values["saturated"] = _series(_saturated(crossings, phi))
    if any(crossing.added is not None for crossing in crossings):
        values["branch_ratio"] = tuple(crossing.added for crossing in crossings)
    bands = {"signal": _band(signals, scatters), "gradient": _band(gradients, gradient_scatters)}
    low, high = ({name: band[side] for name, band in bands.items()} for side in (0, 1))
    wide = max(scatters[-1], gradient_scatters[0]) > 1
    said = "; ".join(stops) or (_SCATTER_STOPS if wide else None)
    names = (f"blocks.{index}" for index in range(len(crossings))) if points is None else points
    return DepthProfile("forecast", tuple(names), values, low, high, {"stops": said})


def _scatters(crossings: Sequence[Crossing], scatter: float) -> Array:
    # The variance of log(measured/expected) behind each block: what came in, times growth², and the block's own.
    scatters = []
    for crossing in crossings:
        scatter = crossing.response.growth * crossing.response.growth * scatter + crossing.response.noise
        scatters.append(scatter)
    return np.array(scatters)


def _gradients(crossings: Sequence[Crossing], scatters: Array) -> tuple[Array, Array]:
    # From the last block back to the first: all later blocks as one response.
    total, gradients, gradient_scatters = IDENTITY, [1.0], [0.0]
    for crossing, scatter in zip(crossings[:0:-1], scatters[-2::-1].tolist(), strict=True):
        total = then(crossing.response, total)
        gradients.append(total.slope)
        gradient_scatters.append(total.slope_growth * total.slope_growth * scatter + total.slope_noise)
    return np.array(gradients[::-1]), np.array(gradient_scatters[::-1])


def _band(expected: Array, scatters: Array) -> tuple[Series, Series]:
    # Lognormal with the expected mean, hence the median exp(-variance/2) times it. Rounding may leave a variance below 0.
    scatters = np.maximum(scatters, 0.0)
    exponents = [np.clip(side * BAND * np.sqrt(scatters) - scatters / 2, -600, 600) for side in (-1, 1)]
    with np.errstate(over="ignore"):
        return _series(expected * np.exp(exponents[0])), _series(expected * np.exp(exponents[1]))


def _saturated(crossings: Sequence[Crossing], phi: Activation) -> Array:
    from scipy.special import erfc

    lengths = np.array([crossing.lengths for crossing in crossings])
    return erfc(saturation_edge(phi) / np.sqrt(2 * lengths)).mean(axis=1)


def _series(numbers: Iterable[float]) -> Series:
    return tuple(float(number) for number in numbers)
