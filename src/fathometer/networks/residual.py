"""One block of depth: plain, or a branch added to a residual stream."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fathometer.networks.layers import make_activation, make_norm
from fathometer.parametrizations.roles import Role
from fathometer.spec import Mlp, Transformer
from fathometer.spec.residual import LEARNED_SCALE, NORM_AFTER, NORM_BEFORE, NORM_INSIDE

GATE_BIAS = -2.0  # a highway starts by carrying: σ(-2) = 0.12 (Srivastava et al. 2015)


class PlainBlock(nn.Module):
    """h ← φ(norm(W h + b)): a block without a residual stream."""

    def __init__(self, spec: Mlp, inputs: int, role: Role) -> None:
        super().__init__()
        self.role: Role = role
        self.linear = nn.Linear(inputs, spec.width)
        self.norm = make_norm(spec.norm_kind, spec.width)
        self.activation = make_activation(spec.activation)

    def forward(self, signal: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch width"]:
        return self.activation(self.norm(self.linear(signal)))


class ResidualBlock(nn.Module):
    """x ← norm_after(s x + α norm_inside(f(γ norm_before(x)))), f = `branch`: every kind of residual block.

    Norms that a kind does not have are the identity. s is `stream_multiplier`, γ `norm_multiplier` and α `branch_scale`: a
    number, or learned for ReZero (one number) and LayerScale (one for each unit). A highway has a `gate` in place of s and α.
    """

    def __init__(
        self, spec: Mlp | Transformer, branch: nn.Module, *, norm_bias: bool = True, norm_multiplier: float = 1.0
    ) -> None:
        super().__init__()
        kind, width, norm = spec.residual, spec.width, spec.norm_kind
        self.norm_before = make_norm(norm if kind in NORM_BEFORE else None, width, bias=norm_bias)
        self.branch = branch
        self.norm_inside = make_norm(norm if kind in NORM_INSIDE else None, width, bias=norm_bias)
        self.norm_after = make_norm(norm if kind in NORM_AFTER else None, width, bias=norm_bias)
        self.gate = nn.Linear(width, width) if kind == "highway" else None
        self.norm_multiplier = norm_multiplier
        self.stream_multiplier = spec.stream_multiplier
        self.branch_scale_start = spec.branch_multiplier
        size = width if kind == "layerscale" else ()
        self.branch_scale = nn.Parameter(torch.empty(size)) if kind in LEARNED_SCALE else spec.branch_multiplier
        self.reset_scales()

    def forward(self, stream: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        branch = self.norm_inside(self.branch(_times(self.norm_multiplier, self.norm_before(stream))))
        if self.gate is not None:
            share = torch.sigmoid(self.gate(stream))
            return (1 - share) * stream + share * branch
        return self.norm_after(_times(self.stream_multiplier, stream) + _times(self.branch_scale, branch))

    @torch.no_grad()
    def reset_scales(self) -> None:
        """Set a learned α, and a gate, to where they start: the gate is the same for every unit and sample."""
        if isinstance(self.branch_scale, nn.Parameter):
            self.branch_scale.fill_(self.branch_scale_start)
        if self.gate is not None:
            self.gate.weight.zero_()
            self.gate.bias.fill_(GATE_BIAS)


def _times(factor: float | Tensor, signal: Tensor) -> Tensor:
    return signal if isinstance(factor, float) and factor == 1.0 else factor * signal
