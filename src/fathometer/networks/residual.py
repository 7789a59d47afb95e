"""One block of depth: plain, or a branch added to a residual stream."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fathometer.networks.layers import make_activation, make_norm
from fathometer.parametrizations.roles import Role
from fathometer.spec import Mlp

GATE_BIAS = -2.0  # a highway starts by carrying: σ(-2) = 0.12 (Srivastava et al. 2015)
_NORM_BEFORE = ("pre-norm", "peri-norm")
_NORM_AFTER = ("post-norm", "deepnorm")
_LEARNED_SCALE = ("rezero", "layerscale")


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

    def linears(self) -> Iterator[tuple[Role, nn.Linear]]:
        yield self.role, self.linear


class ResidualBlock(nn.Module):
    """x ← norm_after(s x + α norm_inside(f(norm_before(x)))), f(x) = W_m φ(… W_1 φ(x)): every kind of residual block.

    Norms that a kind does not have are the identity. s is `stream_multiplier` and α `branch_scale`: a number,
    or learned for ReZero (one number) and LayerScale (one for each unit). A highway has a `gate` in place of s and α.
    """

    def __init__(self, spec: Mlp) -> None:
        super().__init__()
        kind, width, norm = spec.residual, spec.width, spec.norm_kind
        self.norm_before = make_norm(norm if kind in _NORM_BEFORE else None, width)
        self.branch = nn.Sequential()
        for _ in range(spec.branch_layers):
            self.branch.extend([make_activation(spec.activation), nn.Linear(width, width)])
        self.norm_inside = make_norm(norm if kind == "peri-norm" else None, width)
        self.norm_after = make_norm(norm if kind in _NORM_AFTER else None, width)
        self.gate = nn.Linear(width, width) if kind == "highway" else None
        self.stream_multiplier = spec.stream_multiplier
        self.branch_scale_start = spec.branch_multiplier
        size = width if kind == "layerscale" else ()
        self.branch_scale = nn.Parameter(torch.empty(size)) if kind in _LEARNED_SCALE else spec.branch_multiplier
        self.reset_scales()

    def forward(self, stream: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        branch = self.norm_inside(self.branch(self.norm_before(stream)))
        if self.gate is not None:
            share = torch.sigmoid(self.gate(stream))
            return (1 - share) * stream + share * branch
        return self.norm_after(self.stream_multiplier * stream + self.branch_scale * branch)

    def linears(self) -> Iterator[tuple[Role, nn.Linear]]:
        """Yield the matrices of the branch with their roles; the gate has its own start."""
        matrices = [module for module in self.branch if isinstance(module, nn.Linear)]
        for matrix in matrices[:-1]:
            yield "hidden", matrix
        yield "branch_last", matrices[-1]

    @torch.no_grad()
    def reset_scales(self) -> None:
        """Set a learned α, and a gate, to where they start: the gate is the same for every unit and sample."""
        if isinstance(self.branch_scale, nn.Parameter):
            self.branch_scale.fill_(self.branch_scale_start)
        if self.gate is not None:
            self.gate.weight.zero_()
            self.gate.bias.fill_(GATE_BIAS)
