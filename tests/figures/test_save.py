"""A chart is saved in the format that its suffix names."""

import json

import pytest

from fathometer.errors import FathometerError
from fathometer.figures import probe_chart, save, spec

STARTS = {".png": b"\x89PNG", ".svg": b"<svg", ".pdf": b"%PDF", ".html": b"<!DOCTYPE html>", ".json": b"{"}


@pytest.fixture
def chart():
    """Return a small chart."""
    return probe_chart([("a", [0.2, 0.9])], 0.1)


@pytest.mark.parametrize("suffix", STARTS)
def test_each_suffix_is_its_format(chart, tmp_path, suffix):
    """Each format begins as that format does."""
    save(chart, tmp_path / f"chart{suffix}")

    assert (tmp_path / f"chart{suffix}").read_bytes().lstrip().startswith(STARTS[suffix])


def test_the_page_asks_for_nothing(chart, tmp_path):
    """A chart saved as HTML carries its scripts: no element loads anything."""
    save(chart, tmp_path / "chart.html")
    page = (tmp_path / "chart.html").read_text(encoding="utf-8")

    assert "<script src" not in page
    assert "<link" not in page


def test_ink_is_chosen(chart, tmp_path):
    """The dark picture has the dark paper, the light one has not."""
    save(chart, tmp_path / "dark.svg", ink="dark")
    save(chart, tmp_path / "light.svg")

    assert "#14181D" in (tmp_path / "dark.svg").read_text()
    assert "#14181D" not in (tmp_path / "light.svg").read_text()


def test_json_is_the_specification(chart, tmp_path):
    """The JSON file holds the Vega-Lite specification."""
    save(chart, tmp_path / "chart.json")

    assert json.loads((tmp_path / "chart.json").read_text()) == spec(chart)


@pytest.mark.parametrize("name", ["chart.bmp", "chart"])
def test_another_suffix_is_refused(chart, tmp_path, name):
    """A suffix that names no known format is an error with one that does, and nothing is written."""
    with pytest.raises(FathometerError, match=r'Try "chart\.png"'):
        save(chart, tmp_path / name)

    assert list(tmp_path.iterdir()) == []
