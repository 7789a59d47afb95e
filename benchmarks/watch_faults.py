"""Does a watch warn before a run fails? Runs made to fail, and healthy ones."""

from math import isfinite
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.watching.faults import FAULTS, START, Fault, Run, dead_share
from benchmarks.watching.networks import NETWORKS, Case
from benchmarks.zoo.chance import share_text
from fathometer.diagnosis.watch import watch
from fathometer.diagnosis.watch_alerts import Alert

Row = dict[str, Any]
STEPS, EVERY = 400, 5
LOST = 0.25  # share of what the loss has come down, after whose loss a run has failed
DEVELOP, SCORED = range(2), range(40, 45)  # seeds on which limits were set (with others: JOURNAL), and only scored ones
OPTIMIZERS = {
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
    "adamw": lambda parameters, rate: torch.optim.AdamW(parameters, lr=rate),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
}


def watch_faults() -> list[Row]:
    """Return one row for each run: its fault (None: healthy), its onset, the first alert, and whether that was in time.

    A fault that builds up begins at step `START`; `warned` says whether an alert came from there on and before the onset, `lead`
    how many steps before; a data fault is `warned` if an alert of its own name came in its very step. `layer_named` says
    whether the first alert that names layers names the planted block first. Healthy runs have an alert or not.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [_failing(name, fault, seed, part) for part, seeds in _parts() for name, fault in FAULTS.items() for seed in seeds]
        rows += [_healthy(name, seed, part) for part, seeds in _parts() for name in NETWORKS for seed in seeds]
    finally:
        torch.set_num_threads(threads)
    print(summary(rows))
    return rows


def _parts() -> list[tuple[str, range]]:
    return [("develop", DEVELOP), ("scored", SCORED)]


def _failing(name: str, fault: Fault, seed: int, part: str) -> Row:
    make = fault.networks[seed % len(fault.networks)]
    run = _begin(make(seed), seed)
    alerts, onset = _train(run, fault)
    fresh = [alert for alert in alerts if alert.step >= (START if fault.onset != "step" else 0)]
    early = [alert for alert in alerts if alert not in fresh]
    if fault.onset == "step":
        warned = any(alert.step == onset and alert.name in fault.names for alert in fresh)
        first = next((alert for alert in fresh if alert.step == onset), None)
    else:
        first = fresh[0] if fresh else None
        warned = onset is not None and first is not None and first.step < onset
    return {
        "part": part,
        "fault": name,
        "network": make.__name__,
        "seed": seed,
        "onset": onset,
        "alert": None if first is None else first.name,
        "alert_step": None if first is None else first.step,
        "warned": warned,
        "lead": None if first is None or onset is None or fault.onset == "step" else onset - first.step,
        "named": first is not None and first.name in fault.names,
        "layer_named": _layer_named(run, fresh) if fault.is_planted else None,
        "false_before": len(early) if fault.onset != "step" else len([a for a in fresh if onset is not None and a.step < onset]),
    }


def _healthy(name: str, seed: int, part: str) -> Row:
    run = _begin(NETWORKS[name](seed), seed)
    alerts, _ = _train(run, None)
    nothing = {"onset": None, "warned": None, "lead": None, "named": None, "layer_named": None}
    found = {"alert": alerts[0].name if alerts else None, "alert_step": alerts[0].step if alerts else None}
    return {"part": part, "fault": None, "network": name, "seed": seed, **nothing, **found, "false_before": len(alerts)}


def _begin(case: Case, seed: int) -> Run:
    torch.manual_seed(seed)
    return Run(case, OPTIMIZERS[case.optimizer](case.model.parameters(), case.rate), seed)


def _train(run: Run, fault: Fault | None) -> tuple[list[Alert], int | None]:
    """Train until the onset, or to the end; return the alerts and the step of the onset."""
    case, losses, least = run.case, list[float](), float("inf")
    with watch(case.model, run.optimizer, every=EVERY) as seen:
        for step in range(1, STEPS + 1):
            batch = next(case.batches)
            spoilt = batch if fault is None or fault.before is None else fault.before(run, step, batch)
            loss, is_finite = _step(run, spoilt)
            losses.append(loss)
            if fault is not None and fault.after is not None:
                fault.after(run, step)
            seen.step(loss, spoilt)
            least = min(least, _mean(losses)) if len(losses) >= 5 else least
            if fault is not None and _is_onset(run, fault, step, losses, least, is_finite, spoilt is not batch):
                return list(seen.alerts), step
    return list(seen.alerts), None


def _step(run: Run, batch: Any) -> tuple[float, bool]:
    inputs, targets = batch
    run.optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16, enabled=run.case.casts):
        output = run.case.model(inputs)
    loss = F.cross_entropy(output.float().reshape(-1, output.shape[-1]), targets.reshape(-1))
    loss.backward()
    finite = isfinite(loss.item()) and all(p.grad is None or bool(p.grad.isfinite().all()) for p in run.case.model.parameters())
    run.optimizer.step()
    return loss.item(), finite


def _is_onset(run: Run, fault: Fault, step: int, losses: list[float], least: float, is_finite: bool, is_spoilt: bool) -> bool:
    if fault.onset == "step":
        return is_spoilt
    if step < START:
        return False
    if fault.onset == "dead":
        assert run.planted is not None
        return dead_share(run.case.blocks[run.planted], run.case.model, next(run.case.batches)[0]) >= 0.9
    if not is_finite:
        return True
    return fault.onset == "loss" and _mean(losses) > least + LOST * (_mean(losses[:5]) - least)


def _mean(losses: list[float]) -> float:
    return sum(losses[-5:]) / 5


def _layer_named(run: Run, alerts: list[Alert]) -> bool:
    """Return whether the first alert that names layers names the planted block first."""
    places = next((alert.points for alert in alerts if alert.points), ())
    name = next(name for name, module in run.case.model.named_modules() if module is run.case.blocks[run.planted or 0])
    return bool(places) and (places[0] == name or places[0].startswith(f"{name}.") or name.startswith(f"{places[0]}."))


def summary(rows: list[Row]) -> str:
    """Return what the rows say, for both parts."""
    lines = []
    for part in ("develop", "scored"):
        own = [row for row in rows if row["part"] == part]
        slow = [row for row in own if row["fault"] and FAULTS[row["fault"]].onset != "step" and row["onset"] is not None]
        data = [row for row in own if row["fault"] and FAULTS[row["fault"]].onset == "step"]
        well, planted = [row for row in own if row["fault"] is None], [row for row in own if row["layer_named"] is not None]
        lines += [
            f"{part}: warned before the onset {share_text(sum(row['warned'] for row in slow), len(slow))}",
            f"{part}: data faults named in their step {share_text(sum(row['warned'] for row in data), len(data))}",
            f"{part}: planted layer named first {share_text(sum(row['layer_named'] for row in planted), len(planted))}",
            f"{part}: healthy runs with an alert {share_text(sum(row['false_before'] > 0 for row in well), len(well))}",
        ]
    return "\n".join(lines)
