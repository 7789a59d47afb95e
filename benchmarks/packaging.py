"""What a user installs: wheel and sdist, built twice, installed in an environment of their own, and tried."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from os import environ, times
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen
from zipfile import ZipFile

Row = dict[str, Any]
ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fathometer"
WHEEL_BYTES, SDIST_BYTES, IMPORT_SECONDS = 2_000_000, 6_000_000, 0.5
REPEATS = 5
# What is tried in the clean environment: the command, its exit status, and a word that it says.
TRIED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "fathometer --help": (("fathometer", "--help"), 0, "preflight"),
    "fathometer presets": (("fathometer", "presets"), 0, "gpt3-175b"),
    "fathometer preflight tanh-50": (("fathometer", "preflight", "tanh-50"), 1, "WILL NOT TRAIN"),
    "fathometer preflight gpt2@depth=2,width=256 --full-size": (
        ("fathometer", "preflight", "gpt2@depth=2,width=256,vocabulary=300,context=16", "--full-size"), 0, "HEALTHY",
    ),
    "every public name": (
        ("python", "-c", "import fathometer as fm; print([getattr(fm, name) for name in fm.__all__])"), 0, "function preflight",
    ),
    "three lines of Python": (
        ("python", "-c", "import torch, fathometer as fm\nmodel = torch.nn.Linear(4, 2)\n"
         "print(fm.preflight(model, (torch.randn(64, 4), torch.arange(64) % 2)))"), 0, "HEALTHY",
    ),
}  # fmt: skip


def packaging() -> list[Row]:
    """Return one row for each thing that is looked at; a broken one raises, so a table means that all of them work.

    The sdist is built from the tree, one wheel from the tree and one from the sdist: they must hold the same. The environment
    has the wheel alone; the packages that the wheel asks for are lent to it from this Python's, since they are gigabytes: pip
    checks there that nothing is missing. It runs in an empty folder, so nothing of the tree is in reach.
    """
    with TemporaryDirectory() as folder:
        wheel, again, sdist = build(Path(folder))
        check_wheel(wheel)
        assert contents(wheel) == contents(again), "the wheel of the sdist differs from that of the tree"
        rows = [_size("wheel", wheel, WHEEL_BYTES), _size("sdist", sdist, SDIST_BYTES)]
        place = environment(Path(folder) / "environment", wheel)
        rows += [_row(name, "processor seconds", tried(place, *wanted)) for name, wanted in TRIED.items()]
        rows.append(_row("the lab's page, styles and scripts", "files", float(lab_files(place))))
        rows.append(_row("import fathometer", "processor seconds above Python", imported(place), IMPORT_SECONDS))
    return rows


def _row(what: str, unit: str, measured: float, limit: float | None = None) -> Row:
    kept = None if limit is None else measured <= limit
    return {"what": what, "measured": measured, "unit": unit, "limit": limit, "kept": kept}


def _size(what: str, path: Path, limit: int) -> Row:
    return _row(what, "bytes", float(path.stat().st_size), limit)


def build(folder: Path) -> tuple[Path, Path, Path]:
    """Return the wheel of the tree, the wheel of the sdist, and the sdist; both are built by what is installed here."""
    for name, what in (("tree", ("--wheel",)), ("sdist", ())):  # without a word: an sdist, and from it a wheel
        line = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(folder / name), str(ROOT)]
        run(line, folder)
    one, other = (next((folder / name).glob("*.whl")) for name in ("tree", "sdist"))
    return one, other, next((folder / "sdist").glob("*.tar.gz"))


def contents(wheel: Path) -> dict[str, str]:
    """Return a hash of every file of a wheel; its list of hashes is left out, being about the rest."""
    with ZipFile(wheel) as file:
        return {name: sha256(file.read(name)).hexdigest() for name in file.namelist() if not name.endswith("/RECORD")}


def check_wheel(wheel: Path) -> None:
    """Raise where a file of the package is not in the wheel, or anything else is."""
    held = {name for name in contents(wheel) if ".dist-info/" not in name}
    own = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    own = {name for name in own if "__pycache__" not in name}
    assert held == own, f"missing {sorted(own - held)}, too many {sorted(held - own)}"
    assert "fathometer/py.typed" in held


def members(sdist: Path) -> set[str]:
    """Return the paths in an sdist, below its one folder."""
    with tarfile.open(sdist) as file:
        return {name.partition("/")[2] for name in file.getnames()}


def environment(place: Path, wheel: Path) -> Path:
    """Return a new environment with the wheel; what it asks for is lent from here, and pip finds it all or fails."""
    venv.create(place)  # without pip, which would bring an old setuptools that hides what is lent
    lent = {path for path in map(Path, sys.path) if path.name == "site-packages"} | {Path(sysconfig.get_paths()["purelib"])}
    site = next(place.glob("lib/python*/site-packages"))
    (site / "lent.pth").write_text("".join(f"{path}\n" for path in sorted(lent)), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet", "--no-index"]
    run([*pip, "--ignore-installed", "--no-deps", str(wheel)], place)  # one that is lent is left where it is
    run([*pip, str(wheel)], place)  # now with what it asks for: nothing may be missing
    where = run([str(place / "bin" / "python"), "-c", "import fathometer; print(fathometer.__file__)"], place)
    assert where.startswith(str(place)), f"not the wheel is tried, but {where}"
    return place


def run(line: Sequence[str], folder: Path, status: int = 0) -> str:
    """Return what a command says in a folder without the paths of this tree; raise where it ends otherwise than it should."""
    own = {key: value for key, value in environ.items() if not key.startswith(("PYTHON", "COVERAGE"))}
    told = subprocess.run(line, cwd=folder, env={**own, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    assert told.returncode == status, f"{' '.join(line)} ended with {told.returncode}:\n{told.stdout[-500:]}{told.stderr[-2000:]}"
    return told.stdout


def tried(place: Path, line: Sequence[str], status: int, word: str) -> float:
    """Return the processor seconds of a command in the environment, having seen its status and its word."""
    before = times()
    with TemporaryDirectory() as empty:
        said = run([str(place / "bin" / line[0]), *line[1:]], Path(empty), status)
    after = times()
    assert word in said, f"{' '.join(line)} does not say {word!r} but: {said[-500:]}"
    return after.children_user + after.children_system - before.children_user - before.children_system


def imported(place: Path) -> float:
    """Return the median processor seconds of the import, above an empty Python's, each pair one after the other."""
    codes = ("pass", "import fathometer")
    pairs = [[tried(place, ("python", "-c", code), 0, "") for code in codes] for _ in range(REPEATS + 1)]
    return median(own - empty for empty, own in pairs[1:])  # the first has the files read


def lab_files(place: Path) -> int:
    """Return how many files the lab of the environment serves: all of those in the tree."""
    names = sorted(path.name for path in (PACKAGE / "lab" / "static").iterdir())
    with lab(place) as address:
        for name in names:
            with urlopen(f"{address}/" if name == "index.html" else f"{address}/{name}", timeout=20) as answer:
                assert answer.read(), name
        with urlopen(f"{address}/api/beginning", timeout=60) as answer:
            assert json.load(answer)["lessons"], "no lessons"
    return len(names)


@contextmanager
def lab(place: Path) -> Iterator[str]:
    """Serve the lab of the environment for the time of a `with` block, and give its address."""
    line = [str(place / "bin" / "fathometer"), "lab", "--port", "0"]
    with TemporaryDirectory() as empty, subprocess.Popen(line, cwd=empty, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = next(text for text in server.stdout if "http://" in text)
            yield next(word for word in said.split() if word.startswith("http://")).rstrip("/.")
        finally:
            server.terminate()
