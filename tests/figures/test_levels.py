"""Charts of levels and of numbers by depth say in words what they show."""

import pytest

from fathometer.figures import LevelRow, by_depth_chart, level_chart, save, spec

ROWS = [
    LevelRow(
        "edge", {"trained": (1.0, 0.5, 1.5), "untrained": (None, None, None)}, {"trained": 0.9, "untrained": 0.3}, 0.26, 0.25
    ),
    LevelRow(
        "object", {"trained": (6.0, 5.0, 7.0), "untrained": (2.0, 1.0, 4.0)}, {"trained": 0.8, "untrained": 0.4}, 0.17, 0.17
    ),
]


def test_each_level_that_is_learned_has_a_dot_and_its_interval(tmp_path) -> None:
    """Three dots for two levels in two networks, one of which did not learn one; the description says so; it is drawn."""
    chart = level_chart(ROWS, 9, title="Levels", subtitle="of scenes")
    table = spec(chart)
    dots = next(rows for rows in table["datasets"].values() if "layer" in rows[0])
    save(chart, tmp_path / "levels.png")

    assert [(row["level"], row["network"], row["layer"]) for row in dots] == [
        ("edge", "trained", 1.0), ("object", "trained", 6.0), ("object", "untrained", 2.0),
    ]  # fmt: skip
    assert "edge, untrained: not learned" in table["description"]
    assert "90% · 30% · 26%" in str(table["datasets"])
    assert (tmp_path / "levels.png").stat().st_size > 5000


def test_numbers_by_depth_may_have_gaps(tmp_path) -> None:
    """None is a gap; the ends that are known are told; shares are percent."""
    losses = by_depth_chart(
        [("left out", [2.0, None, 3.0])], title="Loss", subtitle="one block at a time", reference=(1.0, "whole")
    )
    shares = by_depth_chart([("share", [0.5, 1.0])], title="Share", subtitle="of all", percent=True, first=0)
    save(losses, tmp_path / "losses.svg")

    assert losses.description == "Loss by depth: left out goes from 2 to 3."
    assert "50.0% to 100.0%" in shares.description
    assert "whole" in (tmp_path / "losses.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("rows", [[], [ROWS[0]]])
def test_few_rows_are_drawn_too(rows: list[LevelRow], tmp_path) -> None:
    """No level at all, and one."""
    save(level_chart(rows, 3, title="Levels", subtitle=""), tmp_path / "few.png")

    assert (tmp_path / "few.png").exists()
