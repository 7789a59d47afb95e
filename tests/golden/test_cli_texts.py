"""What the command prints, word by word; numbers that a machine may round otherwise are dots."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fathometer.cli import main
from fathometer.cli.main import COMMANDS, DESCRIPTION
from fathometer.diagnosis.remedies.propose import CATALOGUE

NUMBER = re.compile(r"\d[\d.,]*(?:[×e][^\s,;)]*)?|[▁▂▃▄▅▆▇█·]+")
WITHOUT_BATCH = "from torch import nn\ndef model(): return nn.Linear(2, 2)\n"
RAISES = "def model(): raise RuntimeError('no data here')\n"
SICK = """
import torch
from torch import nn


def model():
    torch.manual_seed(0)
    layers = [part for _ in range(20) for part in (nn.Linear(16, 16), nn.Tanh())]
    inputs = torch.randn(160, 16)
    targets = (inputs @ torch.randn(16, 4)).argmax(1)
    return nn.Sequential(*layers, nn.Linear(16, 4)), (inputs, targets)
"""
FILES = {"sick.py": SICK, "bare.py": WITHOUT_BATCH, "raises.py": RAISES, "net.toml": 'family = "mlp"\nhead = 3\n'}
FILES["small.toml"] = 'family = "mlp"\ndepth = 2\nwidth = 8\n'
FILES["run.toml"] = '[network]\npreset = "mlp-5"\n[training]\nsteps = 3\n'
PREFLIGHT = [["sick.py:model"], ["residual-50@depth=6"], ["orthogonal-tanh-50"]]
REFUSED = [
    ["preflight", "tanh50"],
    ["preflight", "sick.py"],
    ["preflight", "sick.py:modle"],
    ["preflight", "none.py:model"],
    ["preflight", "bare.py:model"],
    ["preflight", "raises.py:model"],
    ["preflight", "net.toml"],
    ["preflight", "mlp-5", "--ignore", "initial_los"],
    ["preflight", "mlp-5", "--layers", "encoder.*"],
    ["preflight", "mlp-5", "--html", "none/page.html"],
    ["preflight", "mlp-5", "--figure", "chart.bmp"],
    ["preflight", "mlp-5", "--seed", "-1"],
    ["preflight", "sick.py:model", "--seed", "-1"],
    ["preflight", "small.toml", "--full-size"],
    ["preflight", "mlp-5", "--html", f"{'n' * 300}.html"],
    ["mend", "mlp-5", "--steps", "0"],
    ["mend", "sick.py:model", "--seed", "-1"],
    ["mend", "mlp-5", "--code", "none/fix.py"],
    ["train", "none.toml"],
    ["train", "run.toml", "--set", "training.stps=3"],
    ["train", "run.toml", "--set", "training.steps=three"],
    ["train", "run.toml", "--set", "steps=3"],
    ["train", "run.toml", "--set", "training.steps=3\ntraining.warmup=2"],
    ["train", "run.toml", "--set", "data.name=digit"],
    ["train", "run.toml", "--resume", "previous"],
    ["plan"],
    ["plan", "--flops", "-1"],
    ["plan", "--flops", "10"],
    ["plan", "--flops", "1e20", "--tokens", "-5"],
    ["plan", "--flops", "1e20", "--law", "besiroglu"],
    ["plan", "--flops", "1e20", "--shape", "kaplan2020"],
    ["plan", "--hours", "3"],
    ["plan", "--chips", "2", "--hours", "3", "--utilisation", "40"],
    ["plan", "--flops", "1e20", "--chip", "h1000"],
    ["plan", "--flops", "1e20", "--set", "context=two"],
    ["look", "none"],
    ["look", "hf:none"],
    ["look", "mlp-5", "--seed", "-1"],
    ["study", "trainabilty"],
    ["study", "clipping", "--set", "dpth=3"],
    ["demo", "--out", "none/story.html"],
    ["lab", "--port", "-1"],
    ["follow", "none"],
    ["follow", "none", "--column", "gradien"],
]


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs the command in a folder of users' files and returns all that it printed."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def command(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        return f"$ fathometer {' '.join(arguments)}\n{out}{err}[{ended.value.code}]\n"

    return command


def without_digits(text: str) -> str:
    """Return a text with a dot for every number and sparkline after its first line's command."""
    command, rest = text.split("\n", 1)
    return f"{command}\n{NUMBER.sub('#', rest[:-4])}{rest[-4:]}"


def test_help(golden: Callable[[str, str], None], printed: Callable[..., str]) -> None:
    """What each command says of itself and of its options; how it is laid out is not ours."""
    texts = []
    for name, function in COMMANDS.items():
        shown = " ".join(printed(name, "--help").split())
        words = inspect.getdoc(function) or ""
        options = sorted(set(re.findall(r"(?<=\s)--[a-z][a-z-]+", shown)) - {"--help"})
        body = " ".join(words.partition("Args:")[0].split())
        assert body in shown
        texts.append(f"fathometer {name} {' '.join(options)}\n\n{words}\n")

    golden("cli_help", "\n".join(texts))


def test_the_first_page(printed: Callable[..., str]) -> None:
    """`fathometer --help` says what it is for and names every command with its first sentence."""
    shown = " ".join(printed("--help").split())

    for name, function in COMMANDS.items():
        assert f"{name} {(inspect.getdoc(function) or '').splitlines()[0]}" in shown
    assert DESCRIPTION in shown


def test_presets(golden: Callable[[str, str], None], printed: Callable[..., str]) -> None:
    """The table of presets reads exactly as its golden file says."""
    golden("cli_presets", printed("presets"))


def test_preflights(golden: Callable[[str, str], None], printed: Callable[..., str]) -> None:
    """A sick network, one that theory knows and a healthy one: every word of the answer, the numbers left out."""
    golden("cli_preflight", "\n".join(without_digits(printed("preflight", *arguments)) for arguments in PREFLIGHT))


def test_mending(golden: Callable[[str, str], None], printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What mend says, but for the code, with the numbers left out."""
    for name in set(CATALOGUE) - {"initialise_orthogonal", "clip"}:  # where many fit, rounding may decide which is first
        monkeypatch.delitem(CATALOGUE, name)
    text = printed("mend", "sick.py:model", "--steps", "80")
    before, _, code = text.partition("The code to paste:")

    golden("cli_mend", without_digits(f"{before}The code to paste: …\n{text[-4:]}"))
    assert "model = " in code


def test_errors(golden: Callable[[str, str], None], printed: Callable[..., str]) -> None:
    """Every error of the command line reads exactly as its golden file says, and ends with 2."""
    texts = [printed(*arguments) for arguments in REFUSED]

    assert all(text.endswith("[2]\n") for text in texts)
    golden("cli_errors", "\n".join(texts))


def test_only_digits_are_left_out() -> None:
    """The control: a number does not matter, a word does."""
    one, two, three = (without_digits(f"$ a\nsignal ▁▂▃ {text}\n[0]\n") for text in ("1.5 → 2e-7", "3 → 4", "3 ↑ 4"))

    assert one == two
    assert one != three
