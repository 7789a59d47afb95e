"""The truth of the whole zoo as rows, counted by family."""

from collections import Counter

from benchmarks.zoo.split import PARTS, entries
from benchmarks.zoo.truth import Row, is_drawn, is_settled, known, run

TRUTHS = ("healthy", "at risk", "will not train")


def zoo_truth() -> list[Row]:
    """Return one row for each network of both parts: what was planted, and what training showed.

    What is not yet known is trained first, about forty minutes of one core for all; `truth.PARTIAL` keeps every row as it
    comes, so that a run that was stopped goes on. Delete that file to train all anew.
    """
    rows = []
    for part in PARTS:
        rows += [{"part": part} | row for row in run(entries(part), say=lambda line: print(line, flush=True))]
    print(counted(rows), noise(rows), sep="\n")
    return rows


def counted(rows: list[Row]) -> str:
    """Return for each family how many networks of each truth there are, without a fault and with one."""
    lines = [" " * 35 + "no fault          fault", " " * 35 + "  ".join(["well", "risk", "fail"] * 2)]
    for part in PARTS:
        inside = [row for row in rows if row["part"] == part]
        families = dict.fromkeys(row["family"] for row in inside)
        lines += [_line(family, [row for row in inside if row["family"] == family]) for family in families]
        lines.append(_line(f"all of {part}", inside))
    return "\n".join(lines)


def _line(name: str, rows: list[Row]) -> str:
    counts = Counter((row["fault"] is None, row["truth"]) for row in rows)
    cells = [f"{counts[healthy, truth]:4}" for healthy in (True, False) for truth in TRUTHS]
    return f"{name:34} {'  '.join(cells)}"


def noise(rows: list[Row]) -> str:
    """Return how far another order of batches moves the share."""
    twice = [row for row in rows if row["again"] is not None and is_drawn(row)]
    moved = sorted(abs(row["share"] - row["again"]) for row in twice)
    near = [row for row in rows if row["again"] is not None and not is_drawn(row)]
    if not moved:
        return "no network was trained twice"
    change = [sum(not is_settled(row) for row in group) for group in (twice, near)]
    drawn = (
        f"{len(twice)} drawn and trained again: the share moves by {moved[len(moved) // 2]:.3f} (median), {moved[-1]:.3f} at most"
    )
    return f"{drawn}, and {change[0]} change their truth; of {len(near)} more near a limit {change[1]} do"


def all_known() -> list[Row]:
    """Return the rows of what was measured so far, without training."""
    measured = known()
    return [{"part": part} | measured[entry.name] for part in PARTS for entry in entries(part) if entry.name in measured]
