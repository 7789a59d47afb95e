"""Models of Hugging Face, from a configuration and offline: the right blocks, and the numbers of plain hooks."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathometer.contract import call
from fathometer.instruments import find_depth_points, sound
from fathometer.instruments.trace import trace_of

os.environ["HF_HUB_OFFLINE"] = "1"  # names of the hub would hang for seconds
transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()

TIMES, VOCABULARY, LAYERS = 12, 50, 3
SIZES = {"hidden_size": 16, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50}
PAIR = {
    "d_model": 16, "encoder_layers": LAYERS, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 50, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
    "decoder_start_token_id": 2,
}  # fmt: skip
IMAGES = {"image_size": 32, "patch_size": 8}
STAGES = {"hidden_sizes": [8, 8, 16, 16], "depths": [2, 2, 3, 2]}
IN_STAGES = [f"{stage}.layers.{layer}" for stage, depth in enumerate(STAGES["depths"]) for layer in range(depth)]


def numbered(stack: str, count: int = LAYERS) -> list[str]:
    """Return the names of the members of a list."""
    return [f"{stack}.{index}" for index in range(count)]


# Class of the model, class and arguments of its configuration, what goes in, the blocks.
MODELS: dict[str, tuple[str, str, dict[str, Any], str, list[str]]] = {
    "gpt2": (
        "GPT2LMHeadModel", "GPT2Config", {"n_embd": 16, "n_layer": LAYERS, "n_head": 2, "vocab_size": 50}, "tokens",
        numbered("transformer.h"),
    ),
    "llama": ("LlamaForCausalLM", "LlamaConfig", {**SIZES, "num_key_value_heads": 1}, "tokens", numbered("model.layers")),
    "gemma3": (
        "Gemma3ForCausalLM", "Gemma3TextConfig", {**SIZES, "num_key_value_heads": 1, "head_dim": 8, "sliding_window": 8},
        "tokens", numbered("model.layers"),
    ),
    "bert": ("BertForMaskedLM", "BertConfig", SIZES, "tokens", numbered("bert.encoder.layer")),
    "distilbert": (
        "DistilBertForMaskedLM", "DistilBertConfig",
        {"dim": 16, "n_layers": LAYERS, "n_heads": 2, "hidden_dim": 32, "vocab_size": 50}, "tokens",
        numbered("distilbert.transformer.layer"),
    ),
    "albert": (
        "AlbertForMaskedLM", "AlbertConfig", {**SIZES, "embedding_size": 8}, "tokens",
        [f"albert.encoder.albert_layer_groups.0{turn}" for turn in ("", "#2", "#3")],
    ),
    "t5": (
        "T5ForConditionalGeneration", "T5Config",
        {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": LAYERS, "num_decoder_layers": 2, "num_heads": 2, "vocab_size": 50,
         "decoder_start_token_id": 0},
        "tokens", [*numbered("encoder.block"), *numbered("decoder.block", 2)],
    ),
    "bart": (
        "BartForConditionalGeneration", "BartConfig", {**PAIR, "max_position_embeddings": 32}, "tokens",
        [*numbered("model.encoder.layers"), *numbered("model.decoder.layers", 2)],
    ),
    "whisper": (
        "WhisperForConditionalGeneration", "WhisperConfig",
        {**PAIR, "max_source_positions": 16, "max_target_positions": 16, "num_mel_bins": 8}, "sound",
        [*numbered("model.encoder.layers"), *numbered("model.decoder.layers", 2)],
    ),
    "mamba": (
        "MambaForCausalLM", "MambaConfig", {"hidden_size": 16, "num_hidden_layers": LAYERS, "state_size": 4, "vocab_size": 50},
        "tokens", numbered("backbone.layers"),
    ),
    "mamba2": (
        "Mamba2ForCausalLM", "Mamba2Config",
        {"hidden_size": 16, "num_hidden_layers": LAYERS, "state_size": 4, "vocab_size": 50, "num_heads": 4, "head_dim": 8,
         "n_groups": 1, "chunk_size": 4},
        "tokens", numbered("backbone.layers"),
    ),
    "rwkv": (
        "RwkvForCausalLM", "RwkvConfig",
        {"hidden_size": 16, "num_hidden_layers": LAYERS, "vocab_size": 50, "attention_hidden_size": 16, "context_length": 16},
        "tokens", numbered("rwkv.blocks"),
    ),
    "jamba": (
        "JambaForCausalLM", "JambaConfig",
        {**SIZES, "num_hidden_layers": 4, "num_key_value_heads": 1, "num_experts": 2, "attn_layer_period": 2,
         "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1, "use_mamba_kernels": False,
         "mamba_d_state": 4},
        "tokens", numbered("model.layers", 4),
    ),
    "mixtral": (
        "MixtralForCausalLM", "MixtralConfig",
        {**SIZES, "num_key_value_heads": 1, "num_local_experts": 4, "output_router_logits": True}, "tokens",
        numbered("model.layers"),
    ),
    "qwen3 moe": (
        "Qwen3MoeForCausalLM", "Qwen3MoeConfig",
        {**SIZES, "num_key_value_heads": 1, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
         "head_dim": 8},
        "tokens", numbered("model.layers"),
    ),
    "vit": (
        "ViTForImageClassification", "ViTConfig",
        {"hidden_size": 16, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 32, **IMAGES}, "images",
        numbered("vit.layers"),
    ),
    "swin": (
        "SwinForImageClassification", "SwinConfig",
        {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [2, 3], "num_heads": [2, 2], "window_size": 4}, "images",
        [*numbered("swin.encoder.layers.0.blocks", 2), *numbered("swin.encoder.layers.1.blocks", 3)],
    ),
    "convnext": (
        "ConvNextForImageClassification", "ConvNextConfig", {**STAGES, "image_size": 32, "patch_size": 2}, "images",
        [f"convnext.encoder.stages.{name}" for name in IN_STAGES],
    ),
    "resnet": (
        "ResNetForImageClassification", "ResNetConfig", {**STAGES, "embedding_size": 8, "layer_type": "basic"}, "images",
        [f"resnet.encoder.stages.{name}" for name in IN_STAGES],
    ),
}  # fmt: skip


EXPERTS = ("jamba", "mixtral", "qwen3 moe")  # torch multiplies by groups of experts in float32 at most
# Sums in another order: a few units in the last place of the module's own type.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}


def made(name: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a model with random weights, in float64 where it can be, as in training, and a batch for it, labels included."""
    model_class, config_class, arguments, kind, _ = MODELS[name]
    torch.manual_seed(0)
    dtype = torch.float32 if name in EXPERTS else torch.float64
    model = getattr(transformers, model_class)(getattr(transformers, config_class)(**arguments)).to(dtype).train()
    tokens = torch.randint(3, VOCABULARY, (4, TIMES))
    batch = {
        "tokens": {"input_ids": tokens, "labels": tokens},
        "sound": {"input_features": torch.randn(4, 8, 32, dtype=dtype), "labels": tokens},
        "images": {"pixel_values": torch.randn(4, 3, 32, 32, dtype=dtype), "labels": torch.tensor([0, 1, 0, 1])},
    }[kind]
    return model, batch


def seeded(model: nn.Module, batch: dict[str, Tensor]) -> Callable[[], Any]:
    """Return what calls the model, dropout always the same."""

    def run() -> Any:
        torch.manual_seed(1)
        return call(model, batch)

    return run


def by_hand(model: nn.Module, run: Callable[[], Any], names: list[str]) -> tuple[list[float], list[float]]:
    """Return the mean squares of the blocks' outputs, and of their gradients over that of the logits, by plain hooks."""
    outputs: dict[str, list[Tensor]] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda module, given, output, name=name: outputs.setdefault(name, []).append(
                output if isinstance(output, Tensor) else output[0]
            )
        )
        for name in dict.fromkeys(name.partition("#")[0] for name in names)
    ]
    answer = run()
    for handle in handles:
        handle.remove()
    blocks = [outputs[name.partition("#")[0]][int(name.partition("#")[2] or 1) - 1] for name in names]
    at_logits, *gradients = torch.autograd.grad(answer.loss, [answer.logits, *blocks])
    unit = mean_square(at_logits)
    return [mean_square(block) for block in blocks], [mean_square(gradient) / unit for gradient in gradients]


def mean_square(tensor: Tensor) -> float:
    """Return the mean of all squares."""
    return float(tensor.detach().double().square().mean())


@pytest.mark.parametrize("name", MODELS)
def test_blocks_and_their_numbers(name: str) -> None:
    """Blocks are found in their order, and signal and gradient are those of hooks and `autograd.grad` written by hand."""
    (model, batch), names = made(name), MODELS[name][4]
    run, tolerance = seeded(model, batch), TOLERANCE[next(model.parameters()).dtype]

    points = find_depth_points(model, trace_of(model, run))
    columns = sound(model, run, lambda output: output.loss, points, num_samples=4).columns
    signal, gradient = by_hand(model, run, names)

    assert ("blocks", names) == (points.found_as, [point.name for point in points.points])
    assert columns["signal"] == pytest.approx(signal, rel=tolerance)
    assert columns["gradient"] == pytest.approx(gradient, rel=tolerance)


def test_the_numbers_of_another_block_differ() -> None:
    """The comparison can fail: one block further on, signal and gradient are others."""
    model, batch = made("gpt2")
    run = seeded(model, batch)
    signal, gradient = by_hand(model, run, ["transformer.h.0", "transformer.h.1"])

    assert signal[0] != pytest.approx(signal[1], rel=1e-3)
    assert gradient[0] != pytest.approx(gradient[1], rel=1e-3)
