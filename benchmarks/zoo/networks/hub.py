"""Tiny models from Hugging Face's configurations; nothing is loaded."""

import torch
from torch import Tensor, nn


def available() -> bool:
    """Return whether transformers can be imported."""
    try:
        import transformers  # noqa: F401
    except ImportError:
        return False
    return True


def gpt2(depth: int, *, std: float = 0.08) -> nn.Module:
    """Return a GPT-2 of width 32 that takes a dictionary."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"vocab_size": 32, "n_positions": 40, "n_embd": 32, "n_layer": depth, "n_head": 2}
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(**shape, **none, initializer_range=std, use_cache=False))


def llama(depth: int, *, std: float = 0.1) -> nn.Module:
    """Return a Llama of width 32 that takes a dictionary."""
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": depth}
    shape = {"vocab_size": 32, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 64}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    return LlamaForCausalLM(LlamaConfig(**shape, **heads, **ends, initializer_range=std, use_cache=False))


class BertRows(nn.Module):
    """A BERT (post-norm) over the rows of a digit, read at its first token."""

    def __init__(self, depth: int, *, std: float = 0.1) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        shape = {"vocab_size": 4, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 16}
        none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        self.enter = nn.Linear(8, 32)
        self.bert = BertModel(
            BertConfig(**shape, **none, num_hidden_layers=depth, num_attention_heads=2, initializer_range=std),
            add_pooling_layer=False,
        )
        self.out = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = nn.functional.pad(self.enter(x), (0, 0, 1, 0))
        return self.out(self.bert(inputs_embeds=tokens).last_hidden_state[:, 0])


class T5Pair(nn.Module):
    """A T5 from a source and what its decoder has seen to logits."""

    def __init__(self, depth: int, *, factor: float = 1.0) -> None:
        super().__init__()
        from transformers import T5Config, T5ForConditionalGeneration

        shape = {"vocab_size": 12, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": depth, "num_heads": 2}
        config = T5Config(**shape, dropout_rate=0.0, initializer_factor=factor, use_cache=False, decoder_start_token_id=10)
        self.t5 = T5ForConditionalGeneration(config)

    def forward(self, source: Tensor, seen: Tensor) -> Tensor:
        return self.t5(input_ids=source, decoder_input_ids=seen).logits[..., :10]


class MambaTokens(nn.Module):
    """A Mamba over tokens, by the plain loop that needs no kernels: logits `(batch, time, 32)`."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        from transformers import MambaConfig, MambaForCausalLM

        config = MambaConfig(vocab_size=32, hidden_size=16, state_size=4, num_hidden_layers=depth, use_cache=False)
        self.mamba = MambaForCausalLM(config)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.mamba(input_ids=tokens).logits


def with_gain(model: nn.Module, factor: float, holds: str) -> nn.Module:
    """Multiply the weights of every layer whose name holds a word."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if holds in name and parameter.ndim > 1:
                parameter.mul_(factor)
    return model
