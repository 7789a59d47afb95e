"""What a run was asked, what came of it, and on which machine."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

from fathometer import json_text
from fathometer.errors import RecordError, SpecError, shown, unknown_name
from fathometer.spec.checks import LARGEST, MOST, check_count, check_flag, check_known, check_positive, check_size, check_word

Part = TypeVar("Part")

SCHEMA = "fathometer.record/1"
Status = Literal[
    "finished",
    "stopped: loss is not finite",
    "stopped: gradient is not finite",
    "stopped: weight is not finite",
    "stopped: an observer asked",
]
PRECISIONS = ("float32", "bfloat16", "float16")
CHECKPOINTING = ("block", "sqrt")
MOST_SEED = 2**63


@dataclass(frozen=True)
class Asked:
    """How one network is trained: everything that, with the seed, decides the outcome.

    `steps` optimizer steps on batches of `batch_size`, each gone through in `accumulate` parts whose gradients are added;
    `warmup` of them with a rising rate; `clip` is the largest gradient norm. `optimizer` is "adam", "adamw", "sgd" or "muon";
    `schedule` "constant", "cosine" or "wsd", which stays and falls over the last share `decay` of the steps; both of these fall
    to the share `final_rate` of the rate. Products are taken in `precision`, weights stay as they are. `checkpointing` keeps
    the input of each "block" alone, or of √L segments ("sqrt"), and computes the rest again. `z_loss` weighs the squared
    logarithm of softmax's sum, which is added to the loss. `evaluate_every` and `save_every` count steps. None is "off".
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
    decay: float = 0.2
    final_rate: float = 0.0
    accumulate: int = 1
    precision: str = "float32"
    compile: bool = False
    checkpointing: str | None = None
    z_loss: float | None = None
    evaluate_every: int | None = None
    save_every: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate"):
            check_count(name, getattr(self, name))
        for name in ("evaluate_every", "save_every"):
            check_count(name, getattr(self, name), optional=True)
        for name in ("warmup", "seed"):
            _check_whole(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate, 1e-3)
        check_positive("clip", self.clip, 1.0, optional=True)
        check_positive("z_loss", self.z_loss, 1e-4, optional=True)
        for name in ("momentum", "weight_decay"):
            check_size(name, getattr(self, name))
        for name in ("decay", "final_rate"):
            _check_share(name, getattr(self, name))
        check_flag("compile", self.compile)
        self._check_words()

    def _check_words(self) -> None:
        check_word("optimizer", self.optimizer, "adamw")
        check_word("schedule", self.schedule, "cosine")
        check_word("precision", self.precision, PRECISIONS[0])
        check_known("precision", self.precision, dict.fromkeys(PRECISIONS))
        check_word("checkpointing", self.checkpointing, CHECKPOINTING[0], optional=True)
        check_known("checkpointing", self.checkpointing, dict.fromkeys(CHECKPOINTING))
        if self.compile and self.checkpointing is not None:
            raise SpecError(
                f'`compile` is true and `checkpointing` "{self.checkpointing}"',
                "Compiled blocks are not computed again",
                "Turn one of them off",
            )
        if self.accumulate > self.batch_size:
            raise SpecError(
                f"`accumulate` is {self.accumulate}",
                f"A batch of {self.batch_size} has at most that many parts",
                f"Try accumulate = {self.batch_size}",
            )


def _check_whole(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SpecError(f"`{name}` is {shown(value)}", "It must be a whole number of at least 0", f"Try {name} = 0")
    if value > MOST_SEED:
        raise SpecError(f"`{name}` is {shown(value)}", "It is at most 2**63", f"Try {name} = 0")


def _check_share(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise SpecError(f"`{name}` is {shown(value)}", "It is a share: a number from 0 to 1", f"Try {name} = 0.1")


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
    was not finite, counted from 1, and `stopped_in` the module in which it first was not.
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
    stopped_in: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary with its schema, as `from_dict` reads it."""
        return {"schema": SCHEMA, **asdict(self), "losses": list(self.losses), "network": dict(self.network)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Record":
        """Return the record that `to_dict` wrote; raise `RecordError` for another schema."""
        check_schema(table, SCHEMA)
        body: dict[str, Any] = {name: value for name, value in table.items() if name != "schema"}
        try:
            asked, machine = _of(Asked, body["asked"]), _of(Machine, body["machine"])
            body |= {"asked": asked, "machine": machine, "losses": tuple(body["losses"])}
            body |= {name: _real(body[name]) for name in _REAL if name in body}
            body["losses"] = tuple(map(_real, body["losses"]))
            record = _of(cls, body)
        except (KeyError, TypeError) as problem:
            raise RecordError(f"The record lacks or garbles {problem}", "All parts must be there", "Write it anew") from None
        _check_parts(record)
        return record


_REAL = ("held_out_loss", "held_out_accuracy", "seconds")


def _real(value: Any) -> Any:
    """Return a whole number as the number that it stands for; JSON of others may leave the point out."""
    return float(value) if type(value) is int and abs(value) < LARGEST else value


def _check_parts(record: Record) -> None:
    """Raise `RecordError` unless each part is of its kind."""
    seconds, stopped, machine = record.seconds, record.stopped_at, record.machine
    fits = {
        "status": record.status in get_args(Status),
        "losses": all(isinstance(loss, float) for loss in record.losses),
        "held_out_loss": isinstance(record.held_out_loss, float | None),
        "held_out_accuracy": isinstance(record.held_out_accuracy, float | None),
        "seconds": isinstance(seconds, float) and 0 <= seconds <= LARGEST,
        "stopped_at": stopped is None or (type(stopped) is int and 0 < stopped <= MOST),
        "network": isinstance(record.network, Mapping) and all(isinstance(name, str) for name in record.network),
        "machine": all(isinstance(word, str) for word in (machine.python, machine.torch, machine.system))
        and type(machine.threads) is int,
        "stopped_in": isinstance(record.stopped_in, str | None),
    }
    for name, does_fit in fits.items():
        if not does_fit:
            given = shown(getattr(record, name))
            raise RecordError(f"The record's `{name}` is {given}", "Each part must be of its own kind", "Write it anew")


def check_schema(table: object, schema: str) -> None:
    """Raise `RecordError` unless the table says that it was written in this schema."""
    given = table.get("schema") if isinstance(table, Mapping) else None
    if given != schema:
        raise RecordError(
            f"The result's schema is {shown(given)}", f'This version reads "{schema}"', "Write it anew with this version"
        )


def read_json(text: str) -> Any:
    """Return the table in a JSON text; raise `RecordError` for anything else."""
    try:
        return json_text.load(text)
    except ValueError as problem:
        raise RecordError(f"The text is not JSON: {problem}", "A result is strict JSON", "Write it anew") from None


def _of(kind: type[Part], table: Mapping[str, Any]) -> Part:
    """Return a part of a record from its fields; raise `RecordError` for a field that it does not have."""
    names = [one.name for one in fields(kind)]  # pyrefly: ignore[bad-argument-type]
    for name in table:
        if name not in names:
            raise unknown_name(f"field of {kind.__name__}", name, names, RecordError)
    return kind(**table)
