"""`fathometer plan`: a budget in, a network out, in words, JSON and TOML."""

import json
from pathlib import Path

import pytest

from fathometer.cli import main
from fathometer.scaling import plan
from fathometer.spec import load_spec


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the command prints, after it ended well."""
    with pytest.raises(SystemExit) as ended:
        main(["plan", *arguments])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_answer_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    """The first line has depth, width, parameters and tokens; then follow the intervals and who disagrees."""
    first, *rest = run(capsys, "--flops", "1e21").splitlines()

    assert first.startswith("1e+21 FLOP")
    assert "31 deep, 2,560 wide" in first
    assert any(line.startswith("parameters  2.78B (2.4") for line in rest)
    assert any("It is contested" in line for line in rest)


def test_json_and_toml_are_the_same_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON holds what `fm.plan` says, and the TOML the network that preflight reads."""
    table = json.loads(run(capsys, "--flops", "1e20", "--json", "--spec", str(tmp_path / "plan.toml")))
    found = plan(1e20)

    assert (table["parameters"], table["tokens"]) == (found.parameters, found.tokens)
    assert load_spec(tmp_path / "plan.toml") == found.spec


def test_fields_of_the_network_and_the_chip_are_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """Context and utilisation change the plan; half the utilisation is half the budget."""
    wishes = ("--chips", "8", "--hours", "2", "--chip", "a100", "--json")
    one, half = (json.loads(run(capsys, *wishes, "--utilisation", share, "--set", "context=512")) for share in ("0.4", "0.2"))

    assert one["spec"]["context"] == 512
    assert one["flops"] == pytest.approx(2 * half["flops"])


def test_a_word_needs_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell takes quotes away: what TOML cannot read is a word, as for `fathometer train`; with quotes it is the same one."""
    plain, quoted = (run(capsys, "--flops", "1e20", "--json", "--set", f"positions={word}") for word in ("rope", '"rope"'))

    assert json.loads(plain)["spec"]["positions"] == "rope"
    assert plain == quoted
