"""What growing gives: the grown network, and which parameter is which."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from fathometer.errors import SpecError

PLACES = {"end": "behind the last block", "between": "spread evenly, each behind an old block"}


@dataclass(frozen=True)
class Growth:
    """A grown copy, where each old parameter went, which old one each new one is like, and what was multiplied.

    `factors` goes by the parameter of the copy, and so does `paces`: by how much a parametrization multiplies its learning rate
    and Adam's ε at the new depth beyond the old one. `layout` is what `lay_out` returned.
    """

    model: nn.Module
    layout: tuple[tuple[int, bool], ...]
    moved: dict[Tensor, nn.Parameter]
    kin: dict[nn.Parameter, nn.Parameter | None] = field(default_factory=dict)
    factors: dict[Tensor, float] = field(default_factory=dict)
    paces: dict[Tensor, tuple[float, float]] = field(default_factory=dict)


def lay_out(before: Sequence[int], now: Sequence[int], where: str) -> tuple[tuple[int, bool], ...]:
    """Return for each block (the old block that it is or stands behind, whether it is new), stage after stage.

    `before` and `now` are the numbers of blocks in each stage; within a stage new blocks stand as `PLACES` says.

    >>> lay_out([2], [4], "between")
    ((0, False), (0, True), (1, False), (1, True))
    """
    layout: list[tuple[int, bool]] = []
    start = 0
    for old, new in zip(before, now, strict=True):
        for index in range(old):
            ends = [(index + step) * (new - old) // old for step in (0, 1)] if where == "between" else [0, 0]
            last = new - old if where == "end" and index == old - 1 else 0
            layout += [(start + index, False), *[(start + index, True)] * (ends[1] - ends[0] + last)]
        start += old
    return tuple(layout)


def check_growth(before: Sequence[int], now: Sequence[int], given: str) -> None:
    """Raise `SpecError` where some stage would lose blocks."""
    if len(now) != len(before) or any(new < old for old, new in zip(before, now, strict=True)):
        raise SpecError(
            f"{given} makes {_blocks(now)}, and the network has {_blocks(before)}",
            "A network grows by whole blocks; none is taken away",
            "Ask for a greater `to`",
        )


def alike(block: nn.Module, old: nn.Module) -> dict[nn.Parameter, nn.Parameter | None]:
    """Return the parameters of a block, each with the one of the same name in an old block (None: there is none)."""
    named = dict(old.named_parameters())
    return {parameter: named.get(name) for name, parameter in block.named_parameters()}


def _blocks(counts: Sequence[int]) -> str:
    return f"{' + '.join(map(str, counts))} block{'' if list(counts) == [1] else 's'}"
