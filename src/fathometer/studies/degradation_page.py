"""The figures of degradation, and what the profiles say it comes from."""

from collections.abc import Mapping, Sequence
from typing import Any

from fathometer.depth_profile import DepthProfile
from fathometer.figures import band_chart, depth_chart
from fathometer.finding import CAUSES
from fathometer.report import Figure
from fathometer.studies.question import Row

Best = Sequence[tuple[Mapping[str, Any], float, list[Row]]]
SEE = {
    "gradient": "Read from right to left: the gradient comes back from the last block. Level is good.",
    "correlation": "1 means that every input has become the same vector.",
}


def figures(rows: Sequence[Row], best: Best, families: Sequence[str]) -> tuple[Figure, ...]:
    """Return, for each family, training loss and error by depth, and gradient and correlation along the deepest networks."""
    found = list[Figure]()
    for family in families:
        found += [_by_depth(best, family, "train_loss"), _by_depth(best, family, "error")]
        found += [_profiles(rows, family, column) for column in SEE]
    return tuple(found)


def _by_depth(best: Best, family: str, what: str) -> Figure:
    def value(row: Row) -> float:
        return row["train_loss"] if what == "train_loss" else 1 - (row["held_out_accuracy"] or 0.0)

    lines = [
        (
            arm,
            [
                (float(at["depth"]), [value(row) for row in own])
                for at, _, own in best
                if (at["family"], at["arm"]) == (family, arm)
            ],
        )
        for arm in ("plain", "residual")
    ]
    is_loss = what == "train_loss"
    title = f"{'Training loss' if is_loss else 'Error on held-out samples'}, {family}"
    subtitle = "each network at its own best rate; median and range over seeds"
    chart = band_chart(lines, title=title, subtitle=subtitle, axis="depth", log=(False, is_loss), percent=not is_loss)
    return Figure(chart, "At the end of training, by depth.", "The left end is the control.")


def _profiles(rows: Sequence[Row], family: str, column: str) -> Figure:
    deepest = {arm: _deepest(rows, family, arm) for arm in ("plain", "residual")}
    measured = [(f"{arm}, {row['depth']} layers", DepthProfile.from_dict(row["profile"])) for arm, row in deepest.items()]
    caption = f"{family.capitalize()} networks at their start: {column} along depth."
    return Figure(depth_chart(column, measured), caption, SEE[column])


def _deepest(rows: Sequence[Row], family: str, arm: str) -> Row:
    own = [row for row in rows if (row["kind"], row["family"], row["arm"]) == ("profile", family, arm)]
    return max(own, key=lambda row: row["depth"])


def mechanism(rows: Sequence[Row], family: str) -> list[str]:
    """Return what the profiles at the start say of the deepest networks of a family, in sentences."""
    said = []
    for arm in ("plain", "residual"):
        row = _deepest(rows, family, arm)
        profile = DepthProfile.from_dict(row["profile"])
        gradient, correlation = profile.known("gradient"), profile.known("correlation")
        words = f"{family.capitalize()}, {arm}, {row['depth']} layers, at the start: {row['verdict']}"
        words += f", {CAUSES[row['cause']].title.lower()}" if row["cause"] else ", nothing found"
        if gradient:
            words += f"; gradient (second moment) × {gradient[0][1] / gradient[-1][1]:.2g} from the last block to the first"
        if correlation:
            first, last = correlation[0][1], correlation[-1][1]
            words += f"; correlation of two inputs {first:.2f} after the first block, {last:.3f} after the last"
        said.append(words + ".")
    return said
