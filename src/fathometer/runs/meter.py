"""How fast a run goes: samples or tokens, use of the chip, time left."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from fathometer.contract import batch_size, known_targets, split_batch
from fathometer.scaling import training_flops
from fathometer.spec import Spec

# Dense products a second by the name of the chip and the precision of the products: NVIDIA's data sheets, without sparsity.
PEAK_FLOPS: dict[str, dict[str, float]] = {
    "A100": {"float32": 19.5e12, "bfloat16": 312e12, "float16": 312e12},
    "H100 PCIe": {"float32": 51e12, "bfloat16": 756e12, "float16": 756e12},
    "H100": {"float32": 67e12, "bfloat16": 989e12, "float16": 989e12},
    "H200": {"float32": 67e12, "bfloat16": 989e12, "float16": 989e12},
    "L4": {"float32": 30.3e12, "bfloat16": 121e12, "float16": 121e12},
    "L40S": {"float32": 91.6e12, "bfloat16": 362e12, "float16": 362e12},
    "T4": {"float32": 8.1e12, "float16": 65e12},
    "V100": {"float32": 15.7e12, "float16": 125e12},
}


def peak_flops(chip: str, precision: str) -> float | None:
    """Return the products and sums a second that a chip of that name can do at most; None where it is not known.

    >>> peak_flops("NVIDIA H100 80GB HBM3", "bfloat16")
    989000000000000.0
    """
    words = chip.replace("-", " ").split()
    for name, peaks in sorted(PEAK_FLOPS.items(), key=lambda item: -len(item[0])):
        if all(word in words for word in name.split()):
            return peaks.get(precision)
    return None


@dataclass
class Meter:
    """Counts what the steps of one process see, and tells the speed; `world` processes see as much each."""

    total: int
    world: int = 1
    flops_per_sample: float | None = None
    peak: float | None = None
    first: int = 0
    unit: str = "samples"
    seen: int = 0
    samples: int = 0
    begun: float = 0.0
    paused: float = 0.0

    def counted(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield the batches, and count what is in them; the clock starts with the first."""
        for batch in batches:
            self.begun = self.begun or perf_counter()
            inputs, targets = split_batch(batch)
            known = known_targets(inputs, targets)
            is_text = isinstance(known, Tensor) and not known.is_floating_point() and known.ndim == 2
            self.unit = "tokens" if is_text else "samples"
            self.samples += self.world * batch_size(inputs)
            self.seen += self.world * (known.numel() if is_text else batch_size(inputs))
            yield batch

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave what a `with` block takes out of the speed: it is no training."""
        start = perf_counter()
        yield
        self.paused += perf_counter() - start

    @property
    def busy(self) -> float:
        """Return the seconds of training so far."""
        return max(1e-9, perf_counter() - self.begun - self.paused)

    @property
    def speed(self) -> float:
        """Return samples or tokens a second, of all processes together."""
        return self.seen / self.busy

    @property
    def utilisation(self) -> float | None:
        """Return the share of the chips' peak that the network's own products and sums take; None where it is not known."""
        if self.flops_per_sample is None or self.peak is None:
            return None
        return self.flops_per_sample * self.samples / (self.busy * self.peak * self.world)

    def facts(self, step: int, loss: float) -> str:
        """Return the loss, the speed, the use of the chip and the time left, in words."""
        done = max(1, step - self.first)
        left = timedelta(seconds=round((self.total - step) * (perf_counter() - self.begun) / done))
        share = "unknown" if self.utilisation is None else f"{self.utilisation:.0%}"
        return f"loss {loss:.3g} · {self.speed:,.0f} {self.unit}/s · utilisation {share} · {left} left"


def make_meter(spec: Spec | None, total: int, device: torch.device, *, precision: str, world: int, first: int) -> Meter:
    """Return the meter of a run of `total` steps that goes on after step `first`."""
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    flops = None if spec is None else float(training_flops(spec))
    return Meter(total, world, flops, peak_flops(chip, precision), first)
