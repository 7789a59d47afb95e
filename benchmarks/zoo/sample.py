"""Which sick networks are treated: a fixed part, over families, faults and strengths."""

from collections import Counter
from collections.abc import Iterable
from zlib import crc32

from benchmarks.zoo.entry import Entry
from benchmarks.zoo.truth import Row

# All of them would take hours: `mend` trains each network some ten to thirty times. A larger number only adds networks.
COUNTS = {"develop": 24, "scored": 64}


def sick(entries: Iterable[Entry], known: dict[str, Row]) -> list[Entry]:
    """Return the networks that training showed to fail or to be at risk."""
    return [entry for entry in entries if entry.name in known and known[entry.name]["truth"] != "healthy"]


def with_known_fix(entries: Iterable[Entry]) -> list[Entry]:
    """Return those of which the zoo knows what mends them."""
    return [entry for entry in entries if entry.fix is not None]


def drawn(entries: Iterable[Entry], count: int) -> list[Entry]:
    """Return so many networks, one family after another, in each the fault and strength that was taken least so far.

    Nothing but names decides a tie, so a larger count only adds networks.
    """
    left = sorted(entries, key=lambda entry: crc32(entry.name.encode()))
    families = sorted({entry.family for entry in left}, key=lambda family: crc32(family.encode()))
    chosen, taken = list[Entry](), Counter[tuple[str, object]]()
    while left and len(chosen) < count:
        for family in families:
            inside = [entry for entry in left if entry.family == family]
            if inside and len(chosen) < count:
                entry = min(inside, key=lambda each: (taken[family, each.fault], taken["", each.fault], taken["", each.strength]))
                taken.update([(family, entry.fault), ("", entry.fault), ("", entry.strength)])
                chosen.append(entry)
                left.remove(entry)
    return chosen
