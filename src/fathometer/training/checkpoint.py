"""Checkpoints: whole or not at all, checked by hash, without pickle."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fathometer import json_text
from fathometer.errors import RecordError, TargetError, shown
from fathometer.training.check_state import problem_of
from fathometer.training.course import Course
from fathometer.training.parallel import rank
from fathometer.training.state import is_finite, set_training, set_weights, training_of, weights_of

SCHEMA = "fathometer.checkpoint/1"
KEPT = 2  # the newest ones
WEIGHTS, TRAINING, FACTS, SUMS = "model.safetensors", "training.safetensors", "facts.json", "SHA256SUMS"
_FINISHED = re.compile(r"step-([0-9]{8,})")


def save(course: Course, folder: str | Path, facts: Mapping[str, Any] | None = None) -> Path | None:
    """Write a checkpoint into a folder of checkpoints, drop all but the newest `KEPT`, and return its path.

    `facts` are JSON to keep with it: where the data stand, for example. The weights lie in a file of their own, under the
    names of `state_dict`, as any reader of safetensors opens it; `sha256sum -c` checks all. The files are written beside,
    brought to the disk, and then take their place: a process that is killed leaves the older ones as they were. None, and
    nothing written, where a weight is not finite. Raises `TargetError` where writing fails.

    Weights that several processes share are gathered, one at a time, and written whole by the first: any number of processes
    goes on from them. The files of `torch.distributed.checkpoint` are not used, for its reader loads a pickle.
    """
    if not is_finite(course.model):
        return None
    weights, others = weights_of(course.model)
    training, numbers = training_of(course)
    target = Path(folder) / f"step-{course.step:08}"
    if rank() != 0:
        return target
    body = {**numbers, "schema": SCHEMA, "step": course.step, "tied": others, "torch": torch.__version__, "facts": facts or {}}
    write_folder(
        target,
        {
            WEIGHTS: lambda path: save_file(weights, path, metadata={"format": "pt"}),
            TRAINING: lambda path: save_file(training, path),
            FACTS: lambda path: path.write_text(json_text.dump(body), encoding="utf-8"),
        },
    )
    _drop_old(Path(folder))
    return target


def write_folder(target: Path, files: Mapping[str, Callable[[Path], object]]) -> None:
    """Write files and their SHA-256 into a folder, whole or not at all; raise `TargetError` where it cannot be."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.mkdir(parents=True)
        for name, write in files.items():
            write(beside / name)
        sums = "".join(f"{_sha256(beside / name)}  {name}\n" for name in files)
        (beside / SUMS).write_text(sums, encoding="utf-8")
        for path in (*beside.iterdir(), beside):
            _to_disk(path)
        if target.exists():
            _remove(target)
        beside.rename(target)
        _to_disk(target.parent)
    except (OSError, SafetensorError) as problem:
        shutil.rmtree(beside, ignore_errors=True)
        why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise TargetError(
            f'"{target}" cannot be written: {why}', "What was saved before is as it was", "Make room, and start the run again"
        ) from None


def checkpoints(folder: str | Path) -> list[Path]:
    """Return the checkpoints of a folder, the oldest first."""
    found = [path for path in Path(folder).glob("step-*") if _FINISHED.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def load(course: Course, path: str | Path) -> dict[str, Any]:
    """Put a course, and this process's generators, where a checkpoint left them; return the facts kept with it.

    Raises `RecordError`, before anything is changed, for one that is cut short, changed, or not ours.
    """
    path = Path(path)
    body = read_facts(path)
    weights, training = (_tensors(path / name) for name in (WEIGHTS, TRAINING))
    problem = problem_of(course, weights, training, body)
    if problem is not None:
        raise _refused(path, problem)
    set_weights(course.model, weights, body["tied"])
    set_training(course, training, body)
    return body["facts"]


def read_facts(path: Path) -> dict[str, Any]:
    """Return the JSON part of a checkpoint whose files are what they were; raise `RecordError` for any other."""
    lines = [line.partition("  ") for line in _read(path / SUMS).splitlines()]
    sums = {name: expected for expected, _, name in lines}
    for name in (WEIGHTS, TRAINING, FACTS):
        if name not in sums:
            raise _refused(path / SUMS, f'it does not name "{name}"')
        if not (path / name).is_file():
            raise _refused(path / name, "it is not there")
        if _sha256(path / name) != sums[name]:
            raise _refused(path / name, "its SHA-256 is not the one in SHA256SUMS: it was cut short or changed")
    try:
        body = json_text.load(_read(path / FACTS))
    except ValueError as problem:
        raise _refused(path / FACTS, f"it is not JSON: {problem}") from None
    given = body.get("schema") if isinstance(body, dict) else None
    if given != SCHEMA:
        raise _refused(path / FACTS, f'its schema is {shown(given)}, and this version reads "{SCHEMA}"')
    return body


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as problem:
        raise _refused(path, str(problem)) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise _refused(path, getattr(problem, "strerror", None) or str(problem)) from None


def _refused(path: Path, why: str) -> RecordError:
    return RecordError(
        f'"{path}" is no part of a checkpoint that can be used: {why}',
        "A checkpoint is read only as it was written",
        "Resume from the one before it, or start in another folder",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _drop_old(folder: Path) -> None:
    """Remove all but the newest checkpoints, and what processes that were killed have left half written."""
    for path in checkpoints(folder)[:-KEPT]:
        _remove(path)
    for path in [*folder.glob(".step-*.part"), *folder.glob(".step-*.gone")]:
        shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove a folder so that it is never seen half removed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.gone")
    path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
