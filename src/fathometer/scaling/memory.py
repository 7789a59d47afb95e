"""Bytes for training a spec: parameters, gradients, Adam, activations."""

from collections import Counter
from dataclasses import dataclass

from fathometer.scaling.costs import num_parameters, parts_of
from fathometer.scaling.parts import Part
from fathometer.spec import Spec

ADAM_STATES = 2  # two running means for each parameter; SGD with momentum has one


@dataclass(frozen=True)
class Memory:
    """Bytes that one training step needs, without what the allocator and the kernels take for themselves."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Return the sum in bytes."""
        return self.parameters + self.gradients + self.optimizer + self.activations


def memory_bytes(
    spec: Spec,
    batch: int = 1,
    *,
    tokens: int | None = None,
    number_bytes: int = 4,
    optimizer_states: int = ADAM_STATES,
    recompute: bool = False,
    fused: bool = True,
) -> Memory:
    """Return the bytes for training on `batch` samples, every number taking `number_bytes`.

    Activations are what autograd keeps, each tensor once: the inputs of matrices, norms and products, the results of
    ReLU, tanh and sigmoid, the inputs of other activations, and one log-sum of each token and head in `fused` attention
    (without it, all attention weights). Left out: dropout, the norms' own statistics, max-pool's places, token numbers and
    the loss. With `recompute`, blocks keep their inputs only, and the largest block is there in full while it runs again, its
    own input once.
    """
    parts, size = parts_of(spec, tokens, fused=fused), num_parameters(spec) * number_bytes
    kept = _recomputed(parts) if recompute else sum(part.saved * part.times for part in parts)
    return Memory(size, size, size * optimizer_states, kept * batch * number_bytes)


def _recomputed(parts: list[Part]) -> int:
    outside = sum(part.saved * part.times for part in parts if part.block is None)
    streams = sum(part.stream * part.times for part in parts)
    return outside + streams + max(_made_again(parts).values(), default=0)


def _made_again(parts: list[Part]) -> Counter[str]:
    """Return how many numbers one block of each kind keeps while it runs again, without what enters it."""
    total: Counter[str] = Counter()
    runs: dict[str, int] = {part.block: part.times for part in parts if part.block and part.stream}
    for part in parts:
        if part.block:
            total[part.block] += part.saved * part.times // max(1, runs.get(part.block, 1)) + part.rerun
    return total
