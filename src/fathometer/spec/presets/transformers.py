"""GPT-2, GPT-3 and Llama 3, row by row of their tables."""

from fathometer.spec.presets.entry import Preset
from fathometer.spec.transformer import Transformer

_GPT2 = "Radford et al. 2019, table 2"
_GPT3 = "Brown et al. 2020, table 2.1; its sparse layers are dense here"
_LLAMA3 = "Grattafiori et al. 2024, table 3"


def _gpt2(depth: int, width: int, heads: int) -> Transformer:
    return Transformer(depth=depth, width=width, heads=heads, activation="gelu_tanh")


def _gpt3(depth: int, width: int, heads: int) -> Transformer:
    return Transformer(depth=depth, width=width, heads=heads, context=2048, activation="gelu_tanh")


def _llama3(depth: int, width: int, mlp_width: int, heads: int) -> Transformer:
    return Transformer(
        depth=depth,
        width=width,
        heads=heads,
        kv_heads=8,
        mlp_width=mlp_width,
        vocabulary=128_256,
        context=8192,
        activation="silu",
        gated=True,
        norm="rms",
        positions="rope",
        rope_base=500_000.0,
        tied=False,
        bias=False,
    )


def _gpt2_flag(said: str, counted: str) -> str:
    return f"The paper says {said} parameters; the weights that were released, and this network, have {counted}."


TRANSFORMERS: dict[str, Preset] = {
    "gpt2": Preset(_gpt2(12, 768, 12), "GPT-2 small: twelve blocks.", _GPT2, _gpt2_flag("117M", "124.4M")),
    "gpt2-medium": Preset(_gpt2(24, 1024, 16), "GPT-2 medium: 24 blocks.", _GPT2, _gpt2_flag("345M", "354.8M")),
    "gpt2-large": Preset(_gpt2(36, 1280, 20), "GPT-2 large: 36 blocks.", _GPT2, _gpt2_flag("762M", "774.0M")),
    "gpt2-xl": Preset(_gpt2(48, 1600, 25), "GPT-2 XL: 48 blocks.", _GPT2, _gpt2_flag("1542M", "1557.6M")),
    "gpt3-small": Preset(_gpt3(12, 768, 12), "GPT-3 Small, 125M: as deep as GPT-2 small.", _GPT3),
    "gpt3-medium": Preset(_gpt3(24, 1024, 16), "GPT-3 Medium, 350M: 24 blocks.", _GPT3),
    "gpt3-large": Preset(_gpt3(24, 1536, 16), "GPT-3 Large, 760M: wider, not deeper.", _GPT3),
    "gpt3-xl": Preset(
        _gpt3(24, 2048, 16),
        "GPT-3 XL, 1.3B: wider still.",
        _GPT3,
        "The table says 24 heads of width 128, which make 3072 and not the width of 2048; 16 heads of 128 are used here.",
    ),
    "gpt3-2.7b": Preset(_gpt3(32, 2560, 32), "GPT-3 2.7B: 32 blocks.", _GPT3),
    "gpt3-6.7b": Preset(_gpt3(32, 4096, 32), "GPT-3 6.7B: the same depth, wider.", _GPT3),
    "gpt3-13b": Preset(
        _gpt3(40, 5120, 40),
        "GPT-3 13B: 40 blocks.",
        _GPT3,
        "The table says width 5140, but its 40 heads of 128 make 5120, and so does the 12,850M of table D.1: 5120 is used here.",
    ),
    "gpt3-175b": Preset(_gpt3(96, 12_288, 96), "GPT-3 175B: 96 blocks, the depth that this lesson ends at.", _GPT3),
    "llama3-8b": Preset(_llama3(32, 4096, 14_336, 32), "Llama 3 8B: RMSNorm, RoPE, SwiGLU and grouped queries.", _LLAMA3),
    "llama3-70b": Preset(_llama3(80, 8192, 28_672, 64), "Llama 3 70B: 80 blocks.", _LLAMA3),
    "llama3-405b": Preset(_llama3(126, 16_384, 53_248, 128), "Llama 3 405B: 126 blocks.", _LLAMA3),
}
