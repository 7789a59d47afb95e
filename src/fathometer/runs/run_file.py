"""RUN.toml: a run as a file, with changes from the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import ceil, prod
from os.path import abspath
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from fathometer import toml_text
from fathometer.data import Dataset, find_dataset
from fathometer.errors import SpecError, TargetError, look_up, shown, unknown_name
from fathometer.files import is_text
from fathometer.records import Asked
from fathometer.runs.folder import Resume, RunFolder, ShouldStop, Watching
from fathometer.runs.run import Trained, train
from fathometer.spec import ConvNet, Mlp, Spec, Transformer, spec_from_dict, spec_to_dict
from fathometer.spec.changes import OFF, plain_value
from fathometer.training.parallel import own_device

SECTIONS = ("network", "data", "training", "watch")
# Of [watch], each with what it may be, in words and by type, and an example.
WISHES: dict[str, tuple[str, tuple[type, ...], str]] = {
    "every": ("a number of steps, or a word", (int, str), "50"),
    "price": ("a word", (str,), '"economy"'),
    "budget": ("a number", (int, float), "0.01"),
    "layers": ("a pattern, or a list of names", (str, list), '"blocks.*"'),
    "stop_on": ("a word, or a list of words", (str, list), '["non_finite"]'),
}
TOP = ("seed", "folder", "device")
NUM_SAVES, NUM_EVALUATIONS = 20, 10  # over a run whose file says nothing of `save_every` and `evaluate_every`
RESOLVED = "run.toml"


@dataclass(frozen=True)
class RunFile:
    """What a RUN.toml asks for, with all that it leaves out filled in."""

    network: Spec
    data: Mapping[str, Any]
    asked: Asked
    folder: Path
    device: str
    source: Dataset
    watch: Mapping[str, Any] | None = None

    def to_toml(self) -> str:
        """Return the text of a RUN.toml that asks for the same and leaves nothing out."""
        training = {name: OFF if value is None else value for name, value in asdict(self.asked).items() if name != "seed"}
        top = {"folder": str(self.folder), "device": self.device, "seed": self.asked.seed}
        sections = {"network": spec_to_dict(self.network), "data": self.data, "training": training}
        return toml_text.dump({**top, **sections, **({} if self.watch is None else {"watch": self.watch})})


def read_run(path: str | Path, changes: Sequence[str] = ()) -> RunFile:
    """Return what a RUN.toml asks for, after changes like "training.steps=100".

    Sections are [network] (a spec, or a preset and fields), [data] (`name` and its options), [training] (fields of `Asked`)
    and, for a run whose layers are watched, [watch] (what `fm.watch` is asked); at the top stand `seed`, `folder` (None: the
    file's name without its ending, beside it) and `device` ("auto": a GPU where there is one). Sizes that the network's table
    leaves out and the data decide are taken from them: vocabulary, context, classes, channels, inputs.

    Raises `TargetError` where there is no such file, `SpecError` and `DataError` for what cannot be, with the nearest right
    name.
    """
    path = Path(path)
    table = _with_changes(_read(path), changes)
    for name in table:
        if name not in (*SECTIONS, *TOP):
            raise unknown_name("section or key", name, (*SECTIONS, *TOP))
    sections = {name: _section(table, name) for name in SECTIONS}
    asked = _asked(sections["training"], table.get("seed", 0))
    data = {"name": "digits", **sections["data"]}
    _check_word("name", data["name"], "digits")
    source = find_dataset(**data)
    network = spec_from_dict(_fitted(sections["network"], source.facts))
    folder = table.get("folder", str(path.with_suffix("")))
    _check_word("folder", folder, "runs/first")
    _check_folder(path, Path(folder))
    for name, value in sections["watch"].items():
        _check_wish(name, value)
    wishes = sections["watch"] if "watch" in table else None
    return RunFile(network, data, asked, Path(folder), _device(table.get("device", "auto")), source, wishes)


def train_file(
    run: RunFile,
    *,
    resume: Resume = "latest",
    silent: bool = False,
    watching: Watching | None = None,
    should_stop: ShouldStop = lambda: False,
) -> Trained:
    """Train what `read_run` has read, or go on with it, and keep it in its folder with the resolved file.

    `silent` shows no progress; `watching` and `should_stop` are those of `RunFolder`. Raises what `train` raises.
    """
    kept = RunFolder(run.folder, {RESOLVED: run.to_toml()}, watching, should_stop)
    progress, device = (lambda *_: None) if silent else None, own_device(run.device)
    return train(run.network, run.asked, data=run.source, folder=kept, resume=resume, device=device, progress=progress)


def _read(path: Path) -> dict[str, Any]:
    try:
        return toml_text.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TargetError(f'There is no file "{path}"', "A run is a TOML file", "Check the path") from None
    except OSError as problem:
        raise TargetError(f'"{path}" cannot be read: {problem.strerror}', "A run is a readable file", "Check it") from None
    except ValueError as problem:
        raise SpecError(
            f'"{path.name}" is not TOML: {problem}',
            "It has sections like [training] and lines like steps = 200",
            "Mend that line",
        ) from None


def _with_changes(table: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    for change in changes:
        key, equals, text = change.partition("=")
        home, _, name = key.strip().rpartition(".")
        if not equals or not name or (home and home not in SECTIONS) or not is_text(change):
            raise SpecError(
                f'"{change}" changes nothing',
                f"A change is written section.key=value, with a section of {', '.join(SECTIONS)}",
                "For example training.steps=100",
            )
        target = table.setdefault(home, {}) if home else table
        if not isinstance(target, dict):
            raise _no_table(home, target)
        target[name] = toml_text.value_or_word(text)
    return table


def _check_folder(path: Path, folder: Path) -> None:
    """Raise where the run's own copy of its file would be written over the file, with its comments."""
    if abspath(folder / RESOLVED) == abspath(path) and not (folder / "run.json").exists():
        raise SpecError(
            f'"{path}" would be written over: its folder is "{folder}", and a run keeps a copy of its file there as {RESOLVED}',
            "A run has a folder of its own",
            'For example folder = "runs/first"',
        )


def _section(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = table.get(name, {})
    if not isinstance(section, dict):
        raise _no_table(name, section)
    return dict(section)


def _no_table(name: str, given: object) -> SpecError:
    return SpecError(
        f"`{name}` is {shown(given)}", "It is a section with lines of its own", f"Write [{name}], and its lines below"
    )


def _asked(section: Mapping[str, Any], seed: Any) -> Asked:
    hints, known = get_type_hints(Asked), [field.name for field in fields(Asked) if field.name != "seed"]
    for name in section:
        if name == "seed":
            raise SpecError("`seed` stands in [training]", "It is for the whole run", "Write it at the top of the file")
        if name not in known:
            raise unknown_name("field of [training]", name, known)
    cleaned = {name: _plain(value, hints[name]) for name, value in section.items()}
    asked = Asked(**cleaned, seed=seed)
    if "save_every" not in section:
        asked = replace(asked, save_every=ceil(asked.steps / NUM_SAVES))
    return asked if "evaluate_every" in section else replace(asked, evaluate_every=ceil(asked.steps / NUM_EVALUATIONS))


def _plain(value: Any, hint: Any) -> Any:
    kinds = get_args(hint) or (hint,)
    return plain_value(value, next(kind for kind in kinds if kind is not NoneType), NoneType in kinds)


def _fitted(section: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the network's table with the sizes that it leaves out and the data decide."""
    kind = type(spec_from_dict(section))
    shape, sizes = facts.get("shape"), dict[str, Any]()
    if kind is Transformer:
        sizes = {name: facts.get(name) for name in ("vocabulary", "context")}
    elif kind is Mlp:
        sizes = {"inputs": prod(shape) if shape else None, "outputs": facts.get("classes")}
    elif kind is ConvNet:
        sizes = {"channels": shape[0] if shape and len(shape) == 3 else None, "classes": facts.get("classes")}
    return {**{name: size for name, size in sizes.items() if size is not None}, **section}


def _device(given: Any) -> str:
    import torch

    _check_word("device", given, "cpu")
    if given == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(given).type
    except RuntimeError:
        kind = None
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise SpecError(f'`device` is "{given}"', "There is no such device here", 'Say device = "auto"')
    return given


def _check_wish(name: str, value: object) -> None:
    words, kinds, example = look_up("field of [watch]", name, WISHES)
    is_mixed = isinstance(value, list) and not all(isinstance(item, str) for item in value)
    if isinstance(value, bool) or not isinstance(value, kinds) or is_mixed:
        raise SpecError(f"`{name}` of [watch] is {shown(value)}", f"It is {words}", f"For example {name} = {example}")


def _check_word(name: str, value: object, example: str) -> None:
    if not isinstance(value, str) or not value:
        raise SpecError(
            f"`{name}` is {shown(value)}", "It must be a word in quotation marks", f'For example {name} = "{example}"'
        )
