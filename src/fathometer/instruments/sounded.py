"""What one forward and backward pass showed, by depth point."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Columns = dict[str, list[float | None]]


@dataclass
class Sounding:
    """What one forward and backward pass showed, by depth point.

    `columns` holds signal, correlation, spread (1 - correlation, exact when tiny), rank, gradient (second moment, over that
    at the output), gradient_correlation, dead and saturated (the worst activation of a block), shared (correlation of a
    block's output with its input), passes (whether it gets there past all weights), branch_ratio (where the output is
    normalised, of what is added to what is kept of the input), token_spread (of outputs (batch, time, width)),
    attention_entropy (the least over heads) and attention_logits (the largest) of the sharpest attention in a block,
    normalised, and batch_norm (norms over the batch for each layer with weights, at most 1; only where there is one).
    `spread_floor` is the largest of the floors that spread was held to: a spread of no more says that the samples are one as
    far as these numbers can tell, and has no rank beside it. `streams_outside` counts blocks that are branches only, their
    stream added up outside, as in x = x + block(x): there the stream is what was measured. `entering_token_spread` is that of
    what enters the first block. `parameter_gradients` are for the loss times `scale`, a power of two, and None for parameters
    that the loss does not depend on; `heard` counts activations.
    """

    num_points: int
    columns: Columns = field(default_factory=dict)
    output: Any = None
    loss: Tensor | None = None
    scale: float = 1.0
    spread_floor: float = 0.0
    streams_outside: int = 0
    entering_token_spread: float | None = None
    parameter_gradients: dict[str, Tensor | None] = field(default_factory=dict)
    heard: Counter[str] = field(default_factory=Counter)

    def put(self, column: str, index: int, value: float | None) -> None:
        """Write one number."""
        if column not in self.columns:
            self.columns[column] = [None] * self.num_points
        self.columns[column][index] = value

    def put_worst(self, column: str, index: int, value: float | None, worse: Callable[[float, float], float] = max) -> None:
        """Write one number unless a worse one is there (a larger one, by default), or it is None."""
        known = self.columns.get(column, [None] * self.num_points)[index]
        if value is not None:
            self.put(column, index, value if known is None else worse(known, value))
