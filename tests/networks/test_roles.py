"""Every parameter of every network has a role, and the scale that goes with it."""

import pytest
import torch
from torch import nn

from fathometer.errors import ModelError
from fathometer.networks import build, roles, scales
from fathometer.parametrizations import Tensor
from fathometer.spec import RESIDUAL_KINDS, ConvNet, Mlp, Spec, Transformer
from fathometer.spec.transformer import TRANSFORMER_KINDS

SMALL = {"depth": 2, "width": 8, "heads": 2, "vocabulary": 9, "context": 5}
SPECS: dict[str, Spec] = {
    **{f"mlp {kind}": Mlp(depth=2, width=8, residual=kind, branch_layers=1 + (kind != "none")) for kind in RESIDUAL_KINDS},
    **{f"transformer {kind}": Transformer(**SMALL, residual=kind, qk_norm=True) for kind in TRANSFORMER_KINDS},
    "untied": Transformer(**SMALL, tied=False, gated=True, norm="rms", kv_heads=1, bias=False, positions="rope"),
    "convnet": ConvNet(depth=8, width=4, shortcut="B"),
    "convnet without norm": ConvNet(depth=8, width=4, norm=None),
}


@pytest.mark.parametrize("name", SPECS)
def test_every_parameter_has_a_role_once(name: str) -> None:
    """The names are those of `named_parameters`, in that order, and the sizes of matrices are theirs."""
    model = build(SPECS[name], device="meta")
    found, parameters = roles(model), dict(model.named_parameters())

    assert list(found) == list(parameters)
    for key, fact in found.items():
        if parameters[key].ndim == 2 and fact.role != "embedding":
            assert (fact.fan_out, fact.fan_in) == parameters[key].shape
        elif fact.role == "embedding":
            assert (fact.fan_in, fact.fan_out) == (1, 8)


def test_the_roles_of_a_transformer() -> None:
    """Each kind of parameter of a small transformer, by name; the tied readout has none."""
    found = {name: (fact.role, fact.fan_in, fact.fan_out) for name, fact in roles(build(SPECS["transformer pre-norm"])).items()}
    attention, mlp = "blocks.0.attention", "blocks.0.mlp"

    expected = {
        "embedding.weight": ("embedding", 1, 8),
        "positions.weight": ("embedding", 1, 8),
        f"{attention}.norm_before.weight": ("norm_gain", 1, 8),
        f"{attention}.norm_before.bias": ("bias", 1, 8),
        f"{attention}.branch.query.weight": ("query_key", 8, 8),
        f"{attention}.branch.key.bias": ("bias", 1, 8),
        f"{attention}.branch.value.weight": ("hidden", 8, 8),
        f"{attention}.branch.output.weight": ("branch_last", 8, 8),
        f"{attention}.branch.query_norm.weight": ("norm_gain", 1, 4),
        f"{mlp}.branch.first.weight": ("hidden", 8, 32),
        f"{mlp}.branch.last.weight": ("branch_last", 32, 8),
        "final_norm.weight": ("final_norm", 1, 8),
        "final_norm.bias": ("final_norm", 1, 8),
    }
    assert {name: found[name] for name in expected} == expected
    assert not any(name.startswith("readout") for name in found)
    assert roles(build(SPECS["untied"]))["readout.weight"] == Tensor("output", 8, 9)


def test_the_roles_of_the_rest() -> None:
    """Convolutions count their places; norms outside blocks, learned scales and gates have their roles too."""
    conv = roles(build(SPECS["convnet"]))
    assert conv["stem.0.weight"] == Tensor("input", 27, 36)
    assert conv["stem.1.weight"] == Tensor("final_norm", 1, 4)
    assert conv["blocks.1.branch.0.weight"] == Tensor("hidden", 36, 72)
    assert conv["blocks.1.shortcut.0.weight"] == Tensor("hidden", 4, 8)
    assert conv["readout.bias"].role == "output"
    assert roles(build(SPECS["convnet without norm"]))["stem.0.bias"].role == "input"
    assert roles(build(SPECS["mlp layerscale"]))["blocks.0.branch_scale"] == Tensor("norm_gain", 1, 8)
    assert roles(build(SPECS["mlp highway"]))["blocks.0.gate.weight"] == Tensor("hidden", 8, 8)
    assert roles(build(SPECS["mlp none"]))["blocks.0.linear.weight"] == Tensor("input", 64, 8)


def test_scales_are_the_table_of_the_spec() -> None:
    """CompleteP at four times the width and eight times the depth of its base: the factors of its table."""
    table = scales(build(Transformer(**{**SMALL, "depth": 8}, init="completep", base_width=2, base_depth=1), device="meta"))
    hidden, embedding = table["blocks.0.mlp.branch.first.weight"], table["embedding.weight"]

    assert (hidden.learning_rate_multiplier, hidden.weight_decay_multiplier, hidden.epsilon_multiplier) == (1 / 4, 4, 1 / 32)
    assert (embedding.learning_rate_multiplier, embedding.weight_decay_multiplier, embedding.epsilon_multiplier) == (1, 1, 1)


def test_a_module_without_a_spec_is_an_error_with_a_mend() -> None:
    """What was not built from a spec has no roles."""
    with pytest.raises(ModelError, match=r"(?s)Linear was not made from a spec.*fathometer\.build"):
        roles(nn.Linear(2, 3, device=torch.device("cpu")))
