"""GPT-2's weights cross over from Hugging Face and back: same output, same gradients."""

import builtins
import os
import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fathometer.errors import ModelError, SpecError
from fathometer.networks import TransformerNetwork, build, from_hugging_face, to_hugging_face
from fathometer.spec import Transformer

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers", reason="needs the `hf` extra")

SETTINGS = {
    "n_layer": 3,
    "n_embd": 64,
    "n_head": 4,
    "n_positions": 32,
    "vocab_size": 101,
    "bos_token_id": None,
    "eos_token_id": None,
}
NO_DROPOUT = {"embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0}


def gpt2(seed: int, **settings: Any) -> Any:
    """Return a small GPT-2 of Hugging Face, every parameter random (theirs has biases of 0 and gains of 1)."""
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**SETTINGS, **NO_DROPOUT, **settings}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            start = 1.0 if "ln_" in name and name.endswith("weight") else 0.0
            parameter.copy_(start + 0.05 * torch.randn(parameter.shape, generator=generator))
    return model


def tokens_for(seed: int) -> Tensor:
    """Return two random sequences."""
    return torch.randint(0, 101, (2, 20), generator=torch.Generator().manual_seed(seed))


def go_back(logits: Tensor, tokens: Tensor) -> None:
    """Send the gradient of the loss on the following token back."""
    F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()


def carried_gradients(network: TransformerNetwork) -> dict[str, Tensor]:
    """Return our gradients under the names of Hugging Face: sent over in the place of the weights, which are lost."""
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter.copy_(parameter.grad)
    return {name: parameter.detach() for name, parameter in to_hugging_face(network).named_parameters()}


@pytest.mark.parametrize(
    "settings",
    [{}, {"tie_word_embeddings": False}, {"n_inner": 50, "activation_function": "relu"}],
    ids=["tied", "untied", "other MLP"],
)
def test_same_weights_same_output_same_gradients(settings: dict[str, Any], seed: int) -> None:
    """Our network with their weights gives their logits, and their gradient of every parameter, to 1e-5."""
    theirs, tokens = gpt2(seed, **settings), tokens_for(seed)
    ours = from_hugging_face(theirs)
    expected, logits = theirs(tokens).logits, ours(tokens)
    go_back(expected, tokens)
    go_back(logits, tokens)

    # float32: logits and gradients are sums of at most a few hundred products of numbers near 1
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    found = carried_gradients(ours)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-5)
        # Else 1e-5 would prove nothing. What is added to every key of a softmax changes nothing: that part is 0.
        assert parameter.grad.abs().max() > 1e-4


def test_one_changed_number_would_be_noticed(seed: int) -> None:
    """A key moved by a little gives other logits than theirs: the comparison above can fail."""
    theirs, tokens = gpt2(seed), tokens_for(seed)
    ours = from_hugging_face(theirs)
    with torch.no_grad():
        ours.blocks[1].attention.branch.key.weight[3, 5] += 0.5

    assert (ours(tokens) - theirs(tokens).logits).abs().max() > 1e-4


@pytest.mark.parametrize("tied", [True, False])
def test_there_and_back_nothing_changes(tied: bool, seed: int) -> None:
    """Our weights, sent over and fetched again, are the same bits, and the spec is the same."""
    spec = Transformer(depth=2, width=24, heads=3, vocabulary=50, context=16, activation="gelu", tied=tied, dropout=0.1)
    network = build(spec, seed=seed).eval()
    sent = to_hugging_face(network)
    back = from_hugging_face(sent)

    assert back.spec == spec
    assert not sent.training
    assert not back.training
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in network.state_dict().items())
    tokens = tokens_for(seed)[:, :16] % 50
    # float32, two blocks
    torch.testing.assert_close(sent(tokens).logits, network(tokens))


def test_copies_are_copies(seed: int) -> None:
    """Changing one network leaves the other alone, and what came over can be trained."""
    theirs = gpt2(seed)
    ours = from_hugging_face(theirs)
    with torch.no_grad():
        ours.embedding.weight.zero_()

    assert theirs.transformer.wte.weight.abs().max() > 0
    assert all(parameter.requires_grad and parameter.is_contiguous() for parameter in ours.parameters())


def test_a_state_says_it_with_names_alone(seed: int) -> None:
    """A state_dict will do: of the model, of the model without its head, and with the causal masks of old files."""
    theirs, tokens = gpt2(seed), tokens_for(seed)
    old = {**theirs.state_dict(), "transformer.h.0.attn.bias": torch.ones(1, 1, 32, 32)}

    for state in (old, theirs.transformer.state_dict()):
        torch.testing.assert_close(from_hugging_face(state, heads=4)(tokens), from_hugging_face(theirs)(tokens))
    assert from_hugging_face(old).spec.num_heads == 1  # width // 64, as in every GPT-2 that was released


def test_the_generators_are_left_alone(seed: int) -> None:
    """Crossing over draws no random number."""
    theirs = gpt2(seed)
    before = torch.get_rng_state()
    to_hugging_face(from_hugging_face(theirs))

    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon"),
        ({"activation_function": "gelu_fast"}, "gelu_fast"),
        ({"attn_pdrop": 0.2}, "attn_pdrop"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_setting_that_we_lack_is_an_error(settings: dict[str, Any], message: str, seed: int) -> None:
    """What our networks cannot do is refused by name, and not silently left out."""
    with pytest.raises(ModelError, match=message):
        from_hugging_face(gpt2(seed, **settings))


def test_other_weights_are_an_error(seed: int) -> None:
    """Weights of something else, weights that are missing and weights too many are named."""
    state = gpt2(seed).state_dict()
    missing = {name: value for name, value in state.items() if name != "transformer.h.1.ln_2.bias"}

    with pytest.raises(ModelError, match="no GPT-2 weights"):
        from_hugging_face(torch.nn.Linear(2, 3))
    with pytest.raises(ModelError, match=r"lack `h\.1\.ln_2\.bias`"):
        from_hugging_face(missing)
    with pytest.raises(ModelError, match=r"hold `h\.0\.extra`"):
        from_hugging_face({**state, "transformer.h.0.extra": torch.zeros(1)})


@pytest.mark.parametrize(
    "change",
    [
        {"positions": "rope"}, {"norm": "rms"}, {"residual": "post-norm"}, {"kv_heads": 1}, {"gated": True}, {"qk_norm": True},
        {"causal": False}, {"bias": False}, {"logit_softcap": 30.0}, {"activation": "elu"}, {"init": "mup"},
        {"norm_scaling": True}, {"base_depth": 1, "init": "completep"}, {"branch_scale": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_a_gpt2_cannot_be_is_an_error(change: dict[str, Any]) -> None:
    """A network with an option that GPT-2 lacks is refused."""
    spec = Transformer(**{"depth": 2, "width": 16, "heads": 2, "vocabulary": 9, "context": 4, **change})

    with pytest.raises(SpecError):
        to_hugging_face(build(spec))


def test_without_transformers_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named; reading a state needs no transformers at all."""
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "transformers":
            raise ImportError(name)
        return real(name, *rest, **named)

    network = build(Transformer(depth=1, width=64, vocabulary=9, context=4))
    state = to_hugging_face(network).state_dict()
    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.delitem(sys.modules, "transformers")

    with pytest.raises(ModelError, match=r"fathometer\[hf\]"):
        to_hugging_face(network)
    assert from_hugging_face(state).spec.width == 64


def test_llama_of_hugging_face_agrees(seed: int) -> None:
    """RoPE, RMSNorm, SwiGLU and grouped queries together give the logits of Hugging Face's own Llama."""
    spec = Transformer(
        depth=2, width=32, heads=4, kv_heads=2, mlp_width=48, vocabulary=101, context=32, activation="silu", gated=True,
        norm="rms", positions="rope", rope_base=500_000.0, tied=False, bias=False,
    )  # fmt: skip
    config = transformers.LlamaConfig(
        num_hidden_layers=2, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48, vocab_size=101,
        max_position_embeddings=32, rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    ours, theirs, tokens = build(spec, seed=seed), transformers.LlamaForCausalLM(config), tokens_for(seed)
    names = {
        "model.embed_tokens": "embedding", "model.norm": "final_norm", "lm_head": "readout", "model.layers": "blocks",
        "self_attn.q_proj": "attention.branch.query", "self_attn.k_proj": "attention.branch.key",
        "self_attn.v_proj": "attention.branch.value", "self_attn.o_proj": "attention.branch.output",
        "mlp.gate_proj": "mlp.branch.first", "mlp.up_proj": "mlp.branch.gated", "mlp.down_proj": "mlp.branch.last",
        "input_layernorm": "attention.norm_before", "post_attention_layernorm": "mlp.norm_before",
    }  # fmt: skip
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            for old, new in names.items():
                name = name.replace(old, new)
            ours.get_parameter(name).copy_(parameter.normal_(std=0.2, generator=torch.Generator().manual_seed(len(name))))

    # float32: two blocks with numbers near 1
    torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-4)
