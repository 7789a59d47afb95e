"""Which blocks could go: found, and the smaller model handed back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from fathometer.contract import LossFunction, split_batch
from fathometer.errors import SpecError
from fathometer.instruments import DepthPoint, unchanged
from fathometer.lenses.bypass import without_cache
from fathometer.lenses.lesions import Progress, blind_loss, loss_batches, loss_without, mean_loss
from fathometer.lenses.removal import without_blocks
from fathometer.lenses.streaming import points_of
from fathometer.records import Asked
from fathometer.runs import train

TOLERANCE = 0.05  # share of what was learned that may be lost
HEALING = Asked(steps=50, batch_size=16, optimizer="adamw", learning_rate=1e-3, warmup=5, clip=1.0)


@dataclass(frozen=True)
class Shrunk:
    """A model without the blocks it needs least, in eval mode, and its losses before, after, and after healing.

    `curve` has the loss without the first 0, 1, 2, … of the blocks in `order`; those in `dropped` are gone from the `model`.
    """

    model: nn.Module = field(repr=False)
    dropped: tuple[str, ...]
    order: tuple[str, ...]
    curve: tuple[float, ...]
    loss_before: float
    loss_after: float
    loss_healed: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, all but the model."""
        numbers = {name: getattr(self, name) for name in ("loss_before", "loss_after", "loss_healed")}
        return {**{name: list(getattr(self, name)) for name in ("dropped", "order", "curve")}, **numbers}


def shrink(
    model: nn.Module,
    data: Any,
    *,
    drop: int | None = None,
    heal: Any = None,
    asked: Asked = HEALING,
    loss_fn: LossFunction | None = None,
    layers: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> Shrunk:
    """Return a copy of the model without the blocks whose absence costs least, one chosen after the other.

    `drop` says how many; None drops as many as cost at most 5% of what the network has learned. `data` choose and judge:
    (inputs, targets), batches of them, or a data set, whose held-out part is used. `heal`, data to train on, trains the copy as
    `asked`, 50 steps by default. The user's own model is not changed. Raises `SpecError` where there are too few blocks.

    >>> from fathometer import build
    >>> found = shrink(build("residual-50@depth=4"), (torch.randn(16, 64), torch.arange(16) % 10), drop=1)
    >>> len(found.model.blocks), len(found.dropped), len(found.curve)
    (3, 1, 2)
    """
    batches = loss_batches(data)
    order, curve, points = removal_order(model, batches, most=drop, loss_fn=loss_fn, layers=layers, progress=progress)
    count = as_many_as_cost_little(curve, blind_loss(batches)) if drop is None else drop
    if count > len(order):
        raise SpecError(f"`drop` is {count}", f"{len(order)} blocks can go, and one stays", f"Try drop = {len(order)}")
    smaller = without_blocks(model, [points[place] for place in order[:count]], split_batch(batches[0])[0])
    with unchanged(smaller), torch.no_grad(), without_cache(smaller):
        after = mean_loss(smaller.eval(), batches, loss_fn)
    healed = None
    if heal is not None and count:
        smaller = train(smaller, asked, data=heal, loss_fn=loss_fn).model
        with unchanged(smaller), torch.no_grad(), without_cache(smaller):
            healed = mean_loss(smaller, batches, loss_fn)
    names = tuple(points[place].name for place in order)
    return Shrunk(smaller.eval(), names[:count], names, tuple(curve), curve[0], after, healed)


def removal_order(
    model: nn.Module,
    batches: Sequence[Any],
    *,
    most: int | None = None,
    loss_fn: LossFunction | None = None,
    layers: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> tuple[list[int], list[float], tuple[DepthPoint, ...]]:
    """Return which depth points go first, the loss after each, and the points; one stays, and so do those that cannot go.

    Each time the point goes without which, and without those before it, the loss is least.
    """
    with unchanged(model), torch.no_grad(), without_cache(model):
        model.eval()
        points = points_of(model, split_batch(batches[0])[0], layers)
        curve, gone = [mean_loss(model, batches, loss_fn)], list[int]()
        left = list(range(len(points)))
        limit = len(points) - 1 if most is None else min(most, len(points) - 1)
        while len(gone) < limit:
            losses = {place: loss_without(model, batches, points, [*gone, place], loss_fn) for place in left}
            known = {place: loss for place, loss in losses.items() if loss is not None}
            if not known:
                break
            left = list(known)
            best = min(known, key=known.__getitem__)
            gone.append(best)
            left.remove(best)
            curve.append(known[best])
            if progress is not None:
                progress("Leaving out the blocks that matter least", len(gone), limit)
            if most is None and known[best] > _limit(curve[0], blind_loss(batches)):
                break
    return gone, curve, points


def _limit(loss: float, blind: float | None) -> float:
    return loss + TOLERANCE * (loss if blind is None else max(blind - loss, 0))


def as_many_as_cost_little(curve: Sequence[float], blind: float | None) -> int:
    """Return how many blocks could go, one after the other, before the loss rises by over 5% of what was learned."""
    limit, count = _limit(curve[0], blind), 0
    while count + 1 < len(curve) and curve[count + 1] <= limit:
        count += 1
    return count
