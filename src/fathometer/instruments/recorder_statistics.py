"""Statistics of many samples at once, kept on their device."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from fathometer.instruments.geometry import MIN_SAMPLES

Samples = Float[Tensor, "point sample unit"]
Parts = dict[str, Float[Tensor, "point"]]
_TINY = 1e-30


def moments(samples: Samples) -> Parts:
    """Return, for each point, the mean square and its relative standard error.

    The error takes samples and units as drawn at random: (variance of row means)/rows + (variance of unit means)/units.
    """
    squares = _wide(samples).square_()
    _, rows, units = samples.shape
    of_rows = squares.mean(dim=2)
    mean = of_rows.mean(dim=1)
    between = of_rows.var(dim=1).div_(rows) if rows > 1 else torch.zeros_like(mean)
    if units > 1:
        between += squares.mean(dim=1).var(dim=1).div_(units)
    return {"mean": mean, "error": between.sqrt_().div_(mean)}


def flat_moments(samples: Float[Tensor, "point unit"], share: Float[Tensor, "point"]) -> Parts:
    """Return the same for samples without rows: the error is sqrt((kurtosis - 1)/n), less what was seen of all, `share`."""
    squares = _wide(samples).square_()
    mean = squares.mean(dim=1)
    excess = squares.square_().mean(dim=1) / mean.square() - 1
    return {"mean": mean, "error": (excess.clamp_(min=0) * ((1 - share) / samples.shape[1])).sqrt_()}


def _wide(samples: Tensor) -> Tensor:
    """Return a copy in which squares of small gradients do not underflow (where the device has such numbers)."""
    return samples.to(torch.float32 if samples.device.type == "mps" else torch.float64, copy=True)


def directions(samples: Samples) -> Parts:
    """Return, for each point, 1 minus the mean cosine of two samples ("spread"), and in how many directions they differ ("rank").

    As `geometry.spread` and `geometry.effective_rank`, of all points at once; what is not known is NaN.
    """
    rows = samples.shape[1]
    unknown = samples.new_full((len(samples),), torch.nan)
    if rows < 2:
        return {"spread": unknown, "rank": unknown}
    scaled = samples / samples.abs().amax(dim=(1, 2), keepdim=True).clamp(min=_TINY)
    unit = scaled / torch.linalg.vector_norm(scaled, dim=2, keepdim=True)
    spread = (unit - unit.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2)) / (rows - 1)
    if rows < MIN_SAMPLES:
        return {"spread": spread, "rank": unknown}
    centred = scaled - scaled.mean(dim=1, keepdim=True)
    gram = centred @ centred.mT
    energy, square = gram.diagonal(dim1=1, dim2=2).sum(dim=1), gram.square().sum(dim=(1, 2))
    floor = (4 * torch.finfo(torch.float32).eps) ** 2 * scaled.square().sum(dim=(1, 2))
    return {"spread": spread, "rank": torch.where(energy > floor, energy.square() / square, torch.nan)}


def silent_share(inputs: Samples) -> Float[Tensor, "point"]:
    """Return the share of units whose input to a ReLU is positive at no place."""
    return (inputs.amax(dim=1) <= 0).float().mean(dim=1)


def flat_share(inputs: Samples, beyond: float) -> Float[Tensor, "point"]:
    """Return the share of inputs of a saturating activation that are further from 0 than `beyond`."""
    return (inputs.abs() > beyond).float().mean(dim=(1, 2))


class Tray:
    """Vectors on a device, by key, that are moved off it all at once."""

    def __init__(self) -> None:
        self._sizes: list[tuple[Any, int]] = []
        self._parts: list[Tensor] = []

    def put(self, key: Any, vector: Tensor) -> None:
        """Add a vector."""
        self._sizes.append((key, vector.numel()))
        self._parts.append(vector.reshape(-1))

    def sorted_out(self) -> dict[Any, NDArray[np.float64]]:
        """Move everything off the device as one vector, and return it by key again."""
        whole = torch.cat(self._parts) if self._parts else torch.empty(0, device="cpu")
        numbers = whole.cpu().double().numpy()
        found, place = dict[Any, NDArray[np.float64]](), 0
        for key, size in self._sizes:
            found[key] = numbers[place : place + size]
            place += size
        return found
