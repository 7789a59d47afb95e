"""What a run was asked, what came of it, and on which machine."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fathometer import json_text
from fathometer.errors import RecordError, SpecError

SCHEMA = "fathometer.record/1"
Status = Literal["finished", "stopped: loss is not finite"]


@dataclass(frozen=True)
class Asked:
    """How one network is trained: everything that, with the seed, decides the outcome.

    `steps` optimizer steps on batches of `batch_size`; `warmup` of them with a rising rate; `clip` is the largest
    gradient norm (None: off); `optimizer` is "adam", "adamw" or "sgd"; `schedule` "constant" or "cosine".
    """

    steps: int = 200
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: int = 0
    clip: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SpecError(f"`{name}` is {value!r}", "It must be a whole number of at least 1", f"Try {name} = 1")
        if not 0 < self.learning_rate < float("inf"):
            raise SpecError(f"`learning_rate` is {self.learning_rate!r}", "It must be a finite number above 0", "Try 1e-3")
        if self.clip is not None and not self.clip > 0:
            raise SpecError(f"`clip` is {self.clip!r}", "It must be a number above 0, or None for off", "Try clip = 1.0")


@dataclass(frozen=True)
class Machine:
    """Where a result was made: versions and size, no names and no paths."""

    python: str = ""
    torch: str = ""
    system: str = ""
    threads: int = 1


def this_machine(torch_version: str = "", threads: int = 1) -> Machine:
    """Return the facts of this machine that a result may depend on."""
    return Machine(platform.python_version(), torch_version, f"{platform.system()} {platform.machine()}", threads)


@dataclass(frozen=True)
class Record:
    """What one run was asked and what came of it.

    `losses` holds the training loss of every step up to the last finite one; `held_out_loss` and `held_out_accuracy`
    (None where there is none) come from data that was not trained on; `stopped_at` is the step of the first loss that
    was not finite, counted from 1.
    """

    asked: Asked
    status: Status
    losses: tuple[float, ...]
    held_out_loss: float | None = None
    held_out_accuracy: float | None = None
    seconds: float = 0.0
    stopped_at: int | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    machine: Machine = field(default_factory=Machine)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary with its schema, as `from_dict` reads it."""
        return {"schema": SCHEMA, **asdict(self), "losses": list(self.losses), "network": dict(self.network)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Record":
        """Return the record that `to_dict` wrote; raise `RecordError` for another schema."""
        check_schema(table, SCHEMA)
        body: dict[str, Any] = {name: value for name, value in table.items() if name != "schema"}
        try:
            body |= {"asked": Asked(**body["asked"]), "machine": Machine(**body["machine"]), "losses": tuple(body["losses"])}
            return cls(**body)
        except (KeyError, TypeError) as problem:
            raise RecordError(f"The record lacks or garbles {problem}", "All parts must be there", "Write it anew") from None


def check_schema(table: object, schema: str) -> None:
    """Raise `RecordError` unless the table says that it was written in this schema."""
    given = table.get("schema") if isinstance(table, Mapping) else None
    if given != schema:
        raise RecordError(
            f"The result's schema is {given!r}", f'This version reads "{schema}"', "Write it anew with this version"
        )


def read_json(text: str) -> Any:
    """Return the table in a JSON text; raise `RecordError` for anything else."""
    try:
        return json_text.load(text)
    except ValueError as problem:
        raise RecordError(f"The text is not JSON: {problem}", "A result is strict JSON", "Write it anew") from None
