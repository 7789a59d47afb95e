"""What a preflight costs: in forward and backward passes, and in memory."""

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peak_memory import peak_bytes
from fathometer import build, preflight
from fathometer.contract import call, loss_of
from fathometer.diagnosis.own_batch import own_batch
from fathometer.spec import preset

REPEATS, LIMIT_QUICK, LIMIT_THOROUGH, LIMIT_MEMORY = 5, 4.0, 25.0, 1.3
Made = tuple[nn.Module, tuple[Tensor, Tensor]]


def _preset(name: str) -> Callable[[], Made]:
    return lambda: (build(name), own_batch(preset(name)))


class Recurrent(nn.Module):
    """A GRU over sixty steps, read out at the last."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(16, 64, batch_first=True), nn.Linear(64, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def _recurrent() -> Made:
    torch.manual_seed(0)
    return Recurrent(), (torch.randn(64, 60, 16), torch.randint(0, 8, (64,)))


def _encoder(blocks: int) -> Callable[[], Made]:
    def make() -> Made:
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(64, 4, 256, 0.0, batch_first=True)
        model = nn.Sequential(nn.Embedding(64, 64), nn.TransformerEncoder(layer, blocks), nn.Linear(64, 64))
        tokens = torch.randint(0, 64, (16, 64))
        return model, (tokens, tokens.roll(-1, 1))

    return make


def _hugging_face(name: str, **sizes: int) -> Callable[[], Made]:
    def make() -> Made:
        import transformers

        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(vocab_size=200, **sizes)
        model = transformers.AutoModelForCausalLM.from_config(config)
        tokens = torch.randint(0, 200, (8, 64))
        return model, {"input_ids": tokens, "labels": tokens}  # pyrefly: ignore[bad-return]

    return make


NETWORKS: dict[str, Callable[[], Made]] = {
    "zero-init, ReZero perceptron 48": _preset("residual-50@residual=rezero,depth=48"),
    "LayerScale perceptron 16": _preset("residual-50@residual=layerscale,depth=16"),
    "SELU perceptron 40": _preset("relu-50@activation=selu,init=lecun,depth=40"),
    "critical tanh 60": _preset("orthogonal-tanh-50@depth=60"),
    "pre-norm perceptron 96": _preset("pre-norm-96"),
    "GPT-2 shape, 12 × 128": _preset("gpt2@width=128"),
    "GPT-3 shape, 96 × 64": _preset("gpt3-175b@width=64,vocabulary=500"),
    "ResNet-20": _preset("resnet-20"),
    "post-norm encoder 4": _encoder(4),
    "GRU over 60 steps": _recurrent,
    "Hugging Face GPT-2": _hugging_face("GPT2", n_embd=128, n_layer=6, n_head=4),
    "Hugging Face Llama": _hugging_face(
        "Llama", hidden_size=128, intermediate_size=256, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2
    ),
}
LARGE: dict[str, Callable[[], Made]] = {
    "GPT-2 shape, 12 × 512": _preset("gpt2@width=512"),
    "perceptron, 24 × 1,024": _preset("residual-50@width=1024,depth=24"),
    "ResNet-50": _preset("resnet-50"),
}


def preflight_cost() -> list[dict[str, Any]]:
    """Return one row for each network: passes of a quick and of a thorough look, or bytes over those of an AdamW step.

    A pass is the process time of one forward and backward pass on the same batch, timed right before each look; medians over
    the repeats. Peak memory is that of a process of its own, over what it held before.
    """
    rows = [_passes(name, make) for name, make in NETWORKS.items()]
    for column, limit in (("quick passes", LIMIT_QUICK), ("thorough passes", LIMIT_THOROUGH)):
        middle = median(row[column] for row in rows)
        print(f"median {column}: {middle:.2f} (limit {limit})")
    return rows + [_memory(name) for name in LARGE]


def _passes(name: str, make: Callable[[], Made]) -> dict[str, Any]:
    model, batch = make()
    quick, thorough, verdict = [], [], ""
    for _ in range(REPEATS):
        one = _seconds(lambda: _pass(model, batch))
        start = process_time()
        verdict = preflight(model, batch).verdict
        quick.append((process_time() - start) / one)
    for _ in range(3):
        one = _seconds(lambda: _pass(model, batch))
        start = process_time()
        preflight(model, batch, thorough=True)
        thorough.append((process_time() - start) / one)
    row = {
        "network": name,
        "verdict": verdict,
        "quick passes": round(median(quick), 2),
        "thorough passes": round(median(thorough), 1),
    }
    return {**row, "memory over a step": None}


def _seconds(run: Callable[[], None]) -> float:
    """Return the process time of a run: the middle of five, after one that is not counted."""
    run()
    times = []
    for _ in range(5):
        start = process_time()
        run()
        times.append(process_time() - start)
    return median(times)


def _pass(model: nn.Module, batch: Any) -> None:
    model.train()
    model.zero_grad()
    inputs, targets = batch if isinstance(batch, tuple) else (batch, None)
    loss = loss_of(call(model, inputs), targets)
    assert loss is not None
    loss.backward()


def _memory(name: str) -> dict[str, Any]:
    sizes = {what: _peak(name, what) for what in ("step", "preflight")}
    ratio = sizes["preflight"] / sizes["step"]
    return {
        "network": name,
        "verdict": None,
        "quick passes": None,
        "thorough passes": None,
        "memory over a step": round(ratio, 2),
    }


def _peak(name: str, what: str) -> int:
    """Return how many bytes more than before a process holds at most while it does this."""
    line = [sys.executable, "-c", f"from benchmarks.preflight_cost import peak; peak({name!r}, {what!r})"]
    return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def peak(name: str, what: str) -> None:
    """Do one AdamW step, or a quick preflight, and print how far the memory of this process rose."""
    torch.set_num_threads(1)
    model, batch = LARGE[name]()
    preflight("mlp-5", thorough=False)  # what is imported and built once is not counted
    gc.collect()
    before = peak_bytes()
    held = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    if what == "preflight":
        preflight(model, batch, thorough=False)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        _pass(model, batch)
        optimizer.step()
    print(held + peak_bytes() - before)
