"""Checkpoints that were cut short, turned bit by bit, or written by another."""

import hashlib
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

from benchmarks.fuzz.kind import Kind, answer
from benchmarks.fuzz.values import WORDS, damaged, json_bytes, odd_values
from fathometer.instruments import seeded
from fathometer.records import Asked
from fathometer.training import Course, begin, checkpoint, go_on
from fathometer.training.checkpoint import FACTS, SUMS, TRAINING, WEIGHTS

FILES = (WEIGHTS, TRAINING, FACTS)
Damage = tuple[dict[str, bytes], bool]


def course(steps: int = 4) -> Course:
    """Return a small course before its first step."""
    with seeded(0):
        return begin(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)), Asked(steps=steps, batch_size=4))


@cache
def whole() -> dict[str, bytes]:
    """Return the files of a checkpoint, after two steps."""
    run = course(2)
    batches = [(torch.zeros(4, 3), torch.zeros(4, dtype=torch.long))] * 2
    with seeded(0), TemporaryDirectory() as home:
        go_on(run, batches)
        path = checkpoint.save(run, home, {"data": {"epoch": 1}})
        assert path is not None
        return {file.name: file.read_bytes() for file in path.iterdir()}


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Draw what is wrong with which files, and whether the sums were made to agree with it."""
    files = dict(whole())
    name = draw(st.sampled_from([*FILES, SUMS]))
    if name == FACTS and draw(st.booleans()):
        files[FACTS] = json_bytes(draw(spoiled(json.loads(files[FACTS]))))
    elif name in (WEIGHTS, TRAINING) and draw(st.booleans()):
        files[name] = draw(headers(files[name]))
    else:
        files[name] = draw(damaged(files[name]))
    if draw(st.integers(0, 9)) == 0:
        del files[draw(st.sampled_from(sorted(files)))]
    return files, draw(st.integers(0, 3)) > 0


@st.composite
def spoiled(draw: st.DrawFn, table: dict[str, Any]) -> Any:
    """Draw a table of JSON in which one part, at any depth, is another thing or is not there."""
    inside: Any = table
    while True:
        key = draw(st.sampled_from(sorted(inside)) if isinstance(inside, dict) else st.integers(0, len(inside) - 1))
        if isinstance(inside[key], dict | list) and inside[key] and draw(st.integers(0, 2)):
            inside = inside[key]
        elif draw(st.booleans()) or isinstance(inside, list):
            inside[key] = draw(odd_values(1))
            return table
        else:
            inside[draw(WORDS)] = inside.pop(key)
            return table


@st.composite
def headers(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a file of tensors whose header says another thing than it should."""
    size = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + size])
    header = json_bytes(draw(spoiled(table)))
    length = draw(st.sampled_from([len(header), len(header), len(header), 0, 2**40, 2**63]))
    return length.to_bytes(8, "little") + header + content[8 + size :]


def check_checkpoint(given: Damage) -> bool:
    """Raise unless a checkpoint is read to finite numbers, or is refused in words with everything left as it was."""
    files, agree = given
    run = course()
    before = state(run)
    with seeded(1), TemporaryDirectory() as home:
        path = Path(home) / "step-00000002"
        path.mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content)
        if agree and SUMS in files:
            sums = "".join(f"{hashlib.sha256(files.get(name, b'')).hexdigest()}  {name}\n" for name in FILES)
            (path / SUMS).write_text(sums, encoding="utf-8")
        facts = answer(lambda: checkpoint.load(run, path))
    if facts is None:
        assert state(run) == before, "it was refused, and something was changed"
        return False
    assert isinstance(facts, dict)
    assert all(bool(value.isfinite().all()) for value in run.model.state_dict().values())
    assert run.step == 2
    go_on(run, [(torch.ones(4, 3), torch.zeros(4, dtype=torch.long))] * 2)  # it can be gone on from
    return True


def state(run: Course) -> str:
    """Return all that a course holds, as text."""
    return repr((run.model.state_dict(), run.optimizer.state_dict(), run.losses, run.seconds, torch.get_rng_state().sum()))


KINDS = (Kind("checkpoint", damages(), check_checkpoint, 60, 15),)
