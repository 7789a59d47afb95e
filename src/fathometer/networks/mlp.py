"""A multilayer perceptron as a torch module, with its parts by name."""

from collections.abc import Iterator

from jaxtyping import Shaped
from torch import Tensor, nn

from fathometer.errors import BatchError
from fathometer.networks.layers import make_activation, make_norm
from fathometer.networks.residual import PlainBlock, ResidualBlock
from fathometer.parametrizations.roles import Role
from fathometer.spec import Mlp
from fathometer.spec.residual import NORM_BEFORE


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
        self.final_norm = make_norm(spec.norm_kind if spec.residual in NORM_BEFORE else None, spec.width)
        self.readout = nn.Linear(spec.width, spec.outputs)
        self.output_multiplier = spec.output_multiplier

    def forward(self, inputs: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "batch outputs"]:
        """Return the outputs `(batch, outputs)` for inputs `(batch, …)`, which are flattened to `(batch, inputs)`."""
        signal = _flatten(inputs, self.spec.inputs)
        if self.stem is not None:
            signal = self.stem(signal)
        for block in self.blocks:
            signal = block(signal)
        outputs = self.readout(self.final_norm(signal))
        return outputs if self.output_multiplier == 1 else self.output_multiplier * outputs

    def matrices(self) -> Iterator[tuple[Role, nn.Linear]]:
        """Yield every weight matrix that a parametrization scales, with its role, in the order of execution."""
        if self.stem is not None:
            yield "input", self.stem
        for block in self.blocks:
            yield from _matrices(block)
        yield "output", self.readout


def _make_block(spec: Mlp, index: int) -> PlainBlock | ResidualBlock:
    if spec.residual == "none":
        return PlainBlock(spec, spec.inputs, "input") if index == 0 else PlainBlock(spec, spec.width, "hidden")
    branch = nn.Sequential()
    for _ in range(spec.branch_layers):
        branch.extend([make_activation(spec.activation), nn.Linear(spec.width, spec.width)])
    return ResidualBlock(spec, branch)


def _matrices(block: nn.Module) -> Iterator[tuple[Role, nn.Linear]]:
    """Yield the matrices of a block; a highway's gate is not among them, it has its own start."""
    if isinstance(block, PlainBlock):
        yield block.role, block.linear
        return
    assert isinstance(block, ResidualBlock)
    *inner, last = [module for module in block.branch.modules() if isinstance(module, nn.Linear)]
    for matrix in inner:
        yield "hidden", matrix
    yield "branch_last", last


def _flatten(inputs: Tensor, expected: int) -> Tensor:
    flat = inputs.flatten(1) if inputs.ndim > 1 else inputs
    if flat.ndim != 2 or flat.shape[1] != expected:
        raise BatchError(
            f"The inputs have shape {tuple(inputs.shape)}",
            f"This network takes (batch, …) with {expected} numbers for each sample",
            f"Build it with inputs = {flat.shape[-1]}" if flat.ndim == 2 else "Add a batch dimension: inputs[None]",
        )
    return flat
