"""What theory expects of a multilayer perceptron, block by block.

Mean-field theory is exact for infinite width (Poole et al. 2016; Schoenholz et al. 2017; Yang & Schoenholz 2017 for
residual networks). The bands add what finite width does to one network, to first order in depth over width
(Hanin & Nica 2020, "Products of many large random matrices and gradients in deep neural networks").
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf
from typing import Any

from fathometer.activations import Activation
from fathometer.depth_profile import DepthProfile
from fathometer.errors import SpecError
from fathometer.spec import Mlp
from fathometer.theory.blocks import branch_of, cross_plain, cross_residual, linear_of
from fathometer.theory.gaussian import as_activation
from fathometer.theory.profile import Crossing, Start, profile_of
from fathometer.theory.steps import Linear, Signal, linear

BATCH_NORM_STOPS = "BatchNorm: large batches whose samples are all equally alike"


def forecast_mlp(spec: Mlp, start: Start) -> DepthProfile:
    """Return what theory expects of a multilayer perceptron."""
    first, scatter = Signal(start.signal, start.correlation), 0.0
    if spec.residual == "none":
        inner = linear_of(spec, "hidden", spec.width, spec.width)
        layers = [linear_of(spec, "input", spec.inputs, spec.width)] + [inner] * (spec.depth - 1)
        crossings = _cross(first, layers, lambda at, layer: cross_plain(at, layer, spec.phi, spec.norm_kind, start.num_inputs))
    else:
        first, stem = linear(first, linear_of(spec, "input", spec.inputs, spec.width))
        scatter, branch = stem.noise, branch_of(spec)
        crossings = _cross(first, [branch] * spec.depth, lambda at, layers: cross_residual(at, spec, layers, start.num_inputs))
    return profile_of(crossings, spec.phi, scatter=scatter, stops=[BATCH_NORM_STOPS] if spec.norm_kind == "batch" else [])


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
    depth, start = len(weight_variances), Start(signal, correlation)
    sizes = [inf] * (depth + 1) if widths is None else [float(width) for width in widths]
    points = tuple(str(index + 1) for index in range(depth)) if points is None else tuple(points)
    _check_lengths(depth, bias_variances=len(bias_variances), widths=len(sizes) - 1, points=len(points))
    layers = [
        Linear(weight, weight * (1.0 if fan_out == fan_in else fan_out / fan_in), bias, fan_out)
        for weight, bias, (fan_in, fan_out) in zip(weight_variances, bias_variances, pairwise(sizes), strict=True)
    ]
    phi = as_activation(activation)
    crossings = _cross(Signal(start.signal, start.correlation), layers, lambda at, layer: cross_plain(at, layer, phi))
    return profile_of(crossings, phi, points=points)


def _cross(signal: Signal, blocks: Sequence[Any], cross: Callable[[Signal, Any], Crossing]) -> list[Crossing]:
    crossings = []
    for block in blocks:
        crossings.append(cross(signal, block))
        signal = crossings[-1].signal
    return crossings


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
