"""`fathometer presets`: the reference networks as a table and as JSON."""

import json
from collections.abc import Callable
from typing import Any

from fathometer.spec import PRESETS, spec_from_dict

Run = Callable[..., Any]


def test_every_preset_is_listed(run: Run) -> None:
    """The table has one row for each preset, in plain text."""
    result = run("presets")

    assert result.code == 0
    assert "\x1b" not in result.out
    assert [name for name in PRESETS if f"\n{name} " not in f"\n{result.out}"] == []


def test_json_reads_back_as_the_specs(run: Run) -> None:
    """--json holds the specs themselves."""
    table = json.loads(run("presets", "--json").out)

    assert {name: spec_from_dict(row["spec"]) for name, row in table.items()} == {name: one.spec for name, one in PRESETS.items()}
