"""Transformers and convnets survive saving, and narrow twins keep their proportions."""

import tomllib
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fathometer.activations import ACTIVATIONS
from fathometer.errors import FathometerError, SpecError
from fathometer.parametrizations import PARAMETRIZATIONS
from fathometer.spec import FAMILIES, PRESETS, ConvNet, Transformer, preset, spec_from_dict, spec_to_dict, spec_to_toml
from fathometer.spec.transformer import POSITIONS, TRANSFORMER_KINDS

optional_counts = st.none() | st.integers(1, 1000)
caps = st.none() | st.floats(0.1, 1e6)


@st.composite
def transformer_tables(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the fields of any transformer that can exist."""
    groups, kv_heads = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    heads, residual = groups * kv_heads, draw(st.sampled_from(list(TRANSFORMER_KINDS)))
    return {
        "depth": draw(st.integers(1, 200)),
        "width": heads * 2 * draw(st.integers(1, 64)),
        "heads": heads,
        "kv_heads": draw(st.sampled_from([None, kv_heads])),
        "mlp_width": draw(optional_counts),
        "activation": draw(st.sampled_from(list(ACTIVATIONS))),
        "norm": draw(st.sampled_from(["layer", "rms"])),
        "residual": residual,
        "norm_scaling": residual == "pre-norm" and draw(st.booleans()),
        "positions": draw(st.sampled_from(list(POSITIONS))),
        **{name: draw(st.booleans()) for name in ("gated", "causal", "qk_norm", "tied", "bias")},
        **{name: draw(caps) for name in ("attention_softcap", "logit_softcap")},
        "dropout": draw(st.floats(0, 0.99)),
        "init": draw(st.sampled_from(list(PARAMETRIZATIONS))),
        **{name: draw(optional_counts) for name in ("base_width", "base_depth")},
    }


convnet_tables = st.fixed_dictionaries(
    {
        "stages": st.none() | st.just((3, 3, 3)),
        "width": optional_counts,
        "image_size": optional_counts,
        "norm": st.sampled_from([None, "batch", "layer"]),
        "shortcut": st.sampled_from([None, "A", "B"]),
        "residual": st.sampled_from(["none", "post-activation"]),
        "init": st.sampled_from(list(PARAMETRIZATIONS)),
    }
)


@settings(deadline=None)
@given(table=transformer_tables())
def test_a_transformer_survives_toml(table: dict[str, Any]) -> None:
    """Any transformer is the same after it was written as TOML and read back, and its parts are finite."""
    spec = Transformer(**table)

    assert spec_from_dict(tomllib.loads(spec_to_toml(spec))) == spec
    assert 0 <= spec.branch_multiplier < float("inf")
    assert 0 < spec.output_multiplier < float("inf")


@settings(deadline=None)
@given(table=convnet_tables)
def test_a_convnet_survives_toml(table: dict[str, Any]) -> None:
    """Any convnet is the same after it was written as TOML and read back: None is "off" where it is not the default."""
    spec = ConvNet(**table)

    assert spec_from_dict(tomllib.loads(spec_to_toml(spec))) == spec
    assert (spec_to_dict(spec)["norm"] == "off") == (table["norm"] is None)


@pytest.mark.usefixtures("as_a_user_has_it")
@settings(deadline=None, max_examples=300)
@given(
    name=st.sampled_from(["gpt2", "llama3-8b", "resnet-20", "resnet-50", "he-50"]),
    field=st.sampled_from(sorted({field for family in FAMILIES.values() for field in family.__dataclass_fields__})),
    value=st.sampled_from(
        ["0", "-3", "7", "64", "2.5", "1e400", "off", "on", "none", "true", "relu", "pre-norm", "2-2-2", "2-2-2-2", "--", "", "π"]
    ),
)
def test_any_change_is_a_network_or_an_error_that_says_why(name: str, field: str, value: str) -> None:
    """Whatever is written behind @, the answer is a network or a FathometerError, never another exception."""
    try:
        spec = preset(f"{name}@{field}={value}")
    except FathometerError:
        return
    assert spec_from_dict(spec_to_dict(spec)) == spec


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("gpt3-175b@width=128", {"depth": 96, "num_heads": 8, "head_width": 16, "hidden_width": 512}),
        ("gpt3-175b@width=12288", {"num_heads": 96}),
        ("gpt2@width=8", {"num_heads": 1}),
        ("gpt2@width=100", {"num_heads": 5}),
        ("gpt2@width=128,heads=2", {"num_heads": 2, "head_width": 64}),
        ("llama3-8b@width=128", {"num_heads": 8, "num_kv_heads": 2, "hidden_width": 448, "context": 8192}),
        ("llama3-8b@width=64", {"num_heads": 4, "num_kv_heads": 1, "hidden_width": 224}),
        ("llama3-8b@width=102", {"num_heads": 3, "head_width": 34}),
        ("llama3-405b@width=128,kv_heads=4,mlp_width=100", {"num_kv_heads": 4, "hidden_width": 100}),
        ("llama3-8b@kv_heads=off,mlp_width=off", {"num_kv_heads": 32, "hidden_width": 16_384}),
        (
            "gpt2@tied=off,bias=false,gated=on,logit_softcap=15",
            {"tied": False, "bias": False, "gated": True, "logit_softcap": 15},
        ),
        ("resnet-20@depth=56,norm=off,zero_init_last=false", {"num_blocks": 27, "norm": None}),
        ("resnet-20@stages=1-1-1,depth=8", {"stages": (1, 1, 1), "num_blocks": 3}),
        ("resnet-20@width=64", {"stage_widths": (64, 128, 256)}),
    ],
)
def test_a_change_keeps_proportions_and_types(name: str, fields: dict[str, Any]) -> None:
    """A narrow twin keeps depth and proportions, and words behind @ become numbers, flags, None and stages."""
    spec = preset(name)

    assert {field: getattr(spec, field) for field in fields} == fields


@settings(deadline=None)
@given(name=st.sampled_from([name for name in PRESETS if name.startswith(("gpt", "llama"))]), width=st.integers(1, 2000))
def test_every_width_has_a_twin(name: str, width: int) -> None:
    """Any even width makes a twin of any transformer, with heads up to width // 16; RoPE cannot have an odd one."""
    assume(width % 2 == 0 or not name.startswith("llama"))
    spec = preset(f"{name}@width={width}")

    assert isinstance(spec, Transformer)
    assert spec.depth == PRESETS[name].spec.depth
    assert 1 <= spec.num_heads <= max(1, width // 16) or width == PRESETS[name].spec.width


def test_a_file_makes_a_twin_too() -> None:
    """A preset in a file, with another width, is the twin that the name with @ is."""
    assert spec_from_dict({"preset": "llama3-70b", "width": 128}) == preset("llama3-70b@width=128")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt2@widht=128", 'Did you mean "width"'),
        ("resnet-20@heads=8", 'no field named "heads"'),
        ("gpt2@kv_heads=5", "Try kv_heads = 4 or 6"),
        ("gpt2@tied=maybe", "`tied` is 'maybe'"),
        ("gpt2@width=-64", "`width` is -64"),
        ("resnet-56@depth=57", "Try depth = 56 or 62"),
        ("resnet-20@stages=2-x", "`stages`"),
        ("gpt3-175", 'Did you mean "gpt3-175b"'),
    ],
)
@pytest.mark.usefixtures("as_a_user_has_it")
def test_a_wrong_change_names_the_nearest_right_one(name: str, words: str) -> None:
    """A wrong field, value or name is answered with what would be right."""
    with pytest.raises(SpecError, match=words):
        preset(name)


def test_rows_that_contradict_themselves_are_flagged() -> None:
    """GPT-3 XL and 13B say what the table says and what is used; rows that agree with themselves say nothing."""
    flags = {name: one.flag for name, one in PRESETS.items() if name.startswith(("gpt3", "llama3"))}

    assert [name for name, flag in flags.items() if flag] == ["gpt3-xl", "gpt3-13b"]
    assert preset("gpt3-xl").head_width == preset("gpt3-13b").head_width == 128
