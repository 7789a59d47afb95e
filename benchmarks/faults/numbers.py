"""NaN and Inf in weights, data and gradients, and memory that runs out."""

import json
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.faults.child import Ended, Row, Work, command, row, run
from benchmarks.faults.planted import AT, memory_unguarded, numbers_unguarded, train_spoilt

TARGETS = Path(__file__).with_name("targets.py")
MEGABYTE = 2**20
TIGHT = 400  # megabytes for a run that takes 500 to 600, what the process holds already not counted
DEEP = """
[network]
preset = "he-50@depth=1000,width=64"
[training]
steps = 2
batch_size = 1437
"""


def not_finite(home: Path) -> list[Row]:
    """Spoil a run by numbers that are not finite; then one whose guard is off."""
    promise = "ends before that step moves a weight, and says where; what is kept is finite"
    late = "ends as soon as it shows, here at the checkpoint of that step, which is not written; what is kept is finite"
    seen = "ends at the next checkpoint, which is not written, and names the weight; what is kept is finite"
    cases = [
        ("NaN in the data", "data", None, "loss", promise),
        ("Inf in a weight, which the loss does not show", "weights", None, "weight", seen),
        ("NaN in a gradient, clipped", "gradients", 1.0, "gradient", promise),
        ("NaN in a gradient, its norm not asked for", "gradients", None, "weight", late),
    ]
    rows = [_trained(home, *case) for case in cases]
    work = partial(train_spoilt, "gradients", None, home / "unguarded")
    ended = run(numbers_unguarded(work))
    facts = json.loads(ended.message) if ended.code == 0 else {"finite": False}
    promise = "control: nothing looks whether numbers are finite; what is kept should not be"
    return [*rows, row("train", "NaN in a gradient", promise, ended, "the network", bool(facts["finite"]), control=True)]


def _trained(home: Path, fault: str, where: str, clip: float | None, what: str, promise: str) -> Row:
    ended = run(partial(train_spoilt, where, clip, home / f"{where}-{clip}"))
    facts = json.loads(ended.message) if ended.code == 0 else {}
    survived = facts.get("status") == f"stopped: {what} is not finite" and facts["finite"] and facts["kept"] <= AT
    text = f"{facts.get('status')}, first in {facts['in']}" if facts.get("in") else str(facts.get("status"))
    lost = f"{facts.get('steps', 0) - facts.get('kept', 0)} steps since the last checkpoint"
    return row("train", fault, promise, Ended(ended.code, text if ended.code == 0 else ended.text), lost, survived)


def preflight_not_finite() -> list[Row]:
    """Ask for a preflight of networks and data that are not finite."""
    refused = "refused by name, with how many numbers"
    cases = [
        ("Inf in a weight", "weights", 2, "1 of 256 numbers", refused),
        ("NaN in the data", "data", 2, "1 of 512 numbers", refused),
        ("NaN in a gradient", "gradients", 1, "", "a verdict: will not train, and the operation that began it"),
    ]
    rows = []
    for fault, name, code, words, promise in cases:
        ended = run(command("preflight", f"{TARGETS}:{name}"))
        text = (
            ended.message
            if code == 2
            else next((line for line in ended.text.splitlines() if "NaN" in line or "finite" in line), "")
        )
        survived = ended.code == code and bool(text) and words in text and "Traceback" not in ended.text
        rows.append(row("preflight", fault, promise, Ended(ended.code, text), "nothing", survived))
    return rows


def out_of_memory(home: Path) -> list[Row]:
    """Give too little memory, and then do what the error says: it must fit into as much."""
    file = home / "deep.toml"
    file.write_text(DEEP, encoding="utf-8")

    def deep(*more: str) -> Work:
        return command("train", file, "--set", f"folder={home / 'deep'}-{len(list(home.iterdir()))}", *more)

    def look(samples: int) -> Work:
        os.environ["SAMPLES"] = str(samples)
        return command("preflight", f"{TARGETS}:large", "--look", "quick")

    promise = "an error that says what would fit; that done, it does, in as much memory"
    parts = _then(
        run(deep(), room_bytes=TIGHT * MEGABYTE),
        r"accumulate = (\d+)",
        lambda found: deep("--set", f"training.accumulate={found}"),
        TIGHT,
    )
    train = row("train", "out of memory", promise, parts[0], "the step at hand", parts[1])
    few = _then(run(look(65_536), room_bytes=400 * MEGABYTE), r"the first (\d+) of", lambda found: look(int(found)), 400)
    check = row("preflight", "out of memory", promise, few[0], "nothing", few[1])
    wide = run(command("preflight", "mlp-5@width=20000", "--look", "quick"), room_bytes=800 * MEGABYTE)
    said = "said to be too large, or looked at without its weights being made, which is said"
    full = row("preflight", "a network larger than the memory", said, _full_size(wide), "nothing", wide.code in (0, 2))
    options = ["--set", "depths=[3,40]", "--set", "width=2048", "--set", "steps=2", "--set", "rates=[0.01]"]
    study = run(command("study", "trainability", *options, "--folder", home / "study"), room_bytes=600 * MEGABYTE)
    kept = (home / "study" / "cells.jsonl").read_bytes().count(b"\n") if (home / "study" / "cells.jsonl").exists() else 0
    told = "the other cells are measured and kept; an error says which were not, and why"
    survived = study.code == 2 and "memory ran out" in study.message.lower() and kept > 0
    cells = row("study", "out of memory in a cell", told, study, f"none of {kept} cells that fit", survived)
    bare = run(memory_unguarded(deep("--set", "seed=1")), room_bytes=TIGHT * MEGABYTE)
    promise = "control: memory that runs out is not looked for; it should end in a traceback"
    control = row("train", "out of memory", promise, bare, "the words", bare.code == 2, control=True)
    return [train, check, full, cells, control]


def _then(ended: Ended, pattern: str, again: Callable[[str], Work], megabytes: int) -> tuple[Ended, bool]:
    """Return how it ended, and whether what was said to fit does."""
    found = re.search(pattern, ended.message)
    if ended.code != 2 or found is None:
        return ended, False
    return ended, run(again(found[1]), room_bytes=megabytes * MEGABYTE).code in (0, 1, 3)  # a verdict is an answer


def _full_size(ended: Ended) -> Ended:
    return ended if ended.code == 2 else Ended(ended.code, ended.text.strip().splitlines()[0] if ended.text.strip() else "")
