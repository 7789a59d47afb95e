"""`transfer`: the learning rate of a small network, for a large one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from fathometer import json_text
from fathometer.data import Dataset
from fathometer.errors import SpecError, kind_of
from fathometer.parametrizations import WIDTH_AWARE
from fathometer.records import Asked, Record
from fathometer.runs.coordinate_check import CoordinateCheck, coordinate_check
from fathometer.runs.many import many
from fathometer.runs.progress import OnProgress
from fathometer.runs.run import named_data
from fathometer.scaling import Estimate, num_parameters
from fathometer.scaling.best_rate import Sweep, best_rate
from fathometer.scaling.estimate import LEVEL
from fathometer.scaling.plan import shape_of_proxy
from fathometer.spec import ConvNet, Mlp, Spec, Transformer, preset, spec_to_dict
from fathometer.spec.changes import change

SCHEMA = "fathometer.transfer/1"
MOST_SLOPE = 0.2  # of the stream against size, after the steps of the check: a doubling multiplies it with 2^slope
CHECK_STEPS, CHECK_SIZES = 10, 3


@dataclass(frozen=True)
class Transfer:
    """The learning rate found on a small network, and the large one that it is for.

    `learning_rate` has its interval over seeds; `asked` is what the sweep was asked, with that rate. `checks` are coordinate
    checks over depth and width at the found rate; `warnings` say what speaks against carrying it over.
    """

    spec: Spec
    small: Spec
    learning_rate: Estimate
    asked: Asked
    sweep: Sweep = field(repr=False)
    checks: tuple[CoordinateCheck, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return rate, sweep, checks and both networks as JSON text."""
        sweep = {"rates": [2.0**rate for rate in self.sweep.rates], "losses": self.sweep.losses.tolist()}
        checks = [{"axis": check.axis, "sizes": list(check.sizes), "slope": check.slope()} for check in self.checks]
        specs = {"spec": spec_to_dict(self.spec), "small": spec_to_dict(self.small)}
        found = {"learning_rate": self.learning_rate.to_dict(), "sweep": sweep, "checks": checks, "warnings": list(self.warnings)}
        return json_text.dump({"schema": SCHEMA, **found, **specs})

    def __str__(self) -> str:
        rate = self.learning_rate
        lines = [
            f"Take a learning rate of {rate.value:.2g} ({rate.low:.2g} to {rate.high:.2g}), found on "
            f"{num_parameters(self.small):,} parameters for {num_parameters(self.spec):,}, under {self.spec.init}."
        ]
        lines += [f"stream over {check.axis} {list(check.sizes)}: slope {check.slope():+.2f}" for check in self.checks]
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


def transfer(
    network: Spec | str,
    *,
    small: Spec | None = None,
    data: Any = None,
    asked: Asked = Asked(),  # noqa: B008  (frozen, so the shared default cannot change)
    octaves: tuple[float, float] = (-11.0, -4.0),
    seeds: Sequence[int] = (0, 1, 2),
    folder: str | Path | None = None,
    progress: OnProgress | None = None,
) -> Transfer:
    """Find the best learning rate on a small network, for a deeper and wider one, under CompleteP.

    `network` is a spec or a preset; with `init` "mup" or "depth-mup" that parametrization is taken. `small` has its family
    and is its base from then on (None: four blocks of modest width, with heads as wide). It is trained as `asked` at rates from
    2^first to 2^last of `octaves`, each √2 times the one before, with every seed; a parabola through the lowest says the best.
    Coordinate checks then hold the stream against depth and width. `data`, `folder` and `progress` are those of `many`.

    Raises `SpecError` where the two are not of one kind, or no rate trains. Dey et al. 2025; Yang et al. 2022.

    >>> from fathometer import Mlp
    >>> asked, wanted = Asked(steps=20), Mlp(depth=12, width=64, residual="pre-norm")
    >>> found = transfer(wanted, asked=asked, octaves=(-8.0, -5.0), seeds=[0])
    >>> found.small.depth, 2**-9 < found.learning_rate.value < 2**-4
    (4, True)
    """
    spec = preset(network) if isinstance(network, str) else network
    _check_octaves(octaves, seeds)
    base, target = _pair(spec, small)
    rates = [2.0 ** (octaves[0] + step / 2) for step in range(round(2 * (octaves[1] - octaves[0])) + 1)]
    runs = [(base, replace(asked, learning_rate=rate, seed=seed)) for seed in seeds for rate in rates]
    records = many(runs, data=data, folder=folder, progress=progress)
    losses = np.array([_score(record) for record in records]).reshape(len(seeds), len(rates))
    sweep = _sweep(np.log2(rates), losses)
    middle, low, high = best_rate(sweep)
    rate = Estimate(2.0**middle, 2.0**low, 2.0**high, level=LEVEL)
    found = replace(runs[0][1], learning_rate=rate.value)
    checks = _checks(target, base, data, found)
    return Transfer(target, base, rate, found, sweep, checks, _warnings(sweep, checks))


def _pair(spec: Spec, small: Spec | None) -> tuple[Spec, Spec]:
    """Return base and target: the target scales from the base, which is its own."""
    if not isinstance(spec, Spec):
        raise SpecError(
            f"The network is {kind_of(spec)}",
            "It is a spec or the name of a preset, which is built at other sizes",
            "Give a spec; for a module of your own see `fm.parametrize`",
        )
    init = spec.init if spec.init in WIDTH_AWARE else "completep"
    if isinstance(spec, ConvNet) or isinstance(small, ConvNet):
        raise SpecError("The network is a convnet", "Rates are carried over for perceptrons and transformers", "Sweep it itself")
    base = _smaller(spec) if small is None else small
    if type(base) is not type(spec) or base.width > spec.width or base.depth > spec.depth:
        raise SpecError(
            f"`small` is {base}", "It has the family of the network, and neither more depth nor more width", "Leave `small` out"
        )
    at_home = {"init": init, "base_width": base.width, "base_depth": base.depth}
    return replace(base, **at_home), replace(spec, **at_home)


def _smaller(spec: Mlp | Transformer) -> Spec:
    if isinstance(spec, Transformer):
        return shape_of_proxy(spec)
    return replace(spec, depth=min(4, spec.depth), width=min(64, spec.width))


def _score(record: Record) -> float:
    if record.status != "finished":
        return float("inf")
    tail = record.losses[-20:]
    return record.held_out_loss if record.held_out_loss is not None else sum(tail) / len(tail)


def _sweep(rates: np.ndarray, losses: np.ndarray) -> Sweep:
    known = losses[np.isfinite(losses)]
    if len(known) == 0:
        raise SpecError("No rate of the sweep gave a finite loss", "Some do", "Try lower `octaves`, such as (-16, -8)")
    return Sweep(rates, np.where(np.isfinite(losses), losses, known.max()))


def _checks(target: Spec, base: Spec, data: Any, asked: Asked) -> tuple[CoordinateCheck, ...]:
    """Return checks over depth and width from the base upwards, in doublings; none for data that are no data set."""
    source = named_data(data)
    if not isinstance(source, Dataset) or not isfinite(asked.learning_rate):
        return ()
    batches = list(islice(source.batches(min(asked.batch_size, 16), asked.seed), CHECK_STEPS + 1))
    found = list[CoordinateCheck]()
    for axis in ("depth", "width"):
        first, last = getattr(base, axis), getattr(target, axis)
        sizes = [first * 2**step for step in range(CHECK_SIZES) if first * 2**step <= last]
        if len(sizes) > 1:
            spec = change(target, {"depth": base.depth, "width": base.width, **_heads(base)})
            found.append(_one_check(spec, batches, axis, sizes, asked.learning_rate))
    return tuple(found)


def _one_check(spec: Spec, batches: list[Any], axis: str, sizes: list[int], rate: float) -> CoordinateCheck:
    given = {"depths": sizes} if axis == "depth" else {"widths": sizes}
    return coordinate_check(spec, batches, steps=CHECK_STEPS, learning_rate=rate, **given)


def _heads(base: Spec) -> dict[str, Any]:
    return {"heads": base.num_heads} if isinstance(base, Transformer) else {}


def _warnings(sweep: Sweep, checks: Sequence[CoordinateCheck]) -> tuple[str, ...]:
    found = ["The best rate is at the edge of the sweep: give wider `octaves`."] if sweep.at_edge else []
    found += [
        f"The stream changes with {check.axis} as size^{check.slope():.2f} after {CHECK_STEPS} steps: the rate may not carry."
        for check in checks
        if abs(check.slope()) > MOST_SLOPE
    ]
    return tuple(found)


def _check_octaves(octaves: tuple[float, float], seeds: Sequence[int]) -> None:
    if not (len(octaves) == 2 and octaves[0] + 1 <= octaves[1] <= 4) or not seeds:
        raise SpecError(
            f"`octaves` is {octaves} and `seeds` {list(seeds)}",
            "Rates go from one power of two to another, at least twice as large, with at least one seed",
            "Try octaves=(-11, -4)",
        )
