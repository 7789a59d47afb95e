"""The signal through depth, and the gradient coming back, in theory.

Mean-field theory is exact for infinite width (Poole et al. 2016; Schoenholz et al. 2017; Yang & Schoenholz 2017 for
residual networks). The bands add what finite width does to one network, to first order in depth over width
(Hanin & Nica 2020, "Products of many large random matrices and gradients in deep neural networks").
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from scipy.special import erfc

from fathometer.activations import Activation
from fathometer.depth_profile import DepthProfile, Series
from fathometer.errors import SpecError
from fathometer.spec import Mlp
from fathometer.theory.blocks import Crossing, branch_of, cross_plain, cross_residual, linear_of
from fathometer.theory.gaussian import Array, as_activation
from fathometer.theory.maps import saturation_edge
from fathometer.theory.steps import IDENTITY, Linear, Signal, linear, then

BAND = 1.96  # standard deviations to each side: 95% of a Gaussian
_BATCH_NORM_STOPS = "BatchNorm: large batches whose samples are all equally alike"
_SCATTER_STOPS = "depth over width: single networks scatter so much that the curve of infinite width says little of one"


def forecast(spec: Mlp, *, signal: float = 1.0, correlation: float = 0.0, num_inputs: int | None = None) -> DepthProfile:
    """Return what theory expects of a network at its start, one point for each block.

    `signal` is the second moment of the inputs' entries, `correlation` the mean cosine of two inputs, `num_inputs` how
    many there are in a batch (it matters to BatchNorm alone; None: many). Columns: signal, correlation, gradient, for
    residual networks branch_ratio, for saturating activations saturated. The bands of signal and gradient hold 95% of
    networks of this width, seen by one sample. `facts["stops"]` says where theory does, None if nowhere.
    Second moments beyond 1e±120 are reported as that.

    >>> [round(cosine, 3) for cosine in forecast(Mlp(depth=3)).values["correlation"]]  # from orthogonal inputs
    [0.318, 0.494, 0.605]
    """
    first = _start(signal, correlation)
    if spec.residual == "none":
        layers = [linear_of(spec, "input", spec.inputs)] + [linear_of(spec, "hidden", spec.width)] * (spec.depth - 1)
        scatter = 0.0
        crossings = _cross(first, layers, lambda at, layer: cross_plain(at, layer, spec.phi, spec.norm_kind, num_inputs))
    else:
        first, stem = linear(first, linear_of(spec, "input", spec.inputs))
        scatter, branch = stem.noise, branch_of(spec)
        crossings = _cross(first, [branch] * spec.depth, lambda at, layers: cross_residual(at, spec, layers, num_inputs))
    points = tuple(f"blocks.{index}" for index in range(spec.depth))
    stops = _BATCH_NORM_STOPS if spec.norm_kind == "batch" else None
    return _profile(points, crossings, spec.phi, scatter, stops)


def forecast_stack(
    activation: Activation | str,
    weight_variances: Sequence[float],
    bias_variances: Sequence[float],
    *,
    signal: float = 1.0,
    correlation: float = 0.0,
    widths: Sequence[int] | None = None,
    points: Sequence[str] | None = None,
) -> DepthProfile:
    """Return what theory expects of a plain stack h ← φ(W h + b) with these variances, layer by layer.

    A weight variance is σ_w² = fan_in times the variance of one weight, a bias variance σ_b². `widths` holds the number
    of inputs and then of each layer's units; without it all are taken as equal and infinite, so the bands have no width.
    Raises `SpecError` when the lengths do not fit.
    """
    depth = len(weight_variances)
    sizes = [inf] * (depth + 1) if widths is None else [float(width) for width in widths]
    points = tuple(str(index + 1) for index in range(depth)) if points is None else tuple(points)
    _check_lengths(depth, bias_variances=len(bias_variances), widths=len(sizes) - 1, points=len(points))
    layers = [
        Linear(weight, weight * (1.0 if fan_out == fan_in else fan_out / fan_in), bias, fan_out)
        for weight, bias, (fan_in, fan_out) in zip(weight_variances, bias_variances, pairwise(sizes), strict=True)
    ]
    phi = as_activation(activation)
    crossings = _cross(_start(signal, correlation), layers, lambda at, layer: cross_plain(at, layer, phi))
    return _profile(points, crossings, phi, 0.0, None)


def _cross(signal: Signal, blocks: Sequence[Any], cross: Callable[[Signal, Any], Crossing]) -> list[Crossing]:
    crossings = []
    for block in blocks:
        crossings.append(cross(signal, block))
        signal = crossings[-1].signal
    return crossings


def _profile(
    points: tuple[str, ...], crossings: list[Crossing], phi: Activation, scatter: float, stops: str | None
) -> DepthProfile:
    signals = np.array([crossing.signal.moment for crossing in crossings])
    scatters = _scatters(crossings, scatter)
    gradients, gradient_scatters = _gradients(crossings, scatters)
    values = {
        "signal": _series(signals),
        "correlation": _series([crossing.signal.correlation for crossing in crossings]),
        "gradient": _series(gradients),
    }
    if phi.saturates:
        values["saturated"] = _series(_saturated(crossings, phi))
    if crossings[0].added is not None:
        values["branch_ratio"] = tuple(crossing.added for crossing in crossings)
    bands = {"signal": _band(signals, scatters), "gradient": _band(gradients, gradient_scatters)}
    low, high = ({name: band[side] for name, band in bands.items()} for side in (0, 1))
    if stops is None and max(scatters[-1], gradient_scatters[0]) > 1:
        stops = _SCATTER_STOPS
    return DepthProfile("forecast", points, values, low, high, {"stops": stops})


def _scatters(crossings: list[Crossing], scatter: float) -> Array:
    # The variance of log(measured/expected) behind each block: what came in, times growth², and the block's own.
    scatters = []
    for crossing in crossings:
        scatter = crossing.response.growth * crossing.response.growth * scatter + crossing.response.noise
        scatters.append(scatter)
    return np.array(scatters)


def _gradients(crossings: list[Crossing], scatters: Array) -> tuple[Array, Array]:
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


def _saturated(crossings: list[Crossing], phi: Activation) -> Array:
    lengths = np.array([crossing.lengths for crossing in crossings])
    return erfc(saturation_edge(phi) / np.sqrt(2 * lengths)).mean(axis=1)


def _series(numbers: Iterable[float]) -> Series:
    return tuple(float(number) for number in numbers)


def _start(signal: float, correlation: float) -> Signal:
    if not 0 < signal < inf:
        raise SpecError(f"`signal` is {signal!r}", "It must be a finite number above 0", "Try signal = 1.0")
    if not -1 <= correlation <= 1:
        raise SpecError(f"`correlation` is {correlation!r}", "It must be from -1 to 1", "Try correlation = 0.0")
    return Signal(float(signal), float(correlation))


def _check_lengths(depth: int, **given: int) -> None:
    if depth == 0:
        raise SpecError("`weight_variances` is empty", "A stack has at least one layer", "Give one variance for each layer")
    for name, length in given.items():
        if length != depth:
            raise SpecError(
                f"`{name}` is for {length} layers and `weight_variances` for {depth}",
                "There must be one for each layer (and in `widths` the number of inputs first)",
                f"Give {depth}",
            )
