"""Peers on the same networks, in an environment of their own."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
ROOT = Path(__file__).parents[1]
# Names on PyPI; the environment lies outside of the project, and torch stays where it is.
PEERS = ("torchlens", "torchmortem", "torchtest2", "torchdiag", "torch-audit")
FIRST = ("torch==2.13.0",)  # a plain `torch` may resolve to builds of several GB
CONSTRAINT = "torch>=2.7,<2.14\n"
ALSO = ("pandas",)  # torchlens needs it for its audit and does not ask for it
HOME = Path(os.environ.get("FATHOMETER_PEERS", Path(tempfile.gettempdir()) / "fathometer-peers"))
SICK = ("at risk", "will not train")


def peers() -> list[Row]:
    """Return one row for each peer, and one for this project, over the same networks; install what is not there.

    Answers are kept in the environment's folder, so that a run that was stopped goes on: delete it to ask all anew.
    """
    problems = installed()
    if set(problems) == set(PEERS):
        raise SystemExit(f"No peer could be installed: {problems[PEERS[0]]}")
    rows = []
    for peer in ("fathometer", *PEERS):
        print(f"{peer}: {problems.get(peer, 'installed')}", flush=True)
        rows.append(failed(peer, problems[peer]) if peer in problems else counted(peer, asked(peer)))
    return rows


def installed(peers: Sequence[str] = PEERS) -> dict[str, str]:
    """Make the environment, install each peer apart, and return what pip said of those that do not install."""
    python = HOME / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    (HOME / "constraints.txt").write_text(CONSTRAINT, encoding="utf-8")
    listed = _pip(python, "list", "--format=freeze").stdout.lower().replace("_", "-").split()
    names = {line.partition("==")[0] for line in listed}
    if "torch" not in names:
        _pip(python, "install", *FIRST)
    if not {"fathometer", *ALSO} <= names:
        _pip(python, "install", "-c", str(HOME / "constraints.txt"), "-e", str(ROOT), *ALSO)
    problems = {}
    for peer in peers:
        if peer not in names:
            done = _pip(python, "install", "-c", str(HOME / "constraints.txt"), peer)
            if done.returncode:
                problems[peer] = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return problems


def _pip(python: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(python), "-m", "pip", *words], capture_output=True, text=True, check=False)


def asked(peer: str) -> list[Row]:
    """Ask a peer in a process of its environment, with this tree's own source, and return its answers."""
    path = HOME / "answers.jsonl"
    source = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    settings = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    words = [str(HOME / "bin" / "python"), "-m", "benchmarks.peer_answers", peer, str(path)]
    subprocess.run(words, cwd=ROOT, env=settings, check=True)
    return [row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()) if row["peer"] == peer]


def failed(peer: str, problem: str) -> Row:
    """Return the row of a peer that does not install."""
    return {"peer": peer, "version": None, "problem": problem}


def counted(peer: str, answers: list[Row]) -> Row:
    """Return the rates of one peer.

    Its verdict is read in the way that suits it best: a network is sick if it says that anything is wrong, or if it says that
    anything is wrong or doubtful, whichever is right more often. Its first word is right if it may mean the planted cause.
    """
    readings = {"only what is wrong": ("will not train",), "what is wrong or doubtful": SICK}
    right = {name: sum(_is_right(row, said) for row in answers) for name, said in readings.items()}
    reading = max(right, key=lambda name: right[name])
    healthy = [row for row in answers if row["truth"] == "healthy"]
    named = [row for row in answers if row["truth"] != "healthy"]
    means = [[cause in row["expected"].split(" or ") for cause in _first(row)] for row in named]
    seconds = sorted(row["seconds"] for row in answers)
    return {
        "peer": peer,
        "version": version_of(peer),
        "problem": None,
        "reading": reading,
        "networks": len(answers),
        "well or sick, right": right[reading],
        "three classes, right": sum(row["verdicts"]["as it is"] == row["truth"] for row in answers),
        "false alarms": sum(_is_sick(row, readings[reading]) for row in healthy),
        "healthy": len(healthy),
        "right name first": sum(any(each) for each in means),
        "right name at all": sum(_named(row) for row in named),
        "sick": len(named),
        "words for each": round(sum(len(row["said"]) for row in answers) / len(answers), 2),
        "same at any loss scale": sum(_is_same(row, "loss times 1e-6", "loss times 65536") for row in answers),
        "same with a batch of 2": sum(_is_same(row, "batch of 2") for row in answers),
        "state restored": sum(row["restored"] for row in answers),
        "no answer": sum("as it is" in row["errors"] for row in answers),
        "seconds (median)": seconds[len(seconds) // 2],
        "seconds (most)": seconds[-1],
        "errors": [
            f"{count} × {error}" for error, count in Counter(e for r in answers for e in r["errors"].values()).most_common(3)
        ],
    }


def _is_sick(row: Row, said: tuple[str, ...]) -> bool:
    return row["verdicts"]["as it is"] in said


def _is_right(row: Row, said: tuple[str, ...]) -> bool:
    return row["verdicts"]["as it is"] != "no answer" and _is_sick(row, said) is (row["truth"] != "healthy")


def _first(row: Row) -> list[str]:
    return row["said"][0][2] if row["said"] else []


def _named(row: Row) -> bool:
    return any(cause in row["expected"].split(" or ") for _, _, causes in row["said"] for cause in causes)


def _is_same(row: Row, *variants: str) -> bool:
    base = row["verdicts"]["as it is"]
    return base != "no answer" and all(row["verdicts"][variant] == base for variant in variants)


def version_of(peer: str) -> str:
    """Return the version of a package in the peers' environment."""
    words = [str(HOME / "bin" / "python"), "-c", f"from importlib.metadata import version; print(version({peer!r}))"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
