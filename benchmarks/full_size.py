"""Networks at full size on one core: seconds, memory and verdict; drawn into docs/full-size.png."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from benchmarks.peak_memory import peak_bytes
from fathometer.diagnosis import Preflight
from fathometer.figures import depth_chart, save, small_multiples

PICTURE = Path(__file__).parents[1] / "docs" / "full-size.png"
TRILLION = "gpt3-175b@depth=128,width=25600,heads=160"
GPT3 = ("small", "medium", "large", "xl", "2.7b", "6.7b", "13b", "175b")
GROUPS: dict[str, dict[str, str]] = {
    "GPT-3 to 1.3B": {name: f"gpt3-{name}" for name in GPT3[:4]},
    "GPT-3 to 175B": {name: f"gpt3-{name}" for name in GPT3[4:]},
    "Llama 3": {name: f"llama3-{name}" for name in ("8b", "70b", "405b")},
    "GPT-3 175B, otherwise": {
        "as it is": "gpt3-175b",
        "post-norm from LeCun's start": "gpt3-175b@residual=post-norm,init=lecun",
        "no norm": "gpt3-175b@residual=plain",
    },
}
# What Hugging Face's own code is asked to be, as a config.json says it.
CONFIGS: dict[str, dict[str, Any]] = {
    "HF GPT-2 XL": {"model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25},
    "HF Llama 3 405B": {
        "model_type": "llama", "hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126,
        "num_attention_heads": 128, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192,
    },
    "HF Mixtral 8x22B": {
        "model_type": "mixtral", "hidden_size": 6144, "intermediate_size": 16384, "num_hidden_layers": 56,
        "num_attention_heads": 48, "num_key_value_heads": 8, "num_local_experts": 8,
    },
    "HF ViT, 22B wide and deep": {
        "model_type": "vit", "hidden_size": 6144, "intermediate_size": 24576, "num_hidden_layers": 48,
        "num_attention_heads": 48, "patch_size": 14,
    },
}  # fmt: skip
MORE = {
    "gpt3-175b, norm last": ("gpt3-175b@residual=post-norm", 16),
    "gpt3-175b, norm last, LeCun's start, untied": ("gpt3-175b@residual=post-norm,init=lecun,tied=false", 16),
    "1,000 billion": (TRILLION, 16),
    "gpt3-175b, 64 tokens": ("gpt3-175b", 64),
    "gpt3-175b, half as deep": ("gpt3-175b@depth=48", 16),
}
COLUMNS = ("signal", "gradient")
KEYS = (
    "network", "parameters", "tokens", "seconds", "foretold", "megabytes", "blocks", "gradient", "verdict", "causes",
)  # fmt: skip
SUBTITLE = [
    "At the start, before any training, seen by 16 tokens: no weight was ever made. Names in order: orange, blue, green, violet.",
    "Signal: mean square of what each block passes on. Gradient: mean square, relative to the last block.",
]


def full_size() -> list[dict[str, Any]]:
    """Return one row for each network, measured in a process of its own: process time and peak memory, imports included."""
    rows, charts, known = [], [], dict[str, Preflight]()
    for group, networks in GROUPS.items():
        for target in networks.values():
            if target not in known:
                row, known[target] = _look(target, target, 16)
                rows.append(row)
        measured = [(name, known[target].profile) for name, target in networks.items()]
        charts.append((group, ", ".join(networks), [depth_chart(column, measured) for column in COLUMNS]))
    save(small_multiples(charts, "From 125 million to 405 billion parameters", SUBTITLE), PICTURE)
    rows += [_look(name, target, tokens)[0] for name, (target, tokens) in MORE.items()]
    return [*rows, _bare(), *(_look_at_config(name, config) for name, config in CONFIGS.items())]


def _bare() -> dict[str, Any]:
    """Return what the arithmetic of GPT-3 175B alone takes on this machine, which its row is to be held against."""
    line = [sys.executable, "-c", "from benchmarks.full_size_bare import bare; bare()"]
    told = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    row = dict.fromkeys(KEYS) | {"network": "gpt3-175b, its arithmetic alone", "tokens": 16, "blocks": 96}
    return row | {"seconds": round(told["seconds"], 2), "megabytes": round(told["megabytes"])}


def _look_at_config(name: str, config: dict[str, Any]) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return _look(name, f"hf:{folder}", 16)[0]


def _look(name: str, target: str, tokens: int) -> tuple[dict[str, Any], Preflight]:
    line = [sys.executable, "-c", f"from benchmarks.full_size import look; look({target!r}, {tokens})"]
    told = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    check = Preflight.from_dict(told["check"])
    facts, gradient = check.profile.facts, check.profile.known("gradient")
    row = {
        "network": name,
        "parameters": facts["num_parameters"],
        "tokens": tokens,
        "seconds": round(told["seconds"], 2),
        "foretold": round(float(facts["estimated_seconds"] or 0), 1),
        "megabytes": round(told["megabytes"]),
        "blocks": len(check.profile),
        "gradient": float(f"{gradient[0][1]:.4g}"),
        "verdict": check.verdict,
        "causes": ", ".join(finding.cause for finding in check.findings) or None,
    }
    print(name, row, file=sys.stderr, flush=True)
    return row, check


def look(target: str, tokens: int) -> None:
    """Look at a network, and print what it took: all of this process's time, and the most memory that it held."""
    import torch

    torch.set_num_threads(1)
    from fathometer.diagnosis.full_size.answer import preflight_full_size
    from fathometer.diagnosis.full_size.targets import load_unmade

    check = preflight_full_size(load_unmade(target, tokens=tokens, seed=0))
    peak = peak_bytes() / 1e6
    print(json.dumps({"seconds": process_time(), "megabytes": peak, "check": check.to_dict()}))
