"""Where the bytes go: states shared out, activations kept or recomputed."""

from dataclasses import dataclass
from math import ceil

from fathometer.scaling.chips import Chip
from fathometer.scaling.memory import memory_bytes
from fathometer.spec import Transformer

STATE_BYTES = 16  # a parameter: weight, gradient and Adam's two means, in float32
ACTIVATION_BYTES = 2  # bfloat16
USABLE = 0.9  # of a chip's memory: the rest is the allocator's and the kernels'
MOST_CHIPS = 2**20


@dataclass(frozen=True)
class Layout:
    """How one step fits: states sharded over all chips (FSDP), so many sequences at a time on each, in so many parts.

    Bytes are those of one chip. `gathered_bytes` are the weights of the block that is computed, and of the next one.
    """

    chips: int
    sequences_at_once: int
    accumulate: int
    recompute: bool
    state_bytes: float
    gathered_bytes: float
    activation_bytes: float
    chip_bytes: float

    @property
    def fits(self) -> bool:
        """Return whether it fits into the part of a chip's memory that can be used."""
        return self.total_bytes <= USABLE * self.chip_bytes

    @property
    def total_bytes(self) -> float:
        """Return the bytes of one chip in all."""
        return self.state_bytes + self.gathered_bytes + self.activation_bytes

    def __str__(self) -> str:
        kept = "each block computed again" if self.recompute else "activations kept"
        chips = f"{self.chips:,} {'chip' if self.chips == 1 else 'chips'}"
        parts = "one part" if self.accumulate == 1 else f"{self.accumulate:,} parts"
        words = f"{chips}, {self.sequences_at_once:,} sequences at once on each, a batch in {parts}, {kept}"
        sizes = f"{self.state_bytes / 1e9:.3g} + {self.gathered_bytes / 1e9:.3g} + {self.activation_bytes / 1e9:.3g}"
        return f"{words}; {sizes} GB of states, gathered weights and activations in {self.chip_bytes / 1e9:.0f} GB"


def layout_for(spec: Transformer, batch_tokens: float, chip: Chip, chips: int | None) -> Layout:
    """Return the layout on so many chips, or on the fewest (a power of two) that it fits.

    As many sequences at once as fit; where not even one does, blocks are computed again. What does not fit all the same is
    returned as it is: `fits` says so.
    """
    if chips is not None:
        return _on(spec, batch_tokens, chip, chips)
    count = 1
    while not _on(spec, batch_tokens, chip, count).fits and count < MOST_CHIPS:
        count *= 2
    return _on(spec, batch_tokens, chip, count)


def _on(spec: Transformer, batch_tokens: float, chip: Chip, chips: int) -> Layout:
    wanted = max(1, ceil(batch_tokens / spec.context / chips))
    one, two = (memory_bytes(spec, batch, number_bytes=ACTIVATION_BYTES).activations for batch in (1, 2))
    parameters = memory_bytes(spec, 1, number_bytes=1).parameters
    state = STATE_BYTES * parameters / chips
    gathered = 2 * ACTIVATION_BYTES * parameters / spec.depth if chips > 1 else 0.0
    room = USABLE * chip.memory_bytes - state - gathered
    kept = int(room // max(1, two - one))
    recompute = kept < 1
    if recompute:
        one = memory_bytes(spec, 1, number_bytes=ACTIVATION_BYTES, recompute=True).activations
        kept = int(room // one)
    at_once = max(1, min(wanted, kept))
    return Layout(chips, at_once, ceil(wanted / at_once), recompute, state, gathered, float(at_once * one), chip.memory_bytes)
