"""The MLP branch of a transformer: each place for itself."""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn

from fathometer.networks.layers import make_activation
from fathometer.parametrizations.roles import Role
from fathometer.spec import Transformer


class FeedForward(nn.Module):
    """W_last φ(W_first x), or W_last (φ(W_first x) ⊙ W_gated x) with a gate. Shazeer 2020 for the gate (SwiGLU)."""

    def __init__(self, spec: Transformer) -> None:
        super().__init__()
        width, hidden = spec.width, spec.hidden_width
        self.first = nn.Linear(width, hidden, bias=spec.bias)
        self.gated = nn.Linear(width, hidden, bias=spec.bias) if spec.gated else None
        self.activation = make_activation(spec.activation)
        self.last = nn.Linear(hidden, width, bias=spec.bias)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, signal: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        hidden = self.activation(self.first(signal))
        if self.gated is not None:
            hidden = hidden * self.gated(signal)
        return self.dropout(self.last(hidden))

    def matrices(self) -> Iterator[tuple[Role, nn.Linear]]:
        """Yield the two matrices, or three with a gate, with their roles."""
        yield "hidden", self.first
        if self.gated is not None:
            yield "hidden", self.gated
        yield "branch_last", self.last
