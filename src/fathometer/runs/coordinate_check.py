"""Does the stream keep its size while networks grow deeper or wider?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from fathometer.contract import main_tensor
from fathometer.errors import SpecError
from fathometer.instruments import Call, listen
from fathometer.networks import build, scales
from fathometer.parametrizations import Scale
from fathometer.records import Asked
from fathometer.spec import Spec
from fathometer.spec.changes import change
from fathometer.training import fit


@dataclass(frozen=True)
class CoordinateCheck:
    """The mean absolute value of what leaves the last block: a row for each size, a column for each step.

    `axis` is "depth" or "width", `sizes` are its values; column 0 is at initialisation, column k after k steps.
    """

    axis: str
    sizes: tuple[int, ...]
    means: tuple[tuple[float, ...], ...]

    def slope(self, step: int = -1) -> float:
        """Return the slope of log mean against log size: 0 is flat, and a size that doubles multiplies the mean with 2^slope."""
        means = [row[step] for row in self.means]
        return float(np.polyfit(np.log(self.sizes), np.log(means), 1)[0])


def coordinate_check(
    spec: Spec,
    batches: Sequence[Any],
    *,
    depths: Sequence[int] | None = None,
    widths: Sequence[int] | None = None,
    steps: int = 10,
    learning_rate: float = 1e-3,
    seeds: Iterable[int] = (0,),
) -> CoordinateCheck:
    """Return how the stream's size depends on depth or on width, at initialisation and over the first steps of Adam.

    The parametrization is `spec.init`, and every network scales from the spec's `base_width` and `base_depth`; where these are
    None each is its own base, and μP is the standard parametrization. All networks see the same `batches`, pairs (inputs,
    targets), one a step and again from the start when they end; means are over `seeds`. Yang et al. 2022, "Tensor Programs V",
    appendix D.1; Dey et al. 2025, figure 7.

    Raises `SpecError` unless exactly one of `depths` and `widths` is given, with two sizes or more.
    """
    axis, sizes = _axis(depths, widths)
    asked = Asked(steps=steps + 1, learning_rate=learning_rate)  # one more, to see what the last step has done
    runs = [[_means(change(spec, {axis: size}), batches, asked, seed) for seed in seeds] for size in sizes]
    means = tuple(tuple(float(value) for value in np.mean(of_size, axis=0)) for of_size in runs)
    return CoordinateCheck(axis, sizes, means)


def _axis(depths: Sequence[int] | None, widths: Sequence[int] | None) -> tuple[str, tuple[int, ...]]:
    given = {"depth": depths, "width": widths}
    sizes = {axis: tuple(values) for axis, values in given.items() if values is not None}
    if len(sizes) != 1 or any(len(set(values)) < 2 for values in sizes.values()):
        raise SpecError(
            f"The check is asked for {' and '.join(f'{axis}s {list(values)}' for axis, values in sizes.items()) or 'no sizes'}",
            "It goes along depth or along width, over at least two sizes",
            "Try depths=(2, 4, 8, 16)",
        )
    return next(iter(sizes.items()))


def _means(spec: Spec, batches: Sequence[Any], asked: Asked, seed: int) -> list[float]:
    model = build(spec, seed=seed)
    return stream_means(model, f"blocks.{spec.num_blocks - 1}", batches, asked, scales(model), f"{spec.depth} blocks deep")


def stream_means(
    model: nn.Module, block: str, batches: Sequence[Any], asked: Asked, scales: Mapping[str, Scale] | None, where: str
) -> list[float]:
    """Return the mean absolute value of what a block gives, before each step of training; raise where a loss is not finite."""
    means = list[float]()

    def measure(call: Call) -> None:
        stream = main_tensor(call.output)
        assert stream is not None
        means.append(float(stream.detach().abs().mean()))

    with listen(model, [block], on_call=measure):
        fitted = fit(model, batches, asked, scales=scales)
    if fitted.stopped_at is not None:
        raise SpecError(
            f"The loss is not finite at step {fitted.stopped_at}, {where}",
            "The check needs a finite loss at every step",
            f"Try a learning rate below {asked.learning_rate:g}",
        )
    return means
