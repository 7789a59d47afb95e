"""Finished runs on disk, a line each, found again by what was asked."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fathometer import json_text
from fathometer.data.dataset import Dataset, content_hash
from fathometer.errors import BatchError, RecordError, SpecError, TargetError
from fathometer.records import Record
from fathometer.runs.chunks import AnyRun
from fathometer.spec import spec_to_dict

RECORDS = "records.jsonl"


class Finished:
    """The records in a folder, by the key of their run; each is on disk before the next one comes."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / RECORDS
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines() if self.path.exists() else []
        except OSError as problem:
            raise _unusable(self.path, problem) from None
        self.records = dict(found for number, line in enumerate(lines, 1) if (found := _read(self.path, number, line)))

    def add(self, key: str, record: Record) -> None:
        """Append a record, and wait until it is on disk."""
        line = json_text.dump({"key": key, "record": record.to_dict()}, indent=None) + "\n"
        try:
            with self.path.open("a+b") as file:
                if _is_cut_short(file):
                    line = "\n" + line
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise _unusable(self.path, problem) from None
        self.records[key] = record


def key_of(run: AnyRun, data: str) -> str:
    """Return the hash of everything that decides a run's outcome: the spec, what was asked, and the data's fingerprint."""
    spec, asked = run
    if isinstance(spec, nn.Module):
        raise SpecError(
            f"A {type(spec).__name__} was given with a `folder`",
            "Finished runs are found again by their spec, and a module has none",
            "Give specs, or leave `folder` out",
        )
    dtype = str(torch.get_default_dtype())
    text = json_text.dump({"network": spec_to_dict(spec), "asked": asdict(asked), "data": data, "dtype": dtype}, indent=None)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(data: Any) -> str:
    """Return the hash of a data set or of a pair of tensors; raise `BatchError` for data that can only be read."""
    if isinstance(data, Dataset):
        return data.facts["sha256"]
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        parts = [part.detach().cpu().numpy() for part in data]
        return content_hash(piece for part in parts for piece in (str(part.shape), str(part.dtype), part))
    raise BatchError(
        f"The data are a {type(data).__name__}, given with a `folder`",
        "Finished runs are found again by their data, of which a hash can be taken: a data set or a pair of tensors",
        "Give one of these, or leave `folder` out",
    )


def _read(path: Path, number: int, line: str) -> tuple[str, Record] | None:
    """Return key and record of a line; None for a line that was cut short, whose run is done again."""
    try:
        table = json_text.load(line)
    except ValueError:
        return None
    if not isinstance(table, Mapping) or "key" not in table or "record" not in table:
        raise RecordError(f'Line {number} of "{path}" is no finished run', "It holds a key and a record", "Use another folder")
    return table["key"], Record.from_dict(table["record"])


def _is_cut_short(file: Any) -> bool:
    """Return whether the last line has no end: its writer was killed."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _unusable(path: Path, problem: OSError) -> TargetError:
    return TargetError(
        f'"{path}" cannot be used: {problem.strerror}', "Finished runs are written there", "Check the folder, or name another"
    )
