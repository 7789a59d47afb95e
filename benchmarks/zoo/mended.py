"""How many networks train after each way, how sure that is, at what cost."""

from collections import Counter
from collections.abc import Iterable
from statistics import fmean
from typing import Any

from benchmarks.zoo.chance import mcnemar, share_text

Row = dict[str, Any]
OURS = "mend"
FIXED = ("He everywhere", "unit variance", "a residual")
BEST = "the best of the last three, chosen afterwards"


def outcomes(rows: Iterable[Row]) -> dict[str, dict[str, bool]]:
    """Return for each way which networks train after it; also for the best of the fixed ways, which only an oracle knows."""
    trains = dict[str, dict[str, bool]]()
    for row in rows:
        trains.setdefault(row["way"], {})[row["network"]] = row["truth"] == "healthy"
    if all(way in trains for way in FIXED):
        trains[BEST] = {name: any(trains[way][name] for way in FIXED) for name in trains[FIXED[0]]}
    return trains


def table(rows: Iterable[Row]) -> list[tuple[str, str, str, str]]:
    """Return for each way: its name, how many train, how invasive what it did was, and its pairs against ours."""
    rows, lines = list(rows), list[tuple[str, str, str, str]]()
    trains = outcomes(rows)
    for way, right in trains.items():
        levels = [row["invasiveness"] for row in rows if row["way"] == way and row["invasiveness"]]
        invasive = f"{fmean(levels):.1f}" if levels else "–"
        lines.append((way, share_text(sum(right.values()), len(right)), invasive, _against_ours(trains, way)))
    return lines


def _against_ours(trains: dict[str, dict[str, bool]], way: str) -> str:
    if way == OURS or OURS not in trains:
        return "–"
    names = [name for name in trains[way] if name in trains[OURS]]
    ours, theirs, p = mcnemar([trains[OURS][name] for name in names], [trains[way][name] for name in names])
    return f"{ours} : {theirs}, p = {p:.2g}"


def summary(rows: Iterable[Row]) -> str:
    """Return the rates of each way, what `mend` proved, and what it left to advice."""
    rows = list(rows)
    lines = [f"{way}: {rate}; invasiveness {level}; mend against it {pairs}" for way, rate, level, pairs in table(rows)]
    ours = [row for row in rows if row["way"] == OURS]
    proved = [row for row in ours if row["remedy"] != "none"]
    advised = [row for row in ours if row["remedy"] == "none" and row["advice"]]
    if ours:
        right = sum(row["truth"] == "healthy" for row in proved)
        lines.append(f"of those in which mend proved a remedy: {share_text(right, len(proved))}")
        lines.append(f"nothing proved: {len(ours) - len(proved)}, of them with advice in words: {len(advised)}")
        counts = Counter(row["remedy"] for row in proved).most_common()
        lines.append("proved: " + ", ".join(f"{count} {name}" for name, count in counts))
        seconds = sorted(row["treating_seconds"] for row in ours)
        lines.append(f"seconds of one core for mend: {seconds[len(seconds) // 2]:.1f} (median), {seconds[-1]:.1f} at most")
    return "\n".join(lines)
