"""Networks of one shape and of many depths as one, run beside run."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fathometer.networks import MlpNetwork, PlainBlock, build
from fathometer.runs.stacked_layers import set_factors, stack


class StackedNetwork(nn.Module):
    """What each of the networks does, from the deepest to the shallowest; a shallow one leaves after its last block.

    Parameters have the names that they have in one network, and the run as their first axis: block 5 holds the first few
    runs alone, those that are deep enough. The networks differ in depth and in numbers; the rest of their spec is the same.
    """

    def __init__(self, networks: Sequence[MlpNetwork]) -> None:
        super().__init__()
        self.specs = [network.spec for network in networks]
        depths = [spec.depth for spec in self.specs]
        assert depths == sorted(depths, reverse=True), "the deepest come first"
        self.stem = None if networks[0].stem is None else stack([network.stem for network in networks if network.stem])
        self.blocks = nn.ModuleList(
            stack([network.blocks[index] for network in networks if network.spec.depth > index]) for index in range(depths[0])
        )
        self.final_norm = stack([network.final_norm for network in networks])
        self.readout = stack([network.readout for network in networks])
        self.output_multiplier: float | Tensor = 1.0
        set_factors(self, "output_multiplier", [network.output_multiplier for network in networks])

    def forward(self, inputs: Float[Tensor, "run batch inputs"]) -> Float[Tensor, "run batch outputs"]:
        """Return the outputs of each run for its own inputs."""
        signal, left = inputs if self.stem is None else self.stem(inputs), list[Tensor]()
        for index, block in enumerate(self.blocks):
            staying = sum(spec.depth > index for spec in self.specs)
            if staying < len(signal):
                signal, leaving = signal.split([staying, len(signal) - staying])
                left.append(leaving)
            signal = block.activation(block.norm(block.linear(signal))) if isinstance(block, PlainBlock) else block(signal)
        signal = torch.cat([signal, *reversed(left)]) if left else signal
        outputs = self.readout(self.final_norm(signal))
        factor = self.output_multiplier
        return outputs if isinstance(factor, float) and factor == 1.0 else factor * outputs

    @torch.no_grad()
    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the runs in these rows alone, in this order."""
        self.specs = [self.specs[row] for row in rows]
        self.blocks = self.blocks[: self.specs[0].depth]
        for module in self.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                setattr(module, name, nn.Parameter(take(parameter, rows)))
            for name, buffer in list(module.named_buffers(recurse=False)):
                setattr(module, name, take(buffer, rows))

    @torch.no_grad()
    def extract(self, row: int) -> MlpNetwork:
        """Return a copy of one network, in train mode, with the gradients that its rows hold."""
        network = build(self.specs[row])
        assert isinstance(network, MlpNetwork)
        parameters, buffers = dict(self.named_parameters()), dict(self.named_buffers())
        for name, parameter in network.named_parameters():
            parameter.copy_(parameters[name][row].view(parameter.shape))
            gradient = parameters[name].grad
            parameter.grad = None if gradient is None else gradient[row].clone().view(parameter.shape)
        for name, buffer in network.named_buffers():
            if name in buffers:  # but for BatchNorm's count of batches, which nothing reads
                buffer.copy_(buffers[name][row])
        return network


def take(tensor: Tensor, rows: Sequence[int]) -> Tensor:
    """Return a copy of the rows that a tensor has of these: it may belong to the deeper runs alone."""
    return tensor.detach()[[row for row in rows if row < len(tensor)]]
