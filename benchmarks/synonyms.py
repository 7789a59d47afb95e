"""Do layers forget synonyms level by level? The Random Hierarchy Model, deep, untrained and shallow."""

import json
from pathlib import Path
from typing import Any

import fathometer as fm
from fathometer.data import hierarchy, random_hierarchy
from fathometer.lenses import hierarchy_truth, probe_levels, synonym_sensitivity
from fathometer.records import Asked
from fathometer.runs.lines import append_line
from fathometer.scaling import num_parameters

SIZES = {"classes": 8, "symbols": 8, "synonyms": 2, "levels": 4, "branching": 2}
SAMPLES, STEPS, SEEDS = 4096, 800, (0, 1, 2, 3, 4)
DEPTH, WIDTH = 8, 256
PROBED = 2400  # samples
MEASURED = Path(__file__).parent / "results" / "synonyms.jsonl"
Row = dict[str, Any]


def synonyms() -> list[Row]:
    """Return one row for each seed and network: at which depth synonyms of each level are no longer told apart.

    The networks are plain perceptrons: nothing in their shape knows of the hierarchy. The shallow one has as many parameters in
    one hidden layer. Hidden layers count, the readout does not.
    """
    for seed in SEEDS:
        if seed not in {row["seed"] for row in measured()}:
            for row in measure(seed):
                append_line(MEASURED, row)
    return measured()


def measured() -> list[Row]:
    """Return the rows measured so far, each seed's at once when it is done."""
    return [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()] if MEASURED.exists() else []


def networks() -> dict[str, fm.Mlp]:
    """Return the deep network and its shallow twin."""
    sizes = {"inputs": SIZES["branching"] ** SIZES["levels"] * SIZES["symbols"], "outputs": SIZES["classes"]}
    deep = fm.Mlp(depth=DEPTH, width=WIDTH, activation="relu", init="he", **sizes)
    width = num_parameters(deep) // (sizes["inputs"] + sizes["outputs"] + 2)
    return {"deep": deep, "shallow": fm.Mlp(depth=1, width=width, activation="relu", init="he", **sizes)}


def measure(seed: int) -> list[Row]:
    """Train both networks with one seed, for the rules and for the start, and measure them and the untrained ones."""
    rules, data = random_hierarchy(**SIZES, seed=seed), hierarchy(**SIZES, samples=SAMPLES, seed=seed)
    rows = list[Row]()
    for name, spec in networks().items():
        trained = fm.train(
            spec, Asked(steps=STEPS, batch_size=128, seed=seed), data=data, progress=lambda step, total, loss: None
        )
        for state, model in (("trained", trained.model), ("untrained", fm.build(spec, seed=seed))):
            found = synonym_sensitivity(model, rules, layers=["blocks.?"], seed=seed).to_dict()
            truth = hierarchy_truth(rules, samples=PROBED, seed=seed)
            # The shallow network's one layer is thousands of units wide: it has no depth for a probe to run along.
            probes = probe_levels(model, truth, kind="ridge", layers=["blocks.?"]).probes if name == "deep" else {}
            rows.append(
                {
                    "network": name,
                    "state": state,
                    "seed": seed,
                    "held_out_accuracy": trained.record.held_out_accuracy if state == "trained" else None,
                    **{key: found[key] for key in ("depth", "rank_correlation", "low", "high")},
                    "sensitivity": [[round(value, 3) for value in level] for level in found["sensitivity"]],
                    "probes": {level: [round(value, 3) for value in one.accuracy] for level, one in probes.items()},
                    "expected": {level: one.expected.layer for level, one in probes.items()},
                }
            )
    return rows


def sentence(rows: list[Row]) -> str:
    """Return in how many seeds synonyms are forgotten in the order of their levels, in each network."""
    told = []
    for network, state in (("deep", "trained"), ("deep", "untrained"), ("shallow", "trained")):
        own = [row for row in rows if (row["network"], row["state"]) == (network, state)]
        ordered = sum(row["low"] > 0 for row in own)
        told.append(f"{ordered} of {len(own)} {state} {network} networks")
    own = [row for row in rows if (row["network"], row["state"]) == ("deep", "trained")]
    low, high = (choose(row["rank_correlation"] for row in own) for choose in (min, max))
    span = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
    return f"layers forget synonyms level by level in {', '.join(told)} (rank correlation of the first {span})"
