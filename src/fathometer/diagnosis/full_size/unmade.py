"""The network of a spec, at full size, without its weights."""

from collections.abc import Sequence

import torch
from torch import nn

from fathometer.implicit import SMALLEST, ImplicitWeight, Session, Start, Unmade, make_implicit
from fathometer.networks import Network, scales
from fathometer.networks.build import network_of
from fathometer.networks.initialize import fill
from fathometer.networks.layers import NORMS
from fathometer.networks.residual import GATE_BIAS, ResidualBlock
from fathometer.networks.roles import fans
from fathometer.parametrizations import Scale
from fathometer.spec import Spec


def unmade_network(spec: Spec, *, seed: int = 0, smallest: int = SMALLEST, device: str = "cpu") -> Network:
    """Return the network of a spec whose large matrices are not made, its start that of `build`.

    Built by the same builder; matrices of `smallest` entries or more become implicit, the rest is made.
    Raises `ModelError` for a convnet too large to be made, and for an orthogonal start.
    """
    with Unmade(smallest):
        model = network_of(spec)
    matrices = [(matrix, spec.scale(role, *fans(matrix))) for role, matrix in model.matrices()]
    make_implicit(model, _starts(model), Session(seed), smallest=smallest, device=device)
    _reset(model, matrices, torch.Generator().manual_seed(seed + 1))
    return model


def _starts(model: Network) -> dict[str, Start | None]:
    """Return how each matrix starts, by name: as its role says, a highway's gate at 0."""
    return {
        name: Start(0.0) if name.endswith("gate.weight") else Start(scale.weight_std, scale.distribution)
        for name, scale in scales(model).items()
    }


@torch.no_grad()
def _reset(
    model: Network, matrices: Sequence[tuple[nn.Linear | nn.Conv2d | nn.Embedding, Scale]], generator: torch.Generator
) -> None:
    """Set what is made to where `initialize` sets it."""
    for matrix, scale in matrices:
        bias = getattr(matrix, "bias", None)
        if not isinstance(matrix.weight, ImplicitWeight):
            fill(matrix.weight, scale.weight_std, scale.distribution, generator)
        if isinstance(bias, nn.Parameter):
            fill(bias, scale.bias_std, scale.distribution, generator)
    for module in model.modules():
        if isinstance(module, NORMS):
            module.reset_parameters()
    for module in model.modules():
        if isinstance(module, ResidualBlock):
            gate, module.gate = module.gate, None  # its weights are 0 already; the bias follows
            module.reset_scales()
            module.gate = gate
            if gate is not None:
                gate.bias.fill_(GATE_BIAS)
