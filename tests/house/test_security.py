"""What is not trusted runs no code, opens no door and leaves its folder alone."""

import ast
import json
import os
import pickle
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import fathometer
from fathometer.errors import FathometerError, RecordError, SpecError, TargetError
from fathometer.records import Asked
from fathometer.runs import read_run
from fathometer.runs.finished import Finished
from fathometer.sinks import read_run_record
from fathometer.spec import ConvNet, Mlp, Transformer, preset, spec_from_dict, spec_to_dict
from fathometer.studies import cells
from fathometer.training import begin, checkpoint

SOURCE = Path(fathometer.__file__).parent
BY_NAME = {"eval", "exec", "compile", "__import__", "input", "breakpoint"}
BY_MODULE = {"pickle", "marshal", "shelve", "dill", "joblib", "subprocess", "yaml", "ctypes", "zipfile", "tarfile", "socket"}
BY_ATTRIBUTE = {
    *("torch.load", "os.system", "os.popen", "os.execv", "np.load", "numpy.load", "importlib.util.spec_from_file_location"),
    *("asyncio.create_subprocess_shell", "asyncio.create_subprocess_exec", "found.loader.exec_module"),
}
# Every place of such a thing, and why nothing that is not trusted gets there.
ALLOWED = {
    "memory.py": {"ctypes": "malloc_trim of the process's own C library, without a path"},
    "runs/work.py": {"pickle": "work goes to the workers of the user's own executor, and comes from nowhere else"},
    "diagnosis/targets.py": {"found.loader.exec_module": "FILE.py:NAME is the user's own program, and is said to be run"},
    "lab/runner.py": {"asyncio.create_subprocess_exec": "our own module, by a list of fixed words, without a shell"},
    "lab/serving.py": {"socket": "the lab's own door, on 127.0.0.1"},
}
CODE = "__import__('os').system('touch PWNED')"


@pytest.fixture(autouse=True)
def as_a_user_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the type checks of the tests off: what is wrong must meet our own error."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


class Bomb:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.mark),))


def dangers(text: str) -> set[str]:
    """Return what a source holds that could run what is not trusted."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BY_NAME:
            found.add(node.func.id)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in BY_ATTRIBUTE:
            found.add(ast.unparse(node))
        elif isinstance(node, ast.keyword) and node.arg in ("shell", "trust_remote_code", "allow_pickle"):
            found |= {f"{node.arg}={ast.unparse(node.value)}"} if ast.unparse(node.value) != "False" else set()
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found |= {name.partition(".")[0] for name in names} & BY_MODULE
    return found


def test_no_source_runs_what_it_is_given() -> None:
    """No file of the package evaluates, unpickles, calls a shell or opens a door, but for those that are listed with a reason."""
    found = {path.relative_to(SOURCE).as_posix(): dangers(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}

    assert {name: names for name, names in found.items() if names} == {name: set(reasons) for name, reasons in ALLOWED.items()}


@pytest.mark.parametrize(
    "line",
    [
        *("eval('1')", "exec(text)", "import pickle", "from pickle import loads", "import subprocess as s", "torch.load(path)"),
        *("run(line, shell=True)", "os.system('x')", "np.load(path, allow_pickle=True)", "load(x, trust_remote_code=None)"),
    ],
)
def test_what_could_is_seen(line: str) -> None:
    """The control: each way to run what was given is seen; a model's eval and torch's compile are not taken for it."""
    assert dangers(line)
    assert not dangers("model.eval(); module.compile(); re.compile('x'); load(x, trust_remote_code=False)")


def kept(folder: Path) -> Path:
    """Return a checkpoint of a small network."""
    torch.manual_seed(0)
    path = checkpoint.save(begin(nn.Linear(4, 3), Asked(steps=1)), folder)
    assert path is not None
    return path


def signed(path: Path, *more: str) -> None:
    """Write the sums of a checkpoint anew, as one who forges it would."""
    names = (checkpoint.WEIGHTS, checkpoint.TRAINING, checkpoint.FACTS)
    lines = [f"{checkpoint._sha256(path / name)}  {name}" for name in names]
    (path / checkpoint.SUMS).write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")


def header(table: dict[str, Any], claimed: int | None = None) -> bytes:
    """Return a safetensors file with that header, and a length that may be a lie."""
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text) if claimed is None else claimed) + text


HUGE = {"weight": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 2**62]}}
FORGED: dict[str, Callable[[Path], bytes]] = {
    "a pickle": lambda mark: pickle.dumps(Bomb(mark)),
    "what torch.save wrote": lambda mark: b"PK\x03\x04" + pickle.dumps(Bomb(mark)),
    "a header of an exabyte": lambda mark: header({}, 2**60),
    "a header longer than the file": lambda mark: header({}, 90_000_000),
    "a tensor of four exabytes": lambda mark: header(HUGE),
    "a negative place": lambda mark: header({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}}) + b"12345678",
    "nothing": lambda mark: b"",
}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("file", [checkpoint.WEIGHTS, checkpoint.TRAINING])
def test_a_forged_checkpoint_is_refused_and_nothing_of_it_runs(name: str, file: str, tmp_path: Path) -> None:
    """With right hashes over it, a file that is no safetensors, or lies about its size, is refused by name."""
    path, mark = kept(tmp_path), tmp_path / "mark"
    (path / file).write_bytes(FORGED[name](mark))
    signed(path)

    with pytest.raises(RecordError, match=file):
        checkpoint.load(begin(nn.Linear(4, 3), Asked(steps=1)), path)
    assert not mark.exists()


def test_the_bomb_would_have_gone_off(tmp_path: Path) -> None:
    """The control: read as a pickle, the same bytes leave their mark."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "mark")))

    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"tied": {"bias": "../../weight"}},
        {"tied": 3},
        {"python": None},
        {"python": [CODE, [], None]},
        {"numpy": [CODE, [1], 0, 0, 0.0]},
        {"numbers": {"optimizer/weight/step": CODE}},
        {"seconds": None},
    ],
    ids=str,
)
def test_forged_facts_of_a_checkpoint_are_refused_or_plain(change: dict[str, Any], tmp_path: Path) -> None:
    """Facts that are not what was written end in an error of ours, or are values that nothing runs."""
    path = kept(tmp_path)
    table = json.loads((path / checkpoint.FACTS).read_text(encoding="utf-8"))
    (path / checkpoint.FACTS).write_text(json.dumps({**table, **change}), encoding="utf-8")
    signed(path)

    with suppress(RecordError):
        checkpoint.load(begin(nn.Linear(4, 3), Asked(steps=1)), path)
    assert not Path("PWNED").exists()


def test_sums_name_no_file_outside(tmp_path: Path) -> None:
    """A line of the sums that leads out of the checkpoint is not followed: only our own three files are read."""
    path = kept(tmp_path)
    signed(path, f"{'0' * 64}  ../../secret", f"{'0' * 64}  {tmp_path}/secret")

    assert checkpoint.read_facts(path)["schema"] == checkpoint.SCHEMA


@pytest.mark.parametrize("name", ["step-1/../../x", "step-../x", "step-00000001 ", "step-0000000١", "STEP-00000001", "step-1"])
def test_only_names_of_ours_are_checkpoints(name: str, tmp_path: Path) -> None:
    """A folder that is called otherwise, or hides a path in its name, is no checkpoint, and is never removed."""
    (tmp_path / name.replace("/", "_")).mkdir()

    assert checkpoint.checkpoints(tmp_path) == []


def test_a_link_is_not_followed_when_old_ones_are_removed(tmp_path: Path) -> None:
    """Where an old checkpoint, or a half-written one, is a link to elsewhere, what lies there stays."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (outside / "precious").write_text("x", encoding="utf-8")
    inside.mkdir()
    for name in ("step-00000001", ".step-00000009.1.part"):
        (inside / name).symlink_to(outside, target_is_directory=True)
    for step in (2, 3):
        (inside / f"step-{step:08}").mkdir()
    checkpoint._drop_old(inside)

    assert not (inside / "step-00000001").exists()
    assert (outside / "precious").read_text(encoding="utf-8") == "x"


@pytest.mark.parametrize("spec", [Mlp(), ConvNet(), Transformer()], ids=lambda spec: type(spec).__name__)
@pytest.mark.parametrize("text", [CODE, "../../etc/passwd", "{0.__class__}", "$(touch PWNED)"])
def test_a_spec_that_holds_code_is_refused(spec: Any, text: str) -> None:
    """In each field in turn, code, a path or a template is an unknown name or a wrong value, and nothing runs."""
    for field in fields(spec):
        with pytest.raises(SpecError):
            spec_from_dict({**spec_to_dict(spec), field.name: text})
    with pytest.raises(FathometerError):
        preset(f"mlp-5@activation={text}")
    with pytest.raises(FathometerError):
        preset(text)
    assert not Path("PWNED").exists()


@pytest.mark.parametrize(
    "lines",
    [
        '[data]\nname = "../../secret"',
        '[network]\npreset = "../../secret"',
        f'[network]\npreset = "{CODE}"',
        f'[training]\noptimizer = "{CODE}"',
        '[training]\nsteps = "10 ** 10"',
        '[data]\nname = "digits"\npath = "../../secret"',
        '["../network"]\nx = 1',
        f'device = "{CODE}"\n[network]\npreset = "mlp-5"',
    ],
)
def test_a_run_file_that_holds_code_or_a_way_out_is_refused(lines: str, tmp_path: Path) -> None:
    """Names in a RUN.toml are looked up in catalogues, never as files or modules."""
    (tmp_path / "run.toml").write_text(lines, encoding="utf-8")

    with pytest.raises(FathometerError):
        read_run(tmp_path / "run.toml")
    assert list(tmp_path.iterdir()) == [tmp_path / "run.toml"]


@pytest.mark.parametrize("key", ["../../../escape", "/etc/escape", CODE])
def test_a_record_leads_nowhere(key: str, tmp_path: Path) -> None:
    """What a record calls a run, a cell or a depth point is never a path: nothing is written but the file that was asked for."""
    home = tmp_path / "home"
    home.mkdir()
    cell = {"schema": cells.SCHEMA, "study": key, "key": key, "cell": {"x": key}, "measured": {"y": key}}
    (home / "cells.jsonl").write_text(json.dumps(cell) + "\n", encoding="utf-8")
    (home / "records.jsonl").write_text(json.dumps({"key": key, "record": {"schema": key}}) + "\n", encoding="utf-8")
    begin_line = {"kind": "begin", "schema": "fathometer.watch/1", "model": key, "record": key}
    row = {"kind": "step", "step": 1, "points": [key], "columns": {key: [1.0]}}
    (home / "watch.jsonl").write_text("\n".join(map(json.dumps, (begin_line, row))) + "\n", encoding="utf-8")

    assert cells.Finished("x", home).found == {key: {"y": key}}
    with pytest.raises(RecordError):
        Finished(home)
    assert read_run_record(home).points == (key,)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cells.jsonl", "home", "records.jsonl", "watch.jsonl"]
    assert not Path("PWNED").exists()


def test_code_of_a_hugging_face_folder_is_not_run(tmp_path: Path) -> None:
    """A folder that brings code of its own is refused, unasked; so is one whose weights are a pickle."""
    transformers = pytest.importorskip("transformers")
    from fathometer.diagnosis.full_size.hugging_face import unmade_folder
    from fathometer.lenses.hugging_face import load_folder

    mark = tmp_path / "mark"
    (tmp_path / "theirs.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nclass Theirs: ...\n", encoding="utf-8")
    config = {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.Theirs"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(TargetError):
        load_folder(tmp_path)
    with pytest.raises(TargetError):
        unmade_folder(str(tmp_path), tokens=4, seed=0)

    (tmp_path / "config.json").write_text(
        transformers.GPT2Config(n_layer=1, n_embd=8, n_head=2).to_json_string(), encoding="utf-8"
    )
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(TargetError, match="as a pickle"):
        load_folder(tmp_path)
    assert not mark.exists()


def test_an_image_of_many_gigapixels_is_refused(tmp_path: Path) -> None:
    """An image whose header claims more pixels than a picture has is not unpacked, and is named."""
    from zlib import crc32

    from fathometer.data.images import images
    from fathometer.errors import DataError

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    size = struct.pack(">IIBBBBB", 90_000, 90_000, 8, 2, 0, 0, 0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("x.png", "y.png"):
            (tmp_path / name / file).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=r"x\.png.*cannot be read"):
        images(tmp_path, size=8)


def test_a_checkpoint_is_plain_numbers(tmp_path: Path) -> None:
    """The control: what was written is read by safetensors and JSON alone, and loads."""
    path = kept(tmp_path)
    save_file(load_file(path / checkpoint.WEIGHTS), path / checkpoint.WEIGHTS)
    signed(path)

    assert checkpoint.load(begin(nn.Linear(4, 3), Asked(steps=1)), path) == {}
