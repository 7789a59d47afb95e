"""Truth by training: the share of a known-good twin's drop."""

import json
from collections.abc import Callable, Iterable
from math import inf, isfinite
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import nn

from benchmarks.zoo.entry import Entry, Loss
from benchmarks.zoo.tasks import Task, task
from benchmarks.zoo.twins import TWINS
from fathometer.contract import call, known_targets, loss_of, split_batch

Row = dict[str, Any]
TRAINS, FAILS = 0.9, 0.5  # share of the twin's drop of the held-out loss from the best constant prediction
CLEARLY = 0.93  # a sweep ends at a rate that reaches this
UNDECIDED = 0.3  # from here to `TRAINS` more rates are tried; another rate moves the share by less than the rest
EVERY = 10  # of so many networks one is trained again with another order of batches
NEAR = 0.07  # so is a share this near to a limit; about what another order changes
PARTIAL = Path(__file__).parents[1] / "results" / "zoo_truth.jsonl"


def truth_of(share: float) -> str:
    """Return what the share of the twin's drop means."""
    return "healthy" if share >= TRAINS else "at risk" if share >= FAILS else "will not train"


def held_out_loss(
    model: nn.Module, optimizer: torch.optim.Optimizer, work: Task, *, seed: int = 0, loss_fn: Loss | None = None
) -> float:
    """Train in place, and return the held-out loss; infinite where a loss is not finite."""
    model.train()
    for batch in work.batches(seed):
        loss = run_loss(model, batch, loss_fn)
        if not isfinite(loss.item()):
            return inf
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        value = run_loss(model, work.held_out(), loss_fn).item()
    return value if isfinite(value) else inf


def run_loss(model: nn.Module, batch: Any, loss_fn: Loss | None = None) -> torch.Tensor:
    """Return the loss of a batch as training sees it."""
    inputs, targets = split_batch(batch)
    output = call(model, inputs)
    loss = loss_of(output, targets if loss_fn is None else known_targets(inputs, targets), loss_fn)
    assert loss is not None
    return loss


def twin_drop(name: str) -> float:
    """Return the twin's drop: the mean over two seeds of the best over all rates."""
    work, drops = task(name), []
    for seed in (0, 1):
        losses = []
        for rate in (*work.rates, *work.more_rates):
            model = _made(TWINS[name], seed)
            losses.append(held_out_loss(model, torch.optim.Adam(model.parameters(), lr=rate, fused=True), work, seed=seed))
        drops.append(work.constant_loss - min(losses))
    return sum(drops) / len(drops)


def _made(maker: Callable[[int], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return maker(seed)


def sweep(entry: Entry, drop: float, *, seed: int = 0) -> dict[str, float]:
    """Return the share of the twin's drop, not under -1, by rate of Adam; "own" for an optimizer of the entry's own."""
    work = task(entry.task)
    if entry.optimizer is not None:
        model = entry.model()
        return {"own": _share(held_out_loss(model, entry.optimizer(model), work, seed=seed, loss_fn=entry.loss_fn), work, drop)}
    shares: dict[str, float] = {}
    for rates in (work.rates, work.more_rates):
        for rate in rates:
            model = entry.model()
            # A frozen parameter gets no gradient, and Adam passes it over.
            adam = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
            shares[str(rate)] = _share(held_out_loss(model, adam, work, seed=seed, loss_fn=entry.loss_fn), work, drop)
            if shares[str(rate)] >= CLEARLY:
                return shares
        if not UNDECIDED <= max(shares.values()) < TRAINS:
            return shares
    return shares


def _share(loss: float, work: Task, drop: float) -> float:
    return round(max((work.constant_loss - loss) / drop, -1.0), 4)


def measure(entry: Entry, drop: float) -> Row:
    """Return the row of one network."""
    start = process_time()
    shares = sweep(entry, drop)
    best = max(shares, key=lambda rate: shares[rate])
    row: Row = {"name": entry.name, "family": entry.family, "task": entry.task, "seed": entry.seed, "fault": entry.fault}
    row |= {"strength": entry.strength, "share": shares[best], "truth": truth_of(shares[best]), "best_rate": best}
    return row | {"shares": shares, "again": None, "cpu_seconds": round(process_time() - start, 2)}


def measure_again(entry: Entry, row: Row, drop: float) -> Row:
    """Return the row with the share that another order of batches reached."""
    start = process_time()
    again = max(sweep(entry, drop, seed=1).values())
    return row | {"again": again, "cpu_seconds": round(row["cpu_seconds"] + process_time() - start, 2)}


def is_drawn(row: Row) -> bool:
    """Return whether a network is one of the tenth that is trained twice whatever its share, to know the noise."""
    return row["seed"] % EVERY == 0


def is_near(row: Row) -> bool:
    """Return whether a share is so near to a limit that another order of batches may change the truth."""
    return min(abs(row["share"] - TRAINS), abs(row["share"] - FAILS)) < NEAR


def is_settled(row: Row) -> bool:
    """Return whether no other order of batches that was tried changed the truth."""
    return row["again"] is None or truth_of(row["again"]) == row["truth"]


def run(entries: Iterable[Entry], *, path: Path = PARTIAL, say: Callable[[str], object] = print) -> list[Row]:
    """Measure the entries that are not yet in the file, one line each as it goes; return the rows of all.

    Then those near a limit, and every tenth, are trained again with another order of batches. The truth stays the first one.
    """
    entries, rows = list(entries), known(path)
    path.parent.mkdir(exist_ok=True)
    for number, entry in enumerate(entries):
        twin = f"twin of {entry.task}"
        if twin not in rows:
            _keep(rows, {"name": twin, "task": entry.task, "drop": twin_drop(entry.task)}, path)
        if entry.name not in rows:
            _keep(rows, measure(entry, rows[twin]["drop"]), path)
            say(f"{number + 1}/{len(entries)} {_line(rows[entry.name])}")
    for entry in entries:
        row = rows[entry.name]
        if row["again"] is None and (is_drawn(row) or is_near(row)):
            _keep(rows, measure_again(entry, row, rows[f"twin of {entry.task}"]["drop"]), path)
            say(f"again {rows[entry.name]['again']:6.3f}: {_line(row)}")
    return [rows[entry.name] for entry in entries]


def _line(row: Row) -> str:
    return f"{row['truth']:14} {row['share']:6.3f} {row['cpu_seconds']:5.1f} s  {row['fault'] or '-':22} {row['name']}"


def _keep(rows: dict[str, Row], row: Row, path: Path) -> None:
    rows[row["name"]] = row
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def known(path: Path = PARTIAL) -> dict[str, Row]:
    """Return what was measured before, by name."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}
