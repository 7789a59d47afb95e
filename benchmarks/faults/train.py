"""Faults done to `fathometer train`: stopped, starved, its files damaged."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.faults.child import Ended, Row, Work, command, lines_in, row, run, struck, wait_until, workers_of
from benchmarks.faults.planted import written_in_place
from fathometer.records import Record, read_json
from fathometer.training.checkpoint import checkpoints

SAVE_EVERY, STEPS, STRIKE = 20, 200, 50
FILE = f"""
[network]
preset = "he-50@depth=10,width=32"
[training]
steps = {STEPS}
optimizer = "adamw"
clip = 1.0
save_every = {SAVE_EVERY}
evaluate_every = 1000
"""
RESUMED = "started again, it ends in the same weights and losses, bit for bit"


class Runs:
    """A run that was left alone, and others in folders beside it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "run.toml"
        self.file.write_text(FILE, encoding="utf-8")
        self.alone = home / "alone"
        self.file.chmod(0o644)
        ended = run(self.into(self.alone))
        assert ended.code == 0, ended.text

    def words(self, folder: Path, *more: str) -> list[str]:
        """Return the arguments of the command that trains in a folder."""
        return ["train", str(self.file), "--set", f"folder={folder}", *more]

    def into(self, folder: Path, *more: str) -> Work:
        """Return the work of training in a folder."""
        return command(*self.words(folder, *more))

    def goes_on(self, folder: Path, *more: str) -> bool:
        """Start a run again, and return whether it ends as the one that was left alone."""
        return run(self.into(folder, *more)).code == 0 and self.is_same(folder)

    def is_same(self, folder: Path, exactly: bool = True) -> bool:
        """Return whether a run's last weights and losses are those of the one that was left alone."""
        one, other = (load_file(checkpoints(home / "checkpoints")[-1] / "model.safetensors") for home in (self.alone, folder))
        near = {"rtol": 0.0, "atol": 0.0} if exactly else {"rtol": 1e-3, "atol": 1e-4}
        same = all(torch.allclose(value, other[name], **near) for name, value in one.items())
        first, second = (_losses(home) for home in (self.alone, folder))
        return same and (first == second if exactly else len(first) == len(second))


def kept_step(folder: Path) -> int:
    """Return the step of the newest checkpoint, 0 where there is none."""
    found = checkpoints(folder / "checkpoints")
    return int(found[-1].name.removeprefix("step-")) if found else 0


def stopped(runs: Runs, fault: str, promise: str, signals: list[int], code: int, most_lost: int) -> Row:
    """Stop a run on its way by signals, and let it go on."""
    folder = runs.home / fault.replace(" ", "-")
    ended = struck(runs.into(folder), lambda: lines_in(folder / "log.jsonl") > STRIKE, signals)
    done = lines_in(folder / "log.jsonl")
    lost = done - kept_step(folder)
    goes_on = STRIKE <= done < STEPS and runs.goes_on(folder)
    survived = ended.code == code and 0 <= lost <= most_lost and goes_on
    return row("train", fault, promise, ended, f"{lost} of {done} steps, done again", survived)


def full_disk(runs: Runs) -> list[Row]:
    """Let the files of a run grow to a size and no further: smaller than a checkpoint, and than the log."""
    promise = f"an error, and what was saved before as it was; {RESUMED}"
    rows = []
    for fault, largest in (("full disk, at a checkpoint", 60_000), ("full disk, at the log", 32_000)):
        folder = runs.home / f"full-{largest}"
        change = [] if largest == 60_000 else ["--set", "training.save_every=200"]
        ended = run(runs.into(folder, *change), largest_file=largest)
        done, kept = lines_in(folder / "log.jsonl"), kept_step(folder)
        survived = ended.code == 2 and "cannot be written" in ended.message and done < STEPS and runs.goes_on(folder)
        rows.append(row("train", fault, promise, ended, f"{done - kept} of {done} steps, done again", survived))
    return rows


def read_only(runs: Runs) -> Row:
    """Make the folder of a run that was killed read-only, and writable again."""
    fault, promise = "read-only folder", f"an error before the first step; {RESUMED}"
    folder = runs.home / "read-only"
    struck(runs.into(folder), lambda: lines_in(folder / "log.jsonl") > STRIKE, [signal.SIGKILL])
    before, kept = lines_in(folder / "log.jsonl"), kept_step(folder)
    folder.chmod(0o555)
    ended = run(runs.into(folder), has_no_rights=True)
    unchanged = lines_in(folder / "log.jsonl") == before and kept_step(folder) == kept
    folder.chmod(0o755)
    survived = ended.code == 2 and unchanged and runs.goes_on(folder)
    return row("train", fault, promise, ended, f"{before - kept} of {before} steps, by the kill before", survived)


def lost_worker(runs: Runs) -> Row:
    """Kill one of two processes that torchrun has started."""
    fault, folder = "a worker of torchrun lost", runs.home / "torchrun"
    promise = "the other ends with an error; one process goes on from the latest checkpoint, to the same weights within rounding"
    shared = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "fathometer"]
    line = [*shared, *runs.words(folder)]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    wait_until(lambda: lines_in(folder / "log.jsonl") > STRIKE or process.poll() is not None)
    os.kill(workers_of(process.pid)[-1], signal.SIGKILL)
    err = process.communicate()[1]
    done, kept = lines_in(folder / "log.jsonl"), kept_step(folder)
    said = next((part for part in err.splitlines() if "has lost another process" in part), "")
    goes_on = run(runs.into(folder)).code == 0 and runs.is_same(folder, exactly=False)
    survived, ended = process.returncode == 1 and bool(said) and goes_on, Ended(process.returncode, said)
    return row("train", fault, promise, ended, f"{done - kept} of {done} steps, done again", survived)


def damaged(runs: Runs) -> list[Row]:
    """Damage the files of a run that was killed, one after another."""
    struck_folder = runs.home / "struck"
    struck(runs.into(struck_folder), lambda: lines_in(struck_folder / "log.jsonl") > STRIKE, [signal.SIGKILL])
    refused = "refused by its name and hash; the one before it goes on, to the same weights and losses, bit for bit"
    cases: list[tuple[str, str, str, Callable[[bytes], bytes]]] = [
        ("checkpoint cut short", "model.safetensors", refused, lambda content: content[:-1]),
        ("one bit of a checkpoint changed", "training.safetensors", refused, _one_bit),
        ("facts of a checkpoint emptied", "facts.json", refused, lambda content: b""),
        ("sums of a checkpoint gone", "SHA256SUMS", refused, lambda content: b""),
    ]
    rows = []
    for fault, name, promise, change in cases:
        folder = runs.home / fault.replace(" ", "-")
        shutil.copytree(struck_folder, folder)
        path = checkpoints(folder / "checkpoints")[-1] / name
        path.write_bytes(change(path.read_bytes()))
        ended, kept = run(runs.into(folder)), kept_step(folder)
        survived = ended.code == 2 and path.name in ended.message and runs.goes_on(folder, "--resume", "previous")
        rows.append(row("train", fault, promise, ended, f"{SAVE_EVERY} steps before step {kept}, done again", survived))
    return [*rows, _cut_log(runs, struck_folder), _garbled_run(runs, struck_folder)]


def in_place(runs: Runs) -> Row:
    """The control: kill a run while it writes a checkpoint in place, as it would be without the guard."""
    folder = runs.home / "in-place"
    newest = folder / "checkpoints" / f"step-{2 * SAVE_EVERY:08}"
    work = written_in_place(runs.into(folder))
    struck(work, lambda: newest.exists() and not (newest / "SHA256SUMS").exists(), [signal.SIGKILL])
    ended = run(runs.into(folder))
    survived = ended.code == 0 and runs.is_same(folder)
    promise = "control: checkpoints written in place, the guard off; the run should not survive"
    return row("train", "kill -9 while a checkpoint is written", promise, ended, "the newest checkpoint", survived, control=True)


def _cut_log(runs: Runs, source: Path) -> Row:
    folder = runs.home / "log-cut"
    shutil.copytree(source, folder)
    log = folder / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-40])
    ended = run(runs.into(folder))
    lines = lines_in(log)
    survived = ended.code == 0 and runs.is_same(folder) and lines == lines_in(runs.alone / "log.jsonl")
    return row("train", "log cut in the middle of a line", RESUMED, ended, "no step, no line", survived)


def _garbled_run(runs: Runs, source: Path) -> Row:
    folder = runs.home / "run-garbled"
    shutil.copytree(source, folder)
    path = folder / "run.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    ended = run(runs.into(folder))
    path.write_bytes(whole)
    survived = ended.code == 2 and "run.json" in ended.message and runs.goes_on(folder)
    promise = "refused by its name, and nothing is written over; with the file put back it goes on"
    return row("train", "what says which run it is cut short", promise, ended, "nothing", survived)


def _one_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _losses(folder: Path) -> tuple[float, ...]:
    return Record.from_dict(read_json((folder / "record.json").read_text(encoding="utf-8"))).losses


def train_rows(home: Path) -> list[Row]:
    """Return the rows of faults that a run from a file is struck by."""
    runs = Runs(home)
    at_most = f"at most the {SAVE_EVERY} steps since the last checkpoint; {RESUMED}"
    kept = f"ends after the step that it is at, which is kept; {RESUMED}"
    return [
        stopped(runs, "kill -9", at_most, [signal.SIGKILL], 137, SAVE_EVERY),
        stopped(runs, "SIGTERM", kept, [signal.SIGTERM], 143, 0),
        stopped(runs, "SIGINT", kept, [signal.SIGINT], 130, 0),
        stopped(runs, "SIGINT twice", at_most, [signal.SIGINT, signal.SIGINT], 130, SAVE_EVERY),
        *full_disk(runs),
        read_only(runs),
        lost_worker(runs),
        *damaged(runs),
        in_place(runs),
    ]
