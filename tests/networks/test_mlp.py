"""The whole network: its parts, their roles, and what goes in."""

import pytest
import torch
from torch import nn

from fathometer.errors import BatchError
from fathometer.networks import MlpNetwork, build
from fathometer.spec import RESIDUAL_KINDS, Mlp


@pytest.mark.parametrize("kind", RESIDUAL_KINDS)
def test_every_kind_maps_a_batch_to_outputs(kind: str) -> None:
    """Any residual kind takes (batch, inputs) to finite (batch, outputs), and every parameter gets a gradient."""
    model = build(Mlp(depth=3, width=16, inputs=9, outputs=4, residual=kind))
    outputs = model(torch.randn(5, 9, generator=torch.Generator().manual_seed(0)))
    outputs.sum().backward()

    assert outputs.shape == (5, 4)
    assert outputs.isfinite().all()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_the_parts_of_a_plain_network_have_their_roles() -> None:
    """Without a stream there is no stem: the first block maps the inputs to the width."""
    model = build(Mlp(depth=3, width=16, inputs=9, outputs=4))

    assert model.stem is None
    assert isinstance(model.final_norm, nn.Identity)
    assert [(role, tuple(matrix.weight.shape)) for role, matrix in model.matrices()] == [
        ("input", (16, 9)),
        ("hidden", (16, 16)),
        ("hidden", (16, 16)),
        ("output", (4, 16)),
    ]


def test_the_parts_of_a_residual_network_have_their_roles() -> None:
    """With a stream the stem has the role "input", and the last matrix of each branch one of its own."""
    model = build(Mlp(depth=2, width=16, residual="plain", branch_layers=2))

    roles = [role for role, _ in model.matrices()]
    assert roles == ["input", "hidden", "branch_last", "hidden", "branch_last", "output"]


@pytest.mark.parametrize("kind", RESIDUAL_KINDS)
def test_a_norm_before_the_readout_where_the_stream_is_not_normed(kind: str) -> None:
    """Pre-norm and peri-norm networks, and no others, end in a norm."""
    ends_in_norm = isinstance(build(Mlp(depth=2, residual=kind)).final_norm, nn.LayerNorm)

    assert ends_in_norm == (kind in ("pre-norm", "peri-norm"))


def test_the_network_is_its_parts_in_order(seed: int) -> None:
    """The forward pass equals stem, blocks, final norm and readout, called one by one."""
    model = build(Mlp(depth=4, width=16, inputs=9, residual="pre-norm"), seed=seed)
    inputs = torch.randn(5, 9, generator=torch.Generator().manual_seed(seed))
    assert model.stem is not None
    signal = model.stem(inputs)
    for block in model.blocks:
        signal = block(signal)

    assert torch.equal(model(inputs), model.readout(model.final_norm(signal)))


def test_images_are_flattened() -> None:
    """Inputs (batch, 8, 8) are the inputs (batch, 64)."""
    model, images = build("mlp-5"), torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))

    assert torch.equal(model(images), model(images.flatten(1)))


@pytest.mark.parametrize(
    ("shape", "mend"), [((3, 8, 9), "inputs = 72"), ((64,), r"inputs\[None\]")], ids=["another size", "no batch"]
)
def test_inputs_that_do_not_fit_are_an_error_with_a_mend(shape: tuple[int, ...], mend: str) -> None:
    """The error says which shape was given, how many numbers were expected, and what to change."""
    with pytest.raises(BatchError, match=rf"(?s)with 64 numbers.*{mend}"):
        build("mlp-5")(torch.zeros(shape))


def test_a_network_made_without_build_works_too(seed: int) -> None:
    """The module alone starts with torch's own numbers and with its learned scales in place."""
    torch.manual_seed(seed)
    model = MlpNetwork(Mlp(depth=2, residual="rezero"))

    assert model(torch.ones(1, 64)).isfinite().all()
    assert [block.branch_scale.item() for block in model.blocks] == [0.0, 0.0]
