"""What a network loses without a block, or with two in the wrong order."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction, are_classes, batch_size, known_targets, split_batch
from fathometer.data import Dataset
from fathometer.errors import BatchError, ModelError
from fathometer.instruments import DepthPoint, unchanged
from fathometer.lenses.bypass import bypassing, exchanged, without_cache
from fathometer.lenses.streaming import in_batches, points_of
from fathometer.training.batch import answer

BATCH_SIZE = 64
MOST_BATCHES = 16  # of a data set's held-out part
MATTERS = 0.01  # share of what the network has learned that its loss rises by, where a block matters
Progress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Lesions:
    """Mean losses by depth point: with the point `skipped`, and with it and the next one `swapped`; None where that cannot be.

    `loss` is that of the whole network, `blind_loss` that of the best constant answer (None where targets are no classes).
    """

    points: tuple[str, ...]
    loss: float
    skipped: tuple[float | None, ...]
    swapped: tuple[float | None, ...]
    blind_loss: float | None

    @property
    def learned(self) -> float:
        """Return what the network knows more than the best constant answer, in the unit of the loss."""
        return self.loss if self.blind_loss is None else max(self.blind_loss - self.loss, 1e-12)

    @property
    def has_learned(self) -> bool:
        """Return whether the network knows more than the best constant answer, by 1% of its loss at least."""
        return self.blind_loss is None or self.loss < (1 - MATTERS) * self.blind_loss

    @property
    def depth_used(self) -> int | None:
        """Return how many blocks matter: skipped alone, each costs over 1% of what was learned, or cannot be skipped.

        None where nothing was learned.
        """
        if not self.has_learned:
            return None
        return sum(loss is None or not loss - self.loss <= MATTERS * self.learned for loss in self.skipped)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        lists = {name: list(getattr(self, name)) for name in ("points", "skipped", "swapped")}
        return {**lists, "loss": self.loss, "blind_loss": self.blind_loss, "depth_used": self.depth_used}


def lesion(
    model: nn.Module,
    data: Any,
    *,
    loss_fn: LossFunction | None = None,
    layers: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> Lesions:
    """Return what skipping each block, and swapping each two neighbours, does to the loss; the model is not changed.

    `data` are (inputs, targets), a dictionary with `labels`, batches of either, or a data set, whose held-out part is used. A
    skipped block passes on what it is given, as if it were not there. Veit et al. 2016.

    >>> from fathometer import build
    >>> found = lesion(build("residual-50@depth=4"), (torch.randn(16, 64), torch.arange(16) % 10))
    >>> len(found.skipped), found.swapped[-1]
    (4, None)
    """
    batches = loss_batches(data)
    with unchanged(model), torch.no_grad(), without_cache(model):
        model.eval()
        points = points_of(model, split_batch(batches[0])[0], layers)
        whole = mean_loss(model, batches, loss_fn)
        skipped, swapped = list[float | None](), list[float | None]()
        for place in range(len(points)):
            skipped.append(loss_without(model, batches, points, [place], loss_fn))
            swapped.append(_loss_swapped(model, batches, points, place, loss_fn))
            if progress is not None:
                progress("Leaving out one block after the other", place + 1, len(points))
    return Lesions(tuple(point.name for point in points), whole, tuple(skipped), tuple(swapped), blind_loss(batches))


def loss_without(
    model: nn.Module, batches: Sequence[Any], points: Sequence[DepthPoint], skipped: Collection[int], loss_fn: LossFunction | None
) -> float | None:
    """Return the mean loss with some points skipped, None where one cannot be."""
    try:
        with bypassing(model, points, skipped):
            return mean_loss(model, batches, loss_fn)
    except ModelError:
        return None


def _loss_swapped(
    model: nn.Module, batches: Sequence[Any], points: Sequence[DepthPoint], place: int, loss_fn: LossFunction | None
) -> float | None:
    pair = points[place : place + 2]
    if len(pair) < 2 or any(point.is_step for point in pair) or not _alike(model, pair):
        return None
    with ExitStack() as swaps:
        for one, other in zip(pair[0].members, pair[1].members, strict=True):
            swaps.enter_context(_swap(model, one, other))
        return mean_loss(model, batches, loss_fn)


def _swap(model: nn.Module, one: str, other: str) -> AbstractContextManager[None]:
    return nullcontext() if one == other else exchanged(model, one, other)


def _alike(model: nn.Module, pair: Sequence[DepthPoint]) -> bool:
    """Return whether two points are of the same modules with parameters of the same shapes, so that each could be the other."""
    modules = dict(model.named_modules())
    kinds = [
        [
            (
                type(modules[name]),
                [parameter.shape for parameter in modules[name].parameters()],
                getattr(modules[name], "stride", None),
            )
            for name in point.members
        ]
        for point in pair
    ]
    return kinds[0] == kinds[1]


def mean_loss(model: nn.Module, batches: Sequence[Any], loss_fn: LossFunction | None = None) -> float:
    """Return the mean loss over batches, each weighed by its samples."""
    total, count = 0.0, 0
    for batch in batches:
        size = batch_size(split_batch(batch)[0])
        total, count = total + float(answer(model, batch, loss_fn)[1]) * size, count + size
    return total / count


def loss_batches(data: Any) -> list[Any]:
    """Return batches (inputs, targets) of a data set's held-out part, of a pair of tensors, or as they are given."""
    if isinstance(data, Dataset):
        return list(islice(data.held_out(BATCH_SIZE), MOST_BATCHES))
    if isinstance(data, tuple | list) and len(data) == 2 and isinstance(data[1], Tensor):
        return list(zip(in_batches(data[0], BATCH_SIZE), data[1].split(BATCH_SIZE), strict=True))
    batches = [data] if isinstance(data, Mapping) else list(data)
    if not batches:
        raise BatchError("There are no batches", "A loss needs at least one", "Check how the data are read")
    return batches


def blind_loss(batches: Sequence[Any]) -> float | None:
    """Return the entropy of the targets in nats, where they are classes."""
    targets = [known_targets(*split_batch(batch)) for batch in batches]
    if not all(map(are_classes, targets)):
        return None
    flat = torch.cat([each.reshape(-1) for each in targets])
    counts = torch.unique(flat[flat >= 0], return_counts=True)[1].double()
    shares = counts / counts.sum()
    return float(-(shares * shares.log()).sum())
