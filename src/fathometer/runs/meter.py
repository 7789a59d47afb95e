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
from fathometer.scaling import peak_flops, training_flops
from fathometer.spec import Spec


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
