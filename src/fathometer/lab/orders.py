"""What may be asked of a worker: its kind, its setting, its limits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fathometer.errors import SpecError, kind_of, unknown_name
from fathometer.lab.answers import check_cost
from fathometer.lab.setting import Setting, read_setting

Tell = Callable[[dict[str, Any]], None]  # a worker tells an event with it
Kind = Literal["preflight", "mend", "train", "look", "full-size"]


@dataclass(frozen=True)
class Limits:
    """What one piece of work may take: seconds by the clock, and bytes of memory of its own."""

    seconds: int | float
    memory_bytes: int = 3 * 2**30


KINDS: dict[Kind, Limits] = {
    "preflight": Limits(90),
    "mend": Limits(420),
    "train": Limits(240),
    "look": Limits(300),
    "full-size": Limits(180, 4 * 2**30),
}
FULL_SIZE = ("gpt3-175b", "gpt3-13b", "llama3-70b", "llama3-405b")
NORMS_AT_FULL_SIZE = ("pre-norm", "post-norm", "plain")
MOST_PLACES = 99


@dataclass(frozen=True)
class Order:
    """One piece of work, checked: everything a worker needs to know.

    `remedy` is the place of a remedy in the list that mending this setting gave, and its name; None: as it is. `trained`
    says whether looking inside begins with training. `target` and `residual` are of a network at full size.
    """

    kind: Kind
    setting: Setting
    remedy: tuple[int, str] | None = None
    trained: bool = True
    target: str = FULL_SIZE[0]
    residual: str = NORMS_AT_FULL_SIZE[0]

    @property
    def limits(self) -> Limits:
        """Return what the work may take."""
        return KINDS[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as `read_order` reads them."""
        remedy = None if self.remedy is None else {"place": self.remedy[0], "name": self.remedy[1]}
        rest = {"trained": self.trained, "target": self.target, "residual": self.residual}
        return {"kind": self.kind, "setting": self.setting.to_dict(), "remedy": remedy, **rest}


def read_order(table: object) -> Order:
    """Return the order that a request holds; raise `SpecError` for what is none."""
    if not isinstance(table, Mapping):
        raise SpecError(f"The order is {kind_of(table)}", "It is a table", 'Send {"kind": "preflight", "setting": {}}')
    for name in table:
        if name not in ("kind", "setting", "remedy", "trained", "target", "residual"):
            raise unknown_name("part of an order", str(name)[:40], ("kind", "setting", "remedy", "trained", "target", "residual"))
    kind = _word(table, "kind", tuple(KINDS), "preflight")
    trained = table.get("trained", True)
    if not isinstance(trained, bool):
        raise SpecError(f"`trained` is {kind_of(trained)}", "It is true or false", "Try true")
    setting = read_setting(table.get("setting", {}))
    if kind in ("train", "look"):
        check_cost(setting)
    return Order(
        kind,  # pyrefly: ignore[bad-argument-type]  (a key of KINDS)
        setting,
        _remedy(table.get("remedy")),
        trained,
        _word(table, "target", FULL_SIZE, FULL_SIZE[0]),
        _word(table, "residual", NORMS_AT_FULL_SIZE, NORMS_AT_FULL_SIZE[0]),
    )


def _word(table: Mapping[str, Any], name: str, known: tuple[str, ...], first: str) -> str:
    value = table.get(name, first)
    if not isinstance(value, str) or value not in known:
        raise unknown_name(name, str(value)[:40], known)
    return value


def _remedy(table: object) -> tuple[int, str] | None:
    if table is None:
        return None
    place, name = (table.get("place"), table.get("name")) if isinstance(table, Mapping) else (None, None)
    is_place = isinstance(place, int) and not isinstance(place, bool) and 0 <= place <= MOST_PLACES
    if not is_place or not isinstance(name, str) or len(name) > 80:
        raise SpecError("`remedy` names no remedy", "It has a place and a name, as mending gave them", "Leave it out")
    return place, name
