"""RUN.toml files, with changes from the command line."""

from dataclasses import fields
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from benchmarks.fuzz.kind import Kind, answer, is_count
from benchmarks.fuzz.specs import check_spec
from benchmarks.fuzz.values import nested
from fathometer import toml_text
from fathometer.data.catalogue import DATASETS
from fathometer.records import Asked
from fathometer.runs import RunFile, read_run
from fathometer.spec import Mlp

KEYS: dict[str, dict[str, str]] = {  # of each section, with a value that is right
    "network": {field.name: toml_text.value(field.default) for field in fields(Mlp) if field.default is not None},
    "training": {field.name: toml_text.value(field.default) for field in fields(Asked) if field.default is not None},
    "watch": {"every": "10", "price": '"economy"', "budget": "0.01", "layers": '["*"]', "stop_on": '["exploding_gradient"]'},
    "": {"seed": "3", "folder": '"here"', "device": '"cpu"'},
}
# As a file has them: of the right kind, of the wrong one, and of none.
LITERALS = [
    "1",
    "2",
    "3",
    "8",
    "0",
    "-1",
    "0.5",
    "1e-3",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "true",
    "false",
    '""',
    '"off"',
    '"3"',
    "[]",
]
LITERALS += ["[1, 2]", '["a"]', "{a = 1}", "2026-01-01", "1_000", "0x10", "1" + "0" * 400, "9" * 5000, "9223372036854775808", "٣"]
LITERALS += [
    '"\\u0000"',
    '"~nobody/x"',
    '"../x"',
    '"\\u001b[31m"',
    '"class"',
    '"value"',
    '"word"',
    '"flat"',
    '"adam"',
    '"cosine"',
]
LITERALS += ['"words.txt"', '"block"', '"float16"', '"auto"', '"cpu"', '"cuda"', '"meta"', '"cpu:99999999999"', "1000000000000"]
LITERALS += [f'"{"n" * 300}"', f'"{"e" * 300}/x"', '"economy"', '"standard"', '["exploding_gradient"]', '"*"']
RIGHT = "[network]\npreset = 'mlp-5'\n[data]\nname = '{data}'\n{options}[training]\nsteps = 2\n"
CHEAP = {  # options that make a data set small
    "digits": "",
    "text": "path = 'words.txt'\ncontext = 4\n",
    "scenes": "samples = 2\nsize = 16\n",
    "language": "tokens = 40\ncontext = 4\n",
    "hierarchy": "classes = 2\nsymbols = 2\nsynonyms = 1\nlevels = 1\nbranching = 2\n",
    "parity": "bits = 4\nsamples = 8\n",
    "sawtooth": "samples = 8\n",
    "images": "path = 'pictures'\n",
}


@st.composite
def lines(draw: st.DrawFn, section: str, data: str) -> str:
    """Draw the name of a key of a section and something for it, right more often than not."""
    known = options_of(data) if section == "data" else KEYS[section]
    name = draw(st.sampled_from(list(known)) if draw(st.integers(0, 19)) else st.text(max_size=4))
    value = known.get(name, "1") if draw(st.integers(0, 2)) else draw(st.sampled_from(LITERALS))
    return f"{name} = {value}"


def options_of(data: str) -> dict[str, str]:
    """Return the options of a data set, with their defaults."""
    parameters = signature(DATASETS[data]).parameters.values()
    return {one.name: "1" if one.default in (None, one.empty) else toml_text.value(one.default) for one in parameters}


@st.composite
def runs(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    """Draw the text of a file, and changes."""
    data = draw(st.sampled_from(list(DATASETS)))
    text, sections = RIGHT.format(data=data, options=CHEAP[data]), st.sampled_from(["network", "data", "training", "watch"])
    for section in draw(st.lists(sections, max_size=2, unique=True)):
        added = f"[{section}]\n" + draw(lines(section, data)) + "\n"
        text = text.replace(f"[{section}]\n", added) if f"[{section}]\n" in text else text + added
    if draw(st.booleans()):
        text = draw(lines("", data)) + "\n" + text
    if not draw(st.integers(0, 11)):
        text = draw(
            st.sampled_from([nested("[", "]", 9000), "[network", text[: len(text) // 2], text + text, "network = 3", "\x00", ""])
        )
    changed = draw(st.lists(sections | st.just(""), max_size=2))
    return text, tuple(draw(change(section, data)) for section in changed)


@st.composite
def change(draw: st.DrawFn, section: str, data: str) -> str:
    """Draw a change as it is given after --set."""
    given = draw(lines(section, data)).replace(" = ", "=", 1)
    ends = st.sampled_from([*[""] * 12, "\nx=1", "\n[training]", "\udcff", "\x00", " # no", "."])
    return (f"{section}.{given}" if section else given) + draw(ends)


def write_folder(folder: Path) -> None:
    """Write what the files of runs name: a text."""
    (folder / "words.txt").write_text("one two three four five six seven eight nine ten " * 4, encoding="utf-8")


def check_run(given: tuple[str, tuple[str, ...]]) -> bool:
    """Raise unless a file with its changes is a run that survives being written, or is refused in words."""
    text, changes = given
    with TemporaryDirectory() as home:
        folder = Path(home)
        write_folder(folder)
        text = text.replace("'words.txt'", f"'{folder / 'words.txt'}'").replace('"words.txt"', f'"{folder / "words.txt"}"')
        path = folder / "run.toml"
        path.write_bytes(text.encode(errors="surrogateescape"))
        run = answer(lambda: read_run(path, changes))
        if run is not None:
            check_accepted(run, folder)
    return run is not None


def check_accepted(run: RunFile, folder: Path) -> None:
    """Raise unless a run holds what it may, and asks for the same when it is written out and read again."""
    check_spec(run.network)
    assert is_count(run.asked.steps)
    assert is_count(run.asked.seed, 0, 2**63)
    (folder / "again.toml").write_text(run.to_toml(), encoding="utf-8")
    again = read_run(folder / "again.toml")
    for part in ("network", "asked", "folder", "device", "watch"):
        before, after = getattr(run, part), getattr(again, part)
        assert before == after or repr(before) == repr(after), f"`{part}` was {before!r} and is {after!r}"  # NaN is not NaN
    assert {name: as_list(value) for name, value in again.data.items()} == {
        name: as_list(value) for name, value in run.data.items()
    }
    assert again.source.facts["sha256"] == run.source.facts["sha256"]


def as_list(value: object) -> object:
    """Return a tuple as a list, which is what TOML has."""
    return list(value) if isinstance(value, tuple) else value


DIGITS = RIGHT.format(data="digits", options="")
PINNED = (
    (DIGITS, ("watch.every=1\udcff",)),  # half a character: accepted, and could not be written
    (DIGITS, ("training.steps=3\nx=1",)),  # the second line was left out in silence
    (f"seed = {2**64}\n{DIGITS}", ()),  # accepted, and no generator takes it
    (DIGITS.replace("steps = 2", "learning_rate = 1" + "0" * 400), ()),
    (RIGHT.format(data="digits", options="seed = -1\n"), ()),
    (RIGHT.format(data="text", options="path = '~nobody/x'\n"), ()),
    (RIGHT.format(data="images", options='path = "a\\u0000"\n'), ()),
    (RIGHT.format(data="text", options=f"path = '{'n' * 300}'\n"), ()),
    (nested("[", "]", 9000), ()),
    (f"{DIGITS}\n[watch]\nevery = nan\n", ()),
    (f"{DIGITS}\n[watch]\nevery = {{a = 1}}\n", ()),  # accepted, and written out as what is no TOML
    (f'folder = "a\\u0000"\n{DIGITS}', ()),
)
KINDS = (Kind("run file", runs(), check_run, 60, 12, PINNED),)
