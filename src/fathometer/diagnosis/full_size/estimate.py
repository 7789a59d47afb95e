"""What will a look at full size cost? Said before it begins."""

from dataclasses import dataclass
from time import process_time

import torch
from torch import nn

from fathometer.errors import ModelError
from fathometer.implicit import Matrix, Session, implicit_weights
from fathometer.memory import free_bytes, held_bytes, machine_bytes

# Over what the products alone take, measured on GPT-3 and Llama 3 shapes of 1 to 1,000 billion parameters: JOURNAL.md.
OVERHEAD, START_SECONDS, NUMBER_BYTES = 1.5, 0.5, 4
BLOCK_COPIES, READOUT_COPIES = 3, 8  # how often what a block, and the readout, makes is there at once
PROBE_WIDTH = 2048


@dataclass(frozen=True)
class Estimate:
    """Seconds of one core and bytes of the whole process, and how many parameters there would be."""

    seconds: float
    memory_bytes: int
    parameters: int

    def __str__(self) -> str:
        """Return all three in words."""
        return f"{self.parameters / 1e9:,.1f} billion parameters, about {self.seconds:.0f} s, {self.memory_bytes / 1e9:.1f} GB"


def estimate(model: nn.Module, vectors: int) -> Estimate:
    """Return what one forward and backward pass over this many tokens costs, where no weight is made.

    One small matrix is timed now; the rest is proportional to the sum of all rows and columns, and the memory is that of the
    inputs of all blocks and of the inside of one.
    """
    weights = implicit_weights(model)
    widths = sum(sum(weight.shape[-2:]) for weight in weights.values())
    made = sum(parameter.numel() for name, parameter in model.named_parameters() if name not in weights)
    blocks = _largest_stack(model)
    inside = [sum(sum(weight.shape[-2:]) for weight in implicit_weights(block).values()) for block in blocks]
    stream = min((min(weight.shape[-2:]) for weight in weights.values()), default=0)
    numbers = made + vectors * (len(blocks) * stream + BLOCK_COPIES * max(inside, default=widths))
    numbers += READOUT_COPIES * vectors * max((max(weight.shape[-2:]) for weight in weights.values()), default=0)
    seconds = START_SECONDS + OVERHEAD * widths * _seconds_per_width(vectors)
    total = sum(parameter.numel() for parameter in model.parameters())
    return Estimate(seconds, held_bytes() + NUMBER_BYTES * numbers, total)


def check_room(cost: Estimate) -> None:
    """Raise `ModelError`, with the numbers, where the machine has not the memory."""
    room = _available_bytes()
    if room is not None and cost.memory_bytes > room:
        raise ModelError(
            f"{cost.parameters / 1e9:,.0f} billion parameters need about {cost.memory_bytes / 1e9:.1f} GB even without weights",
            f"This machine has {room / 1e9:.1f} GB free: what enters each block must be kept",
            "Ask for fewer tokens (--tokens 4), or for a network less deep",
        )


def _largest_stack(model: nn.Module) -> list[nn.Module]:
    stacks = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max(stacks, key=lambda stack: sum(len(implicit_weights(block)) for block in stack), default=[])


def _seconds_per_width(vectors: int) -> float:
    """Return what one row or column costs: a product forward, once more, and backward, timed on a small matrix."""
    times = []
    for number in range(3):
        matrix = Matrix("probe", PROBE_WIDTH, PROBE_WIDTH, 0.02, Session(), number)
        x = torch.randn(vectors, PROBE_WIDTH, generator=torch.Generator().manual_seed(number), device="cpu")
        start = process_time()
        y = matrix.forward(x, 0, 1)
        matrix.backward(matrix.forward(x, 0, 1), x, y, 0, 1)
        times.append(process_time() - start)
    return min(times) / (2 * PROBE_WIDTH)


def _available_bytes() -> int | None:
    free = free_bytes()
    return machine_bytes() if free is None else free + held_bytes()
