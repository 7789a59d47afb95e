"""Verdicts before training against what training shows, over many networks."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from math import inf, log
from pathlib import Path
from typing import Any

import torch

from fathometer import json_text
from fathometer.data import Batches, Digits, digits
from fathometer.diagnosis import preflight
from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.limits import strain
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.spec import Mlp
from fathometer.training import evaluate, fit

Row = dict[str, Any]
RATES = (1e-3, 3e-3, 3e-4, 1e-2)  # of Adam; the usual best first, for the sweep ends at the first that trains clearly
STEPS, BATCH = 200, 64
TRAINS, FAILS, CLEARLY = 0.9, 0.5, 0.97  # share of the twin's drop of the held-out loss from ln 10
NEAR = 0.07  # about what another seed changes
TWIN = Mlp(depth=5)
PARTIAL = Path(__file__).parent / "results" / "limits.jsonl"
VERDICTS = ("healthy", "at risk", "will not train")


def grid() -> list[tuple[str, Mlp, int]]:
    """Return (group, network, seed), a third of the last two groups with a second seed.

    "set": families on which the limits were set, drawn anew. "kin": the same families at other depths, widths and gains,
    or with two matrices in each branch. "new": activations, norms and residual kinds that had no part in it.
    """
    groups = {"kin": kin_families(), "new": new_families()}
    first = [("set", spec, 1) for spec in families_for_setting()]
    return first + [
        (name, spec, seed) for name, specs in groups.items() for seed, step in ((1, 1), (2, 3)) for spec in specs[::step]
    ]


def families_for_setting() -> list[Mlp]:
    """Return plain networks of five activations, and residual ones with one matrix in each branch."""
    plain = [Mlp(depth=d, activation=a, init="pytorch") for a in ("tanh", "relu", "gelu") for d in (5, 10, 15, 30)]
    chaos = [
        Mlp(depth=d, activation="tanh", init="lecun", gain=g) for d, g in ((20, 0.9), (20, 2.5), (50, 1.0), (50, 1.6), (50, 2.0))
    ]
    relu = [Mlp(depth=d, gain=g) for d, g in ((15, 0.5), (20, 1.0), (30, 0.7), (30, 1.8), (50, 1.0))]
    normed = [Mlp(depth=d, activation=a, norm=n) for n in ("layer", "batch") for a in ("relu", "tanh") for d in (10, 30, 50)]
    stream = [Mlp(depth=d, residual="plain", branch_scale=s) for d, s in ((10, 1.0), (30, 1.0), (60, 0.1), (30, 3.0))]
    stream += [Mlp(depth=d, residual=k) for k in ("pre-norm", "post-norm") for d in (10, 30, 60)]
    return [*plain, *chaos, *relu, *normed, *stream]


def kin_families() -> list[Mlp]:
    """Return networks like those of the first set that are not in it."""
    sigmoid = [Mlp(depth=d, activation="sigmoid", init="pytorch") for d in (3, 8, 25, 60)]
    xavier = [Mlp(depth=d, activation=a, init="xavier") for a in ("relu", "silu", "elu") for d in (5, 12, 25, 50)]
    wide = [Mlp(depth=d, width=128, activation="tanh", init="lecun", gain=g) for d in (15, 40) for g in (0.8, 1.1, 1.5, 2.2, 3.0)]
    return [*sigmoid, *xavier, *wide, *_streams("scaled", "rezero", "post-norm", "pre-norm", "plain")]


def new_families() -> list[Mlp]:
    """Return activations, norms and residual kinds that no limit was set on."""
    plain = [Mlp(depth=d, activation="leaky_relu", init=i) for i in ("pytorch", "he") for d in (3, 8, 25, 60)]
    plain += [Mlp(depth=d, activation="sigmoid") for d in (3, 8, 25, 60)]
    leaky = [Mlp(depth=d, width=w, activation="leaky_relu") for d in (15, 40) for w in (32, 128)]
    normed = [
        Mlp(depth=d, norm=n, activation=a)
        for n, a in (("rms", "relu"), ("batch", "gelu"), ("layer", "silu"))
        for d in (8, 25, 60)
    ]
    return [*plain, *leaky, *normed, *_streams("layerscale", "deepnorm", "highway", "peri-norm")]


def _streams(*kinds: str) -> list[Mlp]:
    return [Mlp(depth=d, residual=k, activation=a, branch_layers=2) for k in kinds for a, d in (("gelu", 8), ("tanh", 40))]


def limits() -> list[Row]:
    """Return one row for each network: its verdict and first cause, and the share of the twin's drop that training reached.

    Truth: the best of `RATES`, `STEPS` steps on digits; at least `TRAINS` of the drop trains ("healthy"), under `FAILS`
    fails, between is "at risk". Every network that was trained is kept in `PARTIAL` until all are done, so that a run
    that was stopped goes on; delete the file to train all anew.
    """
    data, known, rows = digits(), _known(), []
    full = log(10) - best_loss(lambda: build(TWIN, seed=0), data, 0.0)
    for group, spec, seed in grid():
        name = f"{name_of(spec)} seed={seed}"
        if name not in known:
            known[name] = share_of_drop(spec, seed, data, full)
            with PARTIAL.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"name": name, "share": known[name]}) + "\n")
        rows.append(judged(name, group, spec, seed, known[name], data))
    PARTIAL.unlink(missing_ok=True)
    print(agreement(rows))
    return rows


def judged(name: str, group: str, spec: Mlp, seed: int, share: float, data: Digits) -> Row:
    """Return the row of one network: what training showed, and what was said before."""
    batch = (data.train_inputs[:BATCH], data.train_targets[:BATCH])
    check = preflight(build(spec, seed=seed), batch)
    cause = check.findings[0].cause if check.findings and check.verdict != "healthy" else None
    amount = round(strain(Evidence(check.profile)), 2)
    return {"network": name, "group": group, "share": round(share, 3), "truth": truth_of(share), "verdict": check.verdict,
            "strain": amount, "first cause": cause}  # fmt: skip


def truth_of(share: float) -> str:
    """Return what the share of the twin's drop means."""
    return "healthy" if share >= TRAINS else "at risk" if share >= FAILS else "will not train"


def share_of_drop(spec: Mlp, seed: int, data: Digits, full: float) -> float:
    """Return the best drop of the held-out loss over the twin's, not under -1."""
    best = best_loss(lambda: build(spec, seed=seed), data, log(10) - CLEARLY * full)
    return max((log(10) - best) / full, -1.0)


def best_loss(make: Callable[[], torch.nn.Module], data: Digits, enough: float) -> float:
    """Return the lowest held-out loss over the rates; the sweep ends early at a loss that is low enough."""
    best = inf
    for rate in RATES:
        model = make()
        asked = Asked(steps=STEPS, batch_size=BATCH, learning_rate=rate)
        if fit(model, Batches(data.train_inputs, data.train_targets, BATCH, seed=0), asked).stopped_at is None:
            loss = evaluate(model, [(data.test_inputs, data.test_targets)]).loss
            best = min(best, loss if loss == loss else inf)
        if best <= enough:
            break
    return best


def agreement(rows: list[Row]) -> str:
    """Return the confusion of truth and verdict for each group, with and without networks that are near a boundary."""
    lines = []
    for group in dict.fromkeys(row["group"] for row in rows):
        inside = [row for row in rows if row["group"] == group]
        clear = [row for row in inside if min(abs(row["share"] - TRAINS), abs(row["share"] - FAILS)) >= NEAR]
        lines.append(f"{group}: {_right(inside)} agree; away from the boundaries {_right(clear)}")
        counts = Counter((row["truth"], row["verdict"]) for row in inside)
        for truth in VERDICTS:
            said = ", ".join(f"{counts[truth, verdict]} {verdict}" for verdict in (*VERDICTS, "unknown"))
            lines.append(f"  truth {truth}: said {said}")
    return "\n".join(lines)


def name_of(spec: Mlp) -> str:
    """Return what makes a network different from the usual one, in words."""
    usual = Mlp()
    return " ".join(
        f"{field.name}={getattr(spec, field.name)}"
        for field in fields(spec)
        if field.name == "depth" or getattr(spec, field.name) != getattr(usual, field.name)
    )


def _right(rows: list[Row]) -> str:
    right = sum(row["truth"] == row["verdict"] for row in rows)
    return f"{right} of {len(rows)} ({right / max(len(rows), 1):.0%})"


def _known() -> dict[str, float]:
    lines = PARTIAL.read_text(encoding="utf-8").splitlines() if PARTIAL.exists() else []
    return {row["name"]: row["share"] for row in map(json_text.load, lines)}
