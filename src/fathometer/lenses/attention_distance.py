"""How far back each block looks: the mean distance of attention."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import call, split_batch, take_samples
from fathometer.instruments import Ear, listen, unchanged
from fathometer.instruments.attention import score_hearers
from fathometer.lenses.streaming import points_of

ALL_ROWS = 2**30
SAMPLES = 2


@dataclass(frozen=True)
class AttentionDistance:
    """By depth point, one number for each head: how many places away it looks on average. `uniform` looks at all alike."""

    points: tuple[str, ...]
    heads: tuple[tuple[float, ...], ...]
    uniform: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        heads = [list(row) for row in self.heads]
        return {"points": list(self.points), "heads": heads, "uniform": list(self.uniform)}


def attention_distance(model: nn.Module, inputs: Any, *, layers: Iterable[str] | None = None) -> AttentionDistance | None:
    """Return Σ |query - key| · weight for each head of each block, over all queries of two samples; None without attention.

    Attention is heard wherever torch computes it: fused, in `nn.MultiheadAttention`, or before a softmax. Scores whose queries
    and keys differ in number, as between an encoder and a decoder, are left out. Masks that hide keys are respected.
    """
    inputs = take_samples((split_batch((inputs, None))[0],), slice(0, SAMPLES))[0]
    found: dict[int, list[Tensor]] = {}
    plain: dict[int, Tensor] = {}
    with unchanged(model), torch.enable_grad():
        model.eval()
        points = points_of(model, inputs, layers)
        now = _Now({point.enter: place for place, point in enumerate(points)})

        def hear(scores: Tensor) -> None:
            if now.place is not None and scores.shape[-2] == scores.shape[-1]:
                found.setdefault(now.place, []).append(_distance(scores.detach().float().softmax(-1)))
                plain[now.place] = _distance((scores > -1e8).float()).mean()

        with listen(model, now.places, on_enter=now.enter, on_call=lambda call: None), Ear(score_hearers(hear, None, ALL_ROWS)):
            call(model, inputs)
    if not found:
        return None
    names = tuple(points[place].name for place in sorted(found))
    heads = tuple(tuple(torch.cat(found[place]).tolist()) for place in sorted(found))
    return AttentionDistance(names, heads, tuple(float(plain[place]) for place in sorted(found)))


class _Now:
    """Which depth point is running."""

    def __init__(self, places: dict[str, int]) -> None:
        self.places, self.place = places, None if places else 0

    def enter(self, name: str, inputs: Any) -> None:
        self.place = self.places[name]


def _distance(weights: Tensor) -> Tensor:
    """Return the mean distance for each head of weights `(sample, head, query, key)`, which need not add up to 1."""
    at = torch.arange(weights.shape[-1], device=weights.device)
    apart = (at[:, None] - at[None, :]).abs().float()
    shares = weights / weights.sum(-1, keepdim=True).clamp(min=1e-30)
    return (shares * apart).sum(-1).mean((0, 2))
