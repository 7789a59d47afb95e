"""GPT-2's weights, from Hugging Face's names to ours and back."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.errors import ModelError, SpecError, look_up, shown, unknown_name
from fathometer.networks.layers import EPSILON
from fathometer.networks.transformer import TransformerNetwork
from fathometer.spec import Transformer

# Hugging Face's names of activations and ours; where several mean one of ours, the first is the one that is written.
ACTIVATION_NAMES = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
# Settings there that have one value here, and settings here that have one value there (that of a default `Transformer`).
_FIXED_HERE = {
    "add_cross_attention": False,
    "layer_norm_epsilon": EPSILON,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
}
_FIXED_THERE = ("gated", "norm", "residual", "norm_scaling", "positions", "causal", "qk_norm", "attention_softcap")
_FIXED_THERE += ("logit_softcap", "bias", "branch_multiplier", "output_multiplier")
_TURNED = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")  # kept there as (inputs, outputs)
_UNLEARNED = (".attn.bias", ".attn.masked_bias")  # the causal mask, in files of old


def from_hugging_face(source: nn.Module | Mapping[str, Tensor], *, heads: int | None = None) -> TransformerNetwork:
    """Return our network with the weights of a GPT-2 of Hugging Face: a model, or the `state_dict` of one.

    Weights are copied, in their dtype and on their device. A state says nothing of its heads (None: width // 64, as in every
    GPT-2 that was released), of its activation (GPT-2's is taken) and of dropout (none is). Nothing is downloaded.

    Raises `ModelError` for what is no GPT-2, or has settings that our networks do not have.
    """
    given = source.state_dict() if isinstance(source, nn.Module) else source
    state = {name.removeprefix("transformer."): tensor for name, tensor in given.items() if not name.endswith(_UNLEARNED)}
    spec = _spec_of(state, getattr(source, "config", None), heads)
    _check_names(state, spec)
    ours: dict[str, Tensor] = {}
    for theirs, names in _names(spec):
        tensor = state[theirs].T if theirs.endswith(_TURNED) else state[theirs]
        ours |= {name: part.clone().contiguous() for name, part in zip(names, tensor.chunk(len(names)), strict=True)}
    with torch.device("meta"):
        network = TransformerNetwork(spec)
    network.load_state_dict(ours, assign=True)
    return network.train(source.training if isinstance(source, nn.Module) else True)


def to_hugging_face(network: TransformerNetwork) -> Any:
    """Return a `transformers.GPT2LMHeadModel` with copies of our weights (needs the `hf` extra).

    Raises `SpecError` for a network that GPT-2 cannot be, `ModelError` where transformers is not installed.
    """
    spec = network.spec
    _check_spec(spec)
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        mend = "Run: pip install 'fathometer[hf]'"
        raise ModelError("transformers is not installed", "A Hugging Face model needs it", mend) from None
    ours, theirs = network.state_dict(), dict[str, Tensor]()
    for name, parts in _names(spec):
        tensor = torch.cat([ours[part] for part in parts])
        full_name = name if name == "lm_head.weight" else f"transformer.{name}"
        theirs[full_name] = (tensor.T if name.endswith(_TURNED) else tensor).clone().contiguous()
    if spec.tied:
        theirs["lm_head.weight"] = theirs["transformer.wte.weight"]
    with torch.device("meta"):  # torch's generators stay where they are
        model = GPT2LMHeadModel(GPT2Config(**_settings(spec)))
    model.load_state_dict(theirs, assign=True)
    model.tie_weights()
    return model.train(network.training)


def _names(spec: Transformer) -> Iterator[tuple[str, list[str]]]:
    """Yield each name there with the names here that it holds, in order."""
    yield "wte.weight", ["embedding.weight"]
    yield "wpe.weight", ["positions.weight"]
    for index in range(spec.depth):
        attention, mlp = f"blocks.{index}.attention", f"blocks.{index}.mlp"
        for kind in ("weight", "bias"):
            yield f"h.{index}.ln_1.{kind}", [f"{attention}.norm_before.{kind}"]
            yield f"h.{index}.attn.c_attn.{kind}", [f"{attention}.branch.{part}.{kind}" for part in ("query", "key", "value")]
            yield f"h.{index}.attn.c_proj.{kind}", [f"{attention}.branch.output.{kind}"]
            yield f"h.{index}.ln_2.{kind}", [f"{mlp}.norm_before.{kind}"]
            yield f"h.{index}.mlp.c_fc.{kind}", [f"{mlp}.branch.first.{kind}"]
            yield f"h.{index}.mlp.c_proj.{kind}", [f"{mlp}.branch.last.{kind}"]
    yield "ln_f.weight", ["final_norm.weight"]
    yield "ln_f.bias", ["final_norm.bias"]
    if not spec.tied:
        yield "lm_head.weight", ["readout.weight"]


def _spec_of(state: Mapping[str, Tensor], config: Any, heads: int | None) -> Transformer:
    shapes = [state[name].shape for name in ("wte.weight", "wpe.weight", "h.0.mlp.c_fc.weight") if name in state]
    if len(shapes) < 3:
        mend = "Pass a GPT2LMHeadModel or its state_dict"
        raise ModelError(f"There are no GPT-2 weights among {', '.join(list(state)[:4])}", "A GPT-2 has `wte` and `wpe`", mend)
    (vocabulary, width), (context, _), (_, hidden) = shapes
    return Transformer(
        depth=sum(name.endswith(".ln_1.weight") for name in state),
        width=width,
        heads=heads if config is None else config.n_head,
        mlp_width=None if hidden == 4 * width else hidden,
        vocabulary=vocabulary,
        context=context,
        tied=_is_tied(state, config),
        activation="gelu_tanh" if config is None else _activation_of(config),
        dropout=0.0 if config is None else _dropout_of(config),
    )


def _is_tied(state: Mapping[str, Tensor], config: Any) -> bool:
    head = state.get("lm_head.weight")
    if head is None or config is not None:
        return head is None or config.tie_word_embeddings
    return torch.equal(head, state["wte.weight"])


def _activation_of(config: Any) -> str:
    for name, value in _FIXED_HERE.items():
        if getattr(config, name) != value:
            raise ModelError(f"`{name}` is {getattr(config, name)}", f"Our networks have {value}", f"Set it to {value}")
    return look_up("activation here", config.activation_function, ACTIVATION_NAMES, ModelError)


def _dropout_of(config: Any) -> float:
    given = (config.embd_pdrop, config.attn_pdrop, config.resid_pdrop)
    if len(set(given)) > 1:
        raise ModelError(
            f"`embd_pdrop`, `attn_pdrop` and `resid_pdrop` are {', '.join(map(str, given))}",
            "Our networks have one dropout for all three",
            "Set them to one value",
        )
    return given[0]


def _check_names(state: Mapping[str, Tensor], spec: Transformer) -> None:
    expected = {name for name, _ in _names(spec)}
    missing, surplus = sorted(expected - set(state)), sorted(set(state) - expected - {"lm_head.weight"})
    if missing or surplus:
        given = f"The weights lack `{missing[0]}`" if missing else f"The weights hold `{surplus[0]}`"
        raise ModelError(given, "A GPT-2 has just the usual ones", "Pass a GPT2LMHeadModel or its state_dict")


def _check_spec(spec: Transformer) -> None:
    usual = Transformer()
    for name in _FIXED_THERE:
        here, there = getattr(spec, name), getattr(usual, name)
        if here != there:
            raise SpecError(f"`{name}` is {shown(here)}", f"In a GPT-2 it is {shown(there)}", "Keep the network here")
    if spec.num_kv_heads != spec.num_heads or spec.attention_scale != spec.head_width**-0.5:
        given = f"`kv_heads` is {spec.num_kv_heads} and scores are multiplied by {spec.attention_scale:.4g}"
        raise SpecError(given, f"In a GPT-2 with {spec.num_heads} heads it is that, and 1/√head_width", "Keep the network here")
    if spec.activation not in ACTIVATION_NAMES.values():
        raise unknown_name("activation of a GPT-2", spec.activation, ACTIVATION_NAMES.values())


def _settings(spec: Transformer) -> dict[str, Any]:
    names = {ours: theirs for theirs, ours in reversed(ACTIVATION_NAMES.items())}
    dropouts = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), spec.dropout)
    ends = {} if spec.vocabulary > 50_256 else {"bos_token_id": None, "eos_token_id": None}  # the end of text is token 50256
    return {
        "n_layer": spec.depth,
        "n_embd": spec.width,
        "n_head": spec.num_heads,
        "n_inner": spec.mlp_width,
        "n_positions": spec.context,
        "vocab_size": spec.vocabulary,
        "activation_function": names[spec.activation],
        "layer_norm_epsilon": EPSILON,
        "tie_word_embeddings": spec.tied,
        **dropouts,
        **ends,
    }
