"""A network as a value: complete, refused when it cannot be, the same after saving."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer.activations import ACTIVATIONS
from fathometer.errors import FathometerError, SpecError, TargetError
from fathometer.parametrizations import PARAMETRIZATIONS
from fathometer.spec import PRESETS, RESIDUAL_KINDS, Mlp, load_spec, preset, spec_from_dict, spec_to_dict, spec_to_toml

FIELDS = [field.name for field in dataclasses.fields(Mlp)]
NORMED = ("pre-norm", "post-norm", "peri-norm", "deepnorm")
sizes = st.floats(0, 1e6)


@st.composite
def specs(draw: st.DrawFn) -> Mlp:
    """Draw any network that can exist."""
    residual = draw(st.sampled_from(list(RESIDUAL_KINDS)))
    norms = st.sampled_from([None, "layer", "rms", "batch"]) if residual in (*NORMED, "none") else st.none()
    return Mlp(
        depth=draw(st.integers(1, 2000)),
        width=draw(st.integers(1, 100_000)),
        inputs=draw(st.integers(1, 5000)),
        outputs=draw(st.integers(1, 5000)),
        activation=draw(st.sampled_from(list(ACTIVATIONS))),
        residual=residual,
        norm=draw(norms),
        branch_scale=draw(sizes),
        branch_layers=1 if residual == "none" else draw(st.integers(1, 5)),
        init=draw(st.sampled_from(list(PARAMETRIZATIONS))),
        gain=draw(sizes),
        bias_std=draw(st.none() | sizes),
    )


toml_values = st.one_of(
    st.integers(-3, 300),
    st.floats(),
    st.booleans(),
    st.text(max_size=8),
    st.sampled_from(["relu", "none", "pre-norm", "layer", "he"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=1),
    st.dates(),
)


@settings(deadline=None)
@given(spec=specs())
def test_a_spec_survives_toml(spec: Mlp) -> None:
    """Any network is the same after it was written as TOML and read back."""
    assert spec_from_dict(tomllib.loads(spec_to_toml(spec))) == spec


@settings(deadline=None)
@given(spec=specs())
def test_a_spec_survives_a_dictionary(spec: Mlp) -> None:
    """Any network is the same after it was turned into a dictionary and back."""
    assert spec_from_dict(spec_to_dict(spec)) == spec


@pytest.mark.usefixtures("as_a_user_has_it")
@settings(deadline=None)
@given(
    table=st.dictionaries(st.sampled_from([*FIELDS, "family", "preset", "heads"]), toml_values, max_size=5), named=st.booleans()
)
def test_any_table_is_a_network_or_an_error_that_says_why(table: dict[str, Any], named: bool) -> None:
    """Whatever a file holds, the answer is a network or a FathometerError, never another exception."""
    try:
        spec = spec_from_dict({**table, "family": "mlp"} if named else table)
    except FathometerError:
        return
    assert spec_from_dict(spec_to_dict(spec)) == spec


@pytest.mark.usefixtures("as_a_user_has_it")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        *[({name: value}, f"`{name}`") for name in ("depth", "width", "inputs", "outputs") for value in (0, -1, 2.5, "5", None)],
        *[({name: value}, f"`{name}`") for name in ("branch_scale", "gain") for value in (-1.0, float("inf"), "1", None)],
        ({"bias_std": -0.1}, "`bias_std`"),
        ({"branch_layers": 0}, "`branch_layers`"),
        *[({name: 3}, f"`{name}`") for name in ("activation", "residual", "init", "norm")],
        ({"activation": ["relu"]}, "`activation`"),
        ({"activation": "rleu"}, 'Did you mean "relu"'),
        ({"residual": "pre_norm"}, 'Did you mean "pre-norm"'),
        ({"init": "xaver"}, 'Did you mean "xavier"'),
        ({"norm": "batchnorm", "residual": "pre-norm"}, 'Did you mean "batch"'),
        ({"norm": "layer", "residual": "plain"}, "no place for a norm"),
        ({"branch_layers": 2}, "no branches"),
    ],
    ids=str,
)
def test_a_network_that_cannot_exist_is_a_spec_error(change: dict[str, Any], words: str) -> None:
    """Each field is refused by its name, or with the nearest right value, when it cannot be."""
    with pytest.raises(SpecError, match=words):
        Mlp(**change)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_network_with_a_sentence_and_a_source(name: str) -> None:
    """Every preset can be had by name, says what it is here for, and survives saving."""
    assert preset(name) == PRESETS[name].spec == spec_from_dict(spec_to_dict(preset(name)))
    assert PRESETS[name].summary.endswith(".")
    assert PRESETS[name].source


def test_a_preset_can_be_changed() -> None:
    """`name@field=value,…` changes whole numbers, numbers and words, and nothing else."""
    changed = preset("he-50@width=128,gain=0.5,activation=tanh")

    assert changed == dataclasses.replace(preset("he-50"), width=128, gain=0.5, activation="tanh")


@pytest.mark.parametrize("name", ["he50", "he-50@widht=3", "he-50@width", "he-50@activation=rleu", ""])
def test_a_wrong_preset_is_a_spec_error(name: str) -> None:
    """A wrong name, field, change or value of a preset is the user's mistake."""
    with pytest.raises(SpecError):
        preset(name)


def test_a_spec_file_can_start_from_a_preset(tmp_path: Path) -> None:
    """A file may name a preset and change fields of it."""
    path = tmp_path / "net.toml"
    path.write_text('preset = "tanh-50"\ndepth = 96\n')

    assert load_spec(path) == dataclasses.replace(preset("tanh-50"), depth=96)


def test_a_file_that_is_not_there_is_a_target_error(tmp_path: Path) -> None:
    """A path to nothing is named in the error."""
    with pytest.raises(TargetError, match=r"nothing\.toml"):
        load_spec(tmp_path / "nothing.toml")


@pytest.mark.parametrize("content", [b"family = mlp", b"\xff\xfe", b"depth = 3"], ids=["not TOML", "not text", "no family"])
def test_a_file_that_cannot_be_read_is_a_spec_error(tmp_path: Path, content: bytes) -> None:
    """A file that is not TOML, not text, or names no family is the user's mistake."""
    path = tmp_path / "net.toml"
    path.write_bytes(content)

    with pytest.raises(SpecError):
        load_spec(path)


@pytest.mark.parametrize(("layers", "stream", "branch"), [(12, 2.2134, 0.3195), (24, 2.6321, 0.2686), (100, 3.7606, 0.1880)])
def test_deepnorm_counts_sublayers(layers: int, stream: float, branch: float) -> None:
    """N transformer layers are 2N residual blocks here: α = (2N)^¼ and β = (8N)^-¼ of Wang et al. 2022."""
    spec = Mlp(depth=2 * layers, residual="deepnorm", branch_layers=2)
    plain = Mlp(depth=2 * layers, residual="post-norm", branch_layers=2)
    ratios = {
        role: spec.scale(role, 64, 64).weight_std / plain.scale(role, 64, 64).weight_std
        for role in ("input", "hidden", "branch_last", "output")
    }

    assert spec.stream_multiplier == pytest.approx(stream, abs=5e-5)  # four digits are printed
    assert ratios == pytest.approx({"input": 1.0, "hidden": branch, "branch_last": branch, "output": 1.0}, abs=5e-5)


@pytest.mark.parametrize(
    ("residual", "depth", "branch"),
    [
        ("plain", 64, 0.5),
        ("scaled", 64, 0.125),
        ("rezero", 64, 0.0),
        ("layerscale", 18, 0.1),
        ("layerscale", 24, 1e-5),
        ("layerscale", 96, 1e-6),
    ],
)
def test_what_multiplies_a_branch(residual: str, depth: int, branch: float) -> None:
    """The number in front of a branch is the kind's own, or `branch_scale` where it is free."""
    assert Mlp(depth=depth, residual=residual, branch_scale=0.5).branch_multiplier == branch


@pytest.mark.parametrize("residual", RESIDUAL_KINDS)
def test_a_kind_that_needs_a_norm_has_one(residual: str) -> None:
    """LayerNorm is used where the kind needs a norm and none was named, and no norm elsewhere."""
    assert Mlp(residual=residual).norm_kind == ("layer" if residual in NORMED else None)


def test_gain_and_bias_leave_the_readout_alone() -> None:
    """`gain` multiplies every std but the readout's, and `bias_std` sets every bias but its own."""
    spec, plain = Mlp(init="lecun", gain=1.5, bias_std=0.3), Mlp(init="lecun")

    assert spec.scale("hidden", 64, 64).weight_std == 1.5 * plain.scale("hidden", 64, 64).weight_std
    assert (spec.scale("hidden", 64, 64).bias_std, plain.scale("hidden", 64, 64).bias_std) == (0.3, 0.0)
    assert spec.scale("output", 64, 10) == plain.scale("output", 64, 10)


def test_he_knows_what_stands_in_front() -> None:
    """He's gain is √2 behind a ReLU: in every block of a plain network, but not in the stem of a residual one."""
    behind_relu, behind_nothing = (2 / 64) ** 0.5, (1 / 64) ** 0.5

    assert Mlp().scale("input", 64, 64).weight_std == pytest.approx(behind_relu)
    assert Mlp(residual="plain").scale("input", 64, 64).weight_std == pytest.approx(behind_nothing)
    assert Mlp(residual="plain").scale("branch_last", 64, 64).weight_std == pytest.approx(behind_relu)


def test_a_spec_cannot_be_changed() -> None:
    """A spec is a value: it can be a key, and its fields cannot be set."""
    spec = Mlp()

    assert {spec: 1}[Mlp()] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.depth = 3
