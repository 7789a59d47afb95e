"""A RUN.toml says all, is filled in, and refuses what cannot be."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest

from fathometer import toml_text
from fathometer.errors import FathometerError
from fathometer.records import Asked
from fathometer.runs import read_run, train_file
from fathometer.spec import Mlp

SMALL = """
folder = "FOLDER/run"
seed = 3
[network]
family = "mlp"
depth = 2
width = 16
[data]
name = "digits"
[training]
steps = 4
clip = "off"
learning_rate = 1
"""
Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def as_a_user_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the type checks of the tests off: a user's wrong type must meet our own error."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a RUN.toml."""

    def to_file(text: str) -> Path:
        (tmp_path / "digits.toml").write_text(text.replace("FOLDER", str(tmp_path)), encoding="utf-8")
        return tmp_path / "digits.toml"

    return to_file


def test_a_file_is_read_and_filled_in(write: Write, tmp_path: Path) -> None:
    """Sections become a spec, data and wishes; what is left out is derived: twenty saves and ten evaluations."""
    run = read_run(write(SMALL))

    assert run.network == Mlp(depth=2, width=16)
    assert run.asked == Asked(steps=4, learning_rate=1.0, seed=3, save_every=1, evaluate_every=1)
    assert (run.folder, run.source.name, dict(run.data)) == (tmp_path / "run", "digits", {"name": "digits"})
    assert read_run(write(SMALL.replace("steps = 4", "steps = 1000"))).asked.save_every == 50


def test_the_resolved_text_is_the_same_run(write: Write) -> None:
    """What is written beside the results is read back as the same, and leaves nothing out."""
    run = read_run(write(SMALL))
    again = read_run(write(run.to_toml()))

    assert (again.network, again.asked, again.data, again.folder) == (run.network, run.asked, run.data, run.folder)
    assert set(tomllib.loads(run.to_toml())["training"]) == set(vars(Asked())) - {"seed"}


def test_an_empty_file_is_a_run(write: Write, tmp_path: Path) -> None:
    """All has a default but the network: the folder lies beside the file."""
    run = read_run(write('[network]\npreset = "mlp-5"\n'))

    assert run.folder == tmp_path / "digits"
    assert (run.asked.steps, run.asked.seed, run.source.name) == (200, 0, "digits")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("training.steps=7", lambda run: run.asked.steps == 7),
        ("training.optimizer=adamw", lambda run: run.asked.optimizer == "adamw"),
        ('training.optimizer="sgd"', lambda run: run.asked.optimizer == "sgd"),
        ("training.clip=0.5", lambda run: run.asked.clip == 0.5),
        ("training.save_every=off", lambda run: run.asked.save_every is None),
        ("training.compile=true", lambda run: run.asked.compile is True),
        ("network.width=32", lambda run: run.network.width == 32),
        ("seed=9", lambda run: run.asked.seed == 9),
        ("data.seed=1", lambda run: run.data == {"name": "digits", "seed": 1}),
        ("folder=elsewhere", lambda run: run.folder == Path("elsewhere")),
    ],
)
def test_a_change_on_the_command_line_wins(change: str, expected: Callable, write: Write) -> None:
    """Values are read as TOML; a bare word is a word."""
    assert expected(read_run(write(SMALL), [change]))


def test_sizes_that_the_data_decide_are_taken_from_them(write: Write, tmp_path: Path) -> None:
    """Vocabulary and context of text, classes and channels of images; a size that the table names stays."""
    (tmp_path / "text").mkdir()
    for index in range(12):
        (tmp_path / "text" / f"{index}.txt").write_text("to be or not to be " * 40, encoding="utf-8")
    text = '[network]\nfamily = "transformer"\nwidth = 16\nheads = 2\n[data]\nname = "text"\npath = "FOLDER/text"\ncontext = 24\n'
    network = read_run(write(text)).network
    assert (network.vocabulary, network.context) == (256, 24)
    assert read_run(write(text), ["network.context=64"]).network.context == 64

    scenes = '[network]\nfamily = "convnet"\nwidth = 4\n[data]\nname = "scenes"\nsamples = 40\n'
    run = read_run(write(scenes))
    assert (run.network.channels, run.network.classes) == (run.source.facts["shape"][0], run.source.facts["classes"])


WRONG = {
    "an unknown section": ("[trainin]\nsteps = 3\n", ("section or key", 'Did you mean "training"?')),
    "an unknown field": (SMALL + "step = 3\n", ("field of [training]", 'Did you mean "steps"?')),
    "a field of the wrong type": (SMALL.replace("steps = 4", 'steps = "four"'), ("`steps` is 'four'", "whole number")),
    "a rate that is a word": (SMALL.replace("= 1\n", '= "fast"\n'), ("`learning_rate` is 'fast'",)),
    "a list for a word": (SMALL + "optimizer = [1]\n", ("`optimizer` is [1]", "quotation marks")),
    "an unknown precision": (SMALL + 'precision = "bf16"\n', ("precision", 'Did you mean "bfloat16"?')),
    "an unknown checkpointing": (SMALL + 'checkpointing = "sqr"\n', ('Did you mean "sqrt"?',)),
    "a flag that is a word": (SMALL + 'compile = "yes"\n', ("`compile` is 'yes'",)),
    "a share above 1": (SMALL + "decay = 1.5\n", ("`decay` is 1.5", "from 0 to 1")),
    "compiled and recomputed": (SMALL + 'compile = true\ncheckpointing = "block"\n', ("Turn one of them off",)),
    "more parts than samples": (SMALL + "batch_size = 4\naccumulate = 8\n", ("`accumulate` is 8", "Try accumulate = 4")),
    "a seed in the wrong place": (SMALL + "seed = 3\n", ("at the top of the file",)),
    "a seed that is a word": (SMALL.replace("seed = 3", 'seed = "x"'), ("`seed` is 'x'",)),
    "an unknown data set": (SMALL.replace("digits", "didgits"), ('Did you mean "digits"?',)),
    "a data set that is a number": (SMALL.replace('"digits"', "3"), ("`name` is 3",)),
    "an unknown option of the data": (SMALL.replace('"digits"', '"digits"\nsede = 1'), ('Did you mean "seed"?',)),
    "an unknown field of the network": (SMALL.replace("depth", "dept"), ('Did you mean "depth"?',)),
    "no network": ("[training]\nsteps = 3\n", ("Neither `family` nor `preset`",)),
    "a section that is a value": ("network = 3\n", ("`network` is 3", "[network]")),
    "a device that is not here": (SMALL.replace("seed", 'device = "tpu"\nseed'), ('`device` is "tpu"',)),
    "a folder that is a number": (SMALL.replace('"FOLDER/run"', "3"), ("`folder` is 3",)),
    "text that is not TOML": ("network = \n", ("is not TOML",)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(name: str, write: Write) -> None:
    """One paragraph that names what was given, and the nearest right name where there is one."""
    text, words = WRONG[name]
    with pytest.raises(FathometerError) as caught:
        read_run(write(text))

    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["training.steps", "=3", "optimizer.rate=3", "training.=3"])
def test_a_change_that_changes_nothing_is_refused(change: str, write: Write) -> None:
    """A change without a value, a key or a section that there is says how one is written."""
    with pytest.raises(FathometerError, match=r"For example training\.steps=100"):
        read_run(write(SMALL), [change])


def test_a_file_that_is_not_there_or_not_a_file(tmp_path: Path) -> None:
    """Both are said."""
    with pytest.raises(FathometerError, match="There is no file"):
        read_run(tmp_path / "none.toml")
    with pytest.raises(FathometerError, match="cannot be read"):
        read_run(tmp_path)


def test_the_folder_holds_all_of_the_run(write: Write, tmp_path: Path) -> None:
    """The resolved file, what the run is, the log, checkpoints and the record; another run is refused before it is written."""
    path = write(SMALL.replace("learning_rate = 1\n", ""))
    trained = train_file(read_run(path), silent=True)
    names = {file.name for file in (tmp_path / "run").iterdir()}
    resolved = (tmp_path / "run" / "run.toml").read_text(encoding="utf-8")

    assert names == {"run.toml", "run.json", "log.jsonl", "checkpoints", "record.json"}
    assert train_file(read_run(tmp_path / "run" / "run.toml"), silent=True).record == trained.record
    with pytest.raises(FathometerError, match=re.escape("`training.steps` is 4 there and 5 here")):
        train_file(read_run(path, ["training.steps=5"]), silent=True)
    assert (tmp_path / "run" / "run.toml").read_text(encoding="utf-8") == resolved


def test_a_folder_that_cannot_be_made_is_an_error(write: Write, tmp_path: Path) -> None:
    """Where a file stands in the way the error says so."""
    path = write(SMALL)
    (tmp_path / "run").write_text("", encoding="utf-8")
    with pytest.raises(FathometerError, match="cannot be made"):
        train_file(read_run(path), silent=True)


@pytest.mark.parametrize(
    "line",
    ["every = nan", "every = true", "every = {a = 1}", "price = 3", 'budget = "x"', "layers = [1]", "stop_on = 1", "often = 1"],
)
def test_a_wish_that_none_can_have_is_refused(line: str, write: Write) -> None:
    """Each field of [watch] is of its own kind; the error says which."""
    with pytest.raises(FathometerError, match=r"of \[watch\]"):
        read_run(write(f"{SMALL}[watch]\n{line}\n"))


def test_wishes_are_kept(write: Write) -> None:
    """The control: what a watch takes is read."""
    told = 'every = 5\nprice = "economy"\nbudget = 0.05\nlayers = "blocks.*"\nstop_on = ["non_finite"]\n'
    wishes = read_run(write(f"{SMALL}[watch]\n{told}")).watch
    assert wishes == {"every": 5, "price": "economy", "budget": 0.05, "layers": "blocks.*", "stop_on": ["non_finite"]}


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    """A run whose own copy of its file would replace the file is refused; the copy in a run's folder can be run again."""
    path = tmp_path / "run.toml"
    path.write_text("# mine" + SMALL.replace("FOLDER/run", str(tmp_path)), encoding="utf-8")
    with pytest.raises(FathometerError, match="would be written over"):
        read_run(path)
    assert path.read_text(encoding="utf-8").startswith("# mine")

    (tmp_path / "run.json").touch()
    assert read_run(path).folder == tmp_path


def test_toml_text_is_read_back() -> None:
    """Quotation marks, backslashes, control characters, lists and numbers survive."""
    table = {"a": 'x "y" \\ \n \x7f é', "b": [1, 2.5, True], "c": 1e-05, "section": {"d": "off", "e": False, "f": float("inf")}}

    assert tomllib.loads(toml_text.dump(table)) == table
