"""A multilayer perceptron as a torch module, with its parts by name."""

from collections.abc import Iterator

from jaxtyping import Shaped
from torch import Tensor, nn

from fathometer.errors import BatchError
from fathometer.networks.layers import make_norm
from fathometer.networks.residual import PlainBlock, ResidualBlock
from fathometer.parametrizations.roles import Role
from fathometer.spec import Mlp


class MlpNetwork(nn.Module):
    """stem → blocks → final norm → readout, for any `spec.Mlp`.

    `stem` is None without a residual stream: there the first block maps `inputs` to `width`. `final_norm` is the
    identity where the residual kind has none. Its numbers are torch's until `initialize` sets them; `build` does both.
    """

    def __init__(self, spec: Mlp) -> None:
        super().__init__()
        self.spec = spec
        has_stream = spec.residual != "none"
        self.stem = nn.Linear(spec.inputs, spec.width) if has_stream else None
        self.blocks = nn.ModuleList(_make_block(spec, index) for index in range(spec.depth))
        ends_in_norm = spec.residual in ("pre-norm", "peri-norm")
        self.final_norm = make_norm(spec.norm_kind if ends_in_norm else None, spec.width)
        self.readout = nn.Linear(spec.width, spec.outputs)

    def forward(self, inputs: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "batch outputs"]:
        """Return the outputs `(batch, outputs)` for inputs `(batch, …)`, which are flattened to `(batch, inputs)`."""
        signal = _flatten(inputs, self.spec.inputs)
        if self.stem is not None:
            signal = self.stem(signal)
        for block in self.blocks:
            signal = block(signal)
        return self.readout(self.final_norm(signal))

    def linears(self) -> Iterator[tuple[Role, nn.Linear]]:
        """Yield every weight matrix that a parametrization scales, with its role, in the order of execution."""
        if self.stem is not None:
            yield "input", self.stem
        for block in self.blocks:
            assert isinstance(block, PlainBlock | ResidualBlock)
            yield from block.linears()
        yield "output", self.readout


def _make_block(spec: Mlp, index: int) -> PlainBlock | ResidualBlock:
    if spec.residual != "none":
        return ResidualBlock(spec)
    return PlainBlock(spec, spec.inputs, "input") if index == 0 else PlainBlock(spec, spec.width, "hidden")


def _flatten(inputs: Tensor, expected: int) -> Tensor:
    flat = inputs.flatten(1) if inputs.ndim > 1 else inputs
    if flat.ndim != 2 or flat.shape[1] != expected:
        raise BatchError(
            f"The inputs have shape {tuple(inputs.shape)}",
            f"This network takes (batch, …) with {expected} numbers for each sample",
            f"Build it with inputs = {flat.shape[-1]}" if flat.ndim == 2 else "Add a batch dimension: inputs[None]",
        )
    return flat
