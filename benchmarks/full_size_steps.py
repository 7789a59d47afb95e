"""Does a learning rate move GPT-3 of any size as it moved the smallest? The first steps, weights never made."""

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

import torch

from fathometer.diagnosis.full_size.first_steps import first_steps
from fathometer.implicit import Rule

PARTIAL = Path(__file__).parent / "results" / "full_size_steps.jsonl"  # a run that was stopped goes on from here
SIZES = ("small", "medium", "large", "xl", "2.7b", "6.7b", "13b")
INITS = {"standard": "", "CompleteP": "init=completep,base_width=768,base_depth=12"}
RULES = {"SGD": Rule("sgd", 0.1), "Adam": Rule("adam", 6e-4)}  # Adam's rate is that of GPT-3 Small
STEPS = 3
MINUTES = 30.0  # of process time; what is left is told, and done when it is run again


def full_size_steps() -> list[dict[str, Any]]:
    """Return one row for each shape, parametrization and optimizer: loss and mean size of the last stream at each step."""
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in PARTIAL.read_text(encoding="utf-8").splitlines()] if PARTIAL.exists() else []
    done = {(row["network"], row["parametrization"], row["optimizer"]) for row in rows}
    for size in SIZES:
        for rule in RULES:
            for init in INITS:
                if (f"gpt3-{size}", init, rule) in done:
                    continue
                if process_time() > 60 * MINUTES:
                    print(f"stopped before gpt3-{size}, {rule}: run it again to go on", file=sys.stderr)
                    return rows
                rows.append(_row(f"gpt3-{size}", init, rule))
                with PARTIAL.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    return rows


def _row(network: str, init: str, rule: str) -> dict[str, Any]:
    start = process_time()
    found = first_steps(f"{network}@{INITS[init]}" if INITS[init] else network, RULES[rule], steps=STEPS)
    row = {
        "network": network,
        "parametrization": init,
        "optimizer": rule,
        "loss": [round(loss, 4) for loss in found.losses],
        "stream": [float(f"{size:.4g}") for size in found.sizes],
        "growth": float(f"{found.sizes[-1] / found.sizes[0]:.4g}"),
        "seconds": round(process_time() - start, 1),
    }
    print(row, file=sys.stderr, flush=True)
    return row
