"""Operations of a forward pass: counted, over what is written out by hand."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fathometer.instruments import account
from fathometer.networks import build

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a name of the hub would be waited for


@dataclass(frozen=True)
class Case:
    """A network, built on the default device, the shape of its input (whole numbers for `is_text`), its multiply-adds by hand.

    `fits` says whether it is built with numbers too, for the counters that need them.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    macs: int
    is_text: bool = False
    fits: bool = True

    def inputs(self, device: str) -> torch.Tensor:
        """Return an input of zeros."""
        return torch.zeros(self.shape, dtype=torch.long if self.is_text else torch.float32, device=device)


def blocks(depth: int, width: int, tokens: int) -> int:
    """Return the multiply-adds of transformer blocks: 12·width² a token, and two products of scores."""
    return depth * (12 * width**2 * tokens + 2 * tokens**2 * width)


def gpt(depth: int, width: int, tokens: int) -> int:
    """Return the multiply-adds of a GPT: its blocks, and a readout of 50,257 words."""
    return blocks(depth, width, tokens) + tokens * width * 50_257


def resnet_50() -> int:
    """Return the multiply-adds of ResNet-50 at 224, with the strides in the 3×3 convolutions: 4.089e9."""
    macs, channels, before = 112**2 * 7**2 * 3 * 64, 64, 56
    for width, count, side in ((64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7)):
        for _ in range(count):
            macs += before**2 * channels * width + side**2 * (9 * width**2 + 4 * width**2)
            macs += side**2 * channels * 4 * width if channels != 4 * width else 0  # the shortcut's projection
            channels, before = 4 * width, side
    return macs + channels * 1000


def hugging_face(name: str, config: str, **settings: Any) -> Callable[[], nn.Module]:
    """Return what builds a model of Hugging Face with random weights."""

    def make() -> nn.Module:
        import transformers

        return getattr(transformers, name)(getattr(transformers, config)(**settings))

    return make


def ours(preset: str) -> Callable[[], nn.Module]:
    """Return what builds a preset where torch builds by default."""
    return lambda: build(preset, device=torch.get_default_device())


def encoder() -> nn.Module:
    """Return torch's own encoder, which takes its fast path in eval mode."""
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True), 6, enable_nested_tensor=False)


GPT2 = {"n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 1024}
GPT3 = {"n_layer": 96, "n_embd": 12_288, "n_head": 96, "n_positions": 2048}
VIT_MACS = 196 * 16**2 * 3 * 768 + blocks(12, 768, 197) + 768 * 1000
CASES = {
    "ViT-B/16 at 224 (Hugging Face)": Case(
        hugging_face("ViTForImageClassification", "ViTConfig", num_labels=1000), (1, 3, 224, 224), VIT_MACS
    ),
    "GPT-2 at 1,024 tokens (Hugging Face)": Case(
        hugging_face("GPT2LMHeadModel", "GPT2Config", **GPT2), (1, 1024), gpt(12, 768, 1024), is_text=True
    ),
    "GPT-2 at 1,024 tokens (ours)": Case(ours("gpt2"), (1, 1024), gpt(12, 768, 1024), is_text=True),
    "GPT-3 175B at 2,048 tokens (Hugging Face)": Case(
        hugging_face("GPT2LMHeadModel", "GPT2Config", **GPT3), (1, 2048), gpt(96, 12_288, 2048), is_text=True, fits=False
    ),
    "GPT-3 175B at 2,048 tokens (ours)": Case(ours("gpt3-175b"), (1, 2048), gpt(96, 12_288, 2048), is_text=True, fits=False),
    "ResNet-50 at 224 (ours)": Case(ours("resnet-50"), (1, 3, 224, 224), resnet_50()),
    "torch's encoder, 6 × 512, 128 tokens": Case(encoder, (1, 128, 512), blocks(6, 512, 128)),
    "LSTM, 2 × 512, 128 tokens": Case(
        lambda: nn.LSTM(512, 512, num_layers=2, batch_first=True), (1, 128, 512), 128 * 2 * 4 * 512 * (512 + 512)
    ),
}


def flops() -> list[dict[str, Any]]:
    """Return one row for each network: its operations by hand, and what each counter says as a share of that.

    `torch_cpu` is torch's own counter on a CPU and `torch_meta` on meta; torchinfo counts multiply-adds, which are doubled.
    None: the counter is not installed, or would need the numbers of a network that is too large.
    """
    return [_row(name, case) for name, case in CASES.items()]


def _row(name: str, case: Case) -> dict[str, Any]:
    with torch.device("meta"):
        model = case.make().eval()
    expected, start = 2 * case.macs, perf_counter()
    found = account(model, case.inputs("meta"))
    seconds = perf_counter() - start
    return {
        "network": name,
        "gflop": expected / 1e9,
        "fathometer": found.forward_flops / expected,
        "backward": found.backward_flops / (2 * expected),
        "seconds": seconds,
        "torch_meta": _torch(model, case.inputs("meta")) / expected,
        "torch_cpu": _torch(case.make().eval(), case.inputs("cpu")) / expected if case.fits else None,
        "torchinfo": _torchinfo(model, case.inputs("meta"), expected),
    }


def _torch(model: nn.Module, inputs: torch.Tensor) -> int:
    # On a CPU no other mode may be on: it would keep torch's encoder off its fast path.
    on_meta = torch.device("meta") if inputs.is_meta else nullcontext()
    with FlopCounterMode(display=False) as counter, torch.no_grad(), on_meta:
        model(inputs)
    return counter.get_total_flops()


def _torchinfo(model: nn.Module, inputs: torch.Tensor, expected: int) -> float | None:
    if find_spec("torchinfo") is None:
        return None
    import torchinfo

    with torch.device("meta"):
        summary = torchinfo.summary(model, input_data=inputs, device="meta", verbose=0)
    return 2 * summary.total_mult_adds / expected
