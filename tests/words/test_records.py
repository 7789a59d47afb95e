"""A record says what was asked and what came of it, and reads the same later."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer import json_text
from fathometer.errors import RecordError, SpecError
from fathometer.records import Asked, Machine, Record, check_schema, read_json, this_machine
from fathometer.spec import Mlp, spec_to_dict

askeds = st.builds(
    Asked,
    steps=st.integers(1, 10_000),
    batch_size=st.integers(1, 512),
    learning_rate=st.floats(1e-8, 10.0),
    clip=st.none() | st.floats(1e-3, 100.0),
    seed=st.integers(0, 2**63),
)
records = st.builds(
    Record,
    asked=askeds,
    status=st.sampled_from(["finished", "stopped: loss is not finite"]),
    losses=st.lists(st.floats(), max_size=5).map(tuple),
    held_out_loss=st.none() | st.floats(),
    held_out_accuracy=st.none() | st.floats(0, 1),
    seconds=st.floats(0, 1e6),
    stopped_at=st.none() | st.integers(1, 100),
    network=st.just(spec_to_dict(Mlp())),
    machine=st.just(this_machine("2.13", 1)),
)


@pytest.mark.usefixtures("as_a_user_has_it")  # the checks draw random numbers, which a strategy may not
@settings(deadline=None)
@given(original=records)
def test_a_record_survives_saving(original: Record) -> None:
    """A record is the same after it went through a dictionary and through JSON."""
    # repr, because a nan is not equal to itself.
    assert repr(Record.from_dict(read_json(json_text.dump(original.to_dict())))) == repr(original)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"steps": 2.5},
        {"steps": True},
        {"batch_size": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"clip": 0.0},
        {"clip": -1.0},
        {"warmup": -1},
        {"seed": 1.5},
        {"momentum": -0.1},
        {"weight_decay": float("inf")},
        {"decay": 1.01},
        {"final_rate": -0.1},
        {"accumulate": 0},
        {"accumulate": 65},
        {"z_loss": 0.0},
        {"compile": 1},
        {"evaluate_every": 0},
        {"save_every": True},
        {"optimizer": 3},
        {"schedule": None},
        {"checkpointing": False},
    ],
    ids=str,
)
@pytest.mark.usefixtures("as_a_user_has_it")
def test_a_run_that_cannot_be_is_a_spec_error(change: dict) -> None:
    """Counts below 1, rates that are not positive and finite, and a clip of 0 or less are refused by name."""
    with pytest.raises(SpecError, match=f"`{next(iter(change))}`"):
        Asked(**change)


@pytest.mark.parametrize(("change", "near"), [({"precision": "bf16"}, "bfloat16"), ({"checkpointing": "sqr"}, "sqrt")])
def test_an_unknown_word_is_answered_with_the_nearest(change: dict, near: str) -> None:
    """Precision and checkpointing are known by name."""
    with pytest.raises(SpecError, match=f'Did you mean "{near}"'):
        Asked(**change)


def test_a_record_of_before_is_read(seed: int) -> None:
    """A table that lacks the wishes which came later has their defaults."""
    table = Record(Asked(steps=3, seed=seed), "finished", (1.0,)).to_dict()
    table["asked"] = {name: value for name, value in table["asked"].items() if name in ("steps", "seed")}
    del table["stopped_in"]

    assert Record.from_dict(table) == Record(Asked(steps=3, seed=seed), "finished", (1.0,))


@pytest.mark.parametrize("table", [{}, {"schema": "fathometer.record/0"}, {"schema": None}, [], "text", None], ids=repr)
def test_another_schema_is_a_record_error(table: object) -> None:
    """Only a table that was written in this schema passes."""
    with pytest.raises(RecordError, match="schema"):
        check_schema(table, "fathometer.record/1")


def test_the_right_schema_passes() -> None:
    """A table in this schema is accepted in silence."""
    check_schema({"schema": "fathometer.record/1"}, "fathometer.record/1")


@pytest.mark.parametrize("text", ["", "{", "not json"])
def test_a_text_that_is_not_json_is_a_record_error(text: str) -> None:
    """A truncated or foreign text is the user's mistake, not a traceback of the reader."""
    with pytest.raises(RecordError, match="not JSON"):
        read_json(text)


def test_this_machine_is_versions_and_size_without_names_or_paths() -> None:
    """The facts of the machine hold no path and no name of it."""
    import platform

    machine = this_machine("2.13", threads=1)

    texts = [value for value in dataclasses.astuple(machine) if isinstance(value, str)]
    assert all(texts)
    assert [text for text in texts if "/" in text or (platform.node() and platform.node() in text)] == []


@pytest.mark.parametrize("noun", [Asked(), Machine()], ids=lambda noun: type(noun).__name__)
def test_a_fact_cannot_be_changed(noun: Asked | Machine) -> None:
    """What was asked, and where, cannot be edited afterwards."""
    field = dataclasses.fields(noun)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(noun, field, 1)
