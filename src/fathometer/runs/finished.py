"""Finished runs on disk, a line each, found again by what was asked."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fathometer import json_text
from fathometer.data.dataset import Dataset, content_hash
from fathometer.errors import BatchError, RecordError, SpecError
from fathometer.records import Record
from fathometer.runs.chunks import AnyRun
from fathometer.runs.lines import append_line, read_lines
from fathometer.spec import spec_to_dict

RECORDS = "records.jsonl"


class Finished:
    """The records in a folder, by the key of their run; each is on disk before the next one comes."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / RECORDS
        self.records = dict(_read(self.path, number, table) for number, table in read_lines(self.path))

    def add(self, key: str, record: Record) -> None:
        """Append a record, and wait until it is on disk."""
        append_line(self.path, {"key": key, "record": record.to_dict()})
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


def _read(path: Path, number: int, table: Any) -> tuple[str, Record]:
    """Return key and record of a line."""
    if not isinstance(table, Mapping) or "key" not in table or "record" not in table:
        raise RecordError(f'Line {number} of "{path}" is no finished run', "It holds a key and a record", "Use another folder")
    return table["key"], Record.from_dict(table["record"])
