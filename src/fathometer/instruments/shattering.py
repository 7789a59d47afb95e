"""How far does a gradient reach? Its correlation with a neighbour's."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from fathometer.contract import batch_size, call, main_tensor, output_tensor, take_samples
from fathometer.instruments.depth_points import DepthPoint
from fathometer.instruments.keep import seed_generators
from fathometer.instruments.quiet import WithoutDropout
from fathometer.instruments.taps import listen

DISTANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # 1 - correlation of what enters the first block
MAX_SAMPLES, MIN_SAMPLES = 16, 4
MOST_BATCHES = 2  # of work, in copies of samples
RESOLUTION = 8.0  # a neighbour is at least so many rounding errors away
SAME = 0.9  # two copies of one sample have one gradient, unless chance is in the network


@dataclass(frozen=True)
class Shattering:
    """The mean correlation between the input gradients of a sample and of a neighbour, by the neighbour's distance.

    `distances` are 1 - correlation of the inputs, falling; `correlations` those of the gradients. White noise has 0 at
    any distance, brown noise falls slowly (Balduzzi et al. 2017, "The shattered gradients problem"). `reach` is the
    distance at which the correlation has fallen to 1/2, between distances by a straight line over their logarithm: at
    most the largest, and no more than the smallest one where even that is beyond it.
    """

    distances: tuple[float, ...]
    correlations: tuple[float, ...]

    @property
    def reach(self) -> float:
        """Return the distance up to which gradients agree by half."""
        pairs = list(zip(self.distances, self.correlations, strict=True))[::-1]
        if pairs[0][1] < 0.5:
            return pairs[0][0]
        for (near, high), (far, low) in pairwise(pairs):
            if low < 0.5:
                return near * (far / near) ** ((high - 0.5) / (high - low))
        return pairs[-1][0]


def gradient_reach(
    model: nn.Module,
    inputs: Any,
    first: DepthPoint,
    *,
    distances: tuple[float, ...] = DISTANCES,
    num_samples: int = MAX_SAMPLES,
    seed: int = 0,
) -> Shattering | None:
    """Return how the gradient at what enters the `first` depth point agrees with that of neighbours, or None if unknown.

    A neighbour lies on the great circle from a sample to the next one of the batch, as long as the sample itself, and is
    put in where the first block begins; so tokens have neighbours too. The gradient is that of the output's projection
    on a random direction, the same for all. Samples, copies and neighbours go through in one forward and one backward
    pass, about two batches of work. None where the activations cannot be replaced, a gradient is zero or not finite, or
    chance in the network makes two copies of a sample disagree; distances under the rounding of the activations are
    left out. The inputs stay as they are.
    """
    size = batch_size(inputs)
    num = min(num_samples, size, max(MIN_SAMPLES, MOST_BATCHES * size // (len(distances) + 2)))
    if num < 2:
        return None
    rows = torch.arange(num, device="cpu").repeat(len(distances) + 2)
    with WithoutDropout(), torch.enable_grad():
        seed_generators(seed)
        many, _ = take_samples((inputs, None), rows)
        swap = _Swap(first, num, (0.0, *distances))
        gradients = _gradients(model, many, swap, seed)
    return None if gradients is None else _compared(gradients, num, swap)


class _Swap:
    """Puts neighbours in the place of copies when the first block is entered, and keeps the place where they enter."""

    def __init__(self, first: DepthPoint, num_samples: int, distances: tuple[float, ...]) -> None:
        self.first, self.num_samples, self.distances = first, num_samples, distances
        self.entered = 0
        self.edge: GradientEdge | None = None
        self.resolution = 0.0

    @property
    def num_rows(self) -> int:
        return self.num_samples * (len(self.distances) + 1)

    def __call__(self, name: str, inputs: Any) -> None:
        self.entered += 1
        tensor = main_tensor(inputs)
        if self.entered != self.first.start + 1 or tensor is None or tensor.ndim < 2 or len(tensor) != self.num_rows:
            return
        eps = torch.finfo(tensor.dtype).eps
        self.resolution = (RESOLUTION * eps) ** 2 / 2
        moved = neighbours(tensor.detach()[: self.num_samples].cpu().double(), self.distances)
        tensor.data[self.num_samples :] = moved.to(tensor)  # past the version: what was saved upstream is not read
        self.edge = get_gradient_edge(tensor if tensor.requires_grad else tensor.requires_grad_())


def neighbours(samples: Float[Tensor, "sample *shape"], distances: tuple[float, ...]) -> Float[Tensor, "neighbour *shape"]:
    """Return for each distance one neighbour of each sample, of its length and with the correlation 1 - distance.

    It lies in the direction of the next sample; of samples that are multiples of each other, in a fixed random one.
    """
    flat = samples.reshape(len(samples), -1)
    lengths = flat.norm(dim=1, keepdim=True)
    unit = flat / lengths.clamp_min(torch.finfo(flat.dtype).tiny)
    aside = _aside(unit, unit.roll(-1, 0))
    noise = torch.randn(flat.shape, generator=torch.Generator().manual_seed(0), device="cpu", dtype=flat.dtype).to(flat)
    sizes = aside.norm(dim=1, keepdim=True)
    aside = torch.where(sizes > 1e-3, aside, _aside(unit, noise))
    aside = aside / aside.norm(dim=1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    turned = [(1 - distance) * unit + (distance * (2 - distance)) ** 0.5 * aside for distance in distances]
    return torch.cat([lengths * each for each in turned]).reshape(-1, *samples.shape[1:])


def _aside(unit: Tensor, other: Tensor) -> Tensor:
    return other - (other * unit).sum(dim=1, keepdim=True) * unit


def _gradients(model: nn.Module, inputs: Any, swap: _Swap, seed: int) -> Tensor | None:
    """Return the gradient rows of all samples and neighbours, `(row, entry)`; None for steps of a fused recurrent layer."""
    if swap.first.is_step:
        return None
    try:
        with listen(model, [swap.first.enter], on_enter=swap, on_call=lambda call: None):
            output = output_tensor(call(model, inputs))
    except RuntimeError:  # activations that may not be written, or that the first block writes into
        return None
    if swap.edge is None or len(output) != swap.num_rows:
        return None
    direction = torch.randn(output.shape[1:], generator=torch.Generator().manual_seed(seed), device="cpu").to(output)
    number = (output * direction).sum()
    if not number.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(number, [swap.edge], allow_unused=True)
    return None if gradient is None else gradient.detach().reshape(len(gradient), -1).cpu().double()


def _compared(gradients: Tensor, num: int, swap: _Swap) -> Shattering | None:
    lengths = gradients.norm(dim=1, keepdim=True)
    if not bool(torch.isfinite(lengths).all()) or bool((lengths == 0).any()):
        return None
    own, *others = (gradients / lengths).split(num)
    copies, *means = [float(torch.linalg.vecdot(own, other).mean()) for other in others]
    pairs = [pair for pair in zip(swap.distances[1:], means, strict=True) if pair[0] >= swap.resolution]
    if copies < SAME or not pairs:
        return None
    return Shattering(tuple(distance for distance, _ in pairs), tuple(mean for _, mean in pairs))
