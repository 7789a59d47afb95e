"""One step of each recurrent layer, and a chain of steps through time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Masks = Sequence[tuple[Tensor, ...] | None]


class Weights(NamedTuple):
    """The weights of one layer in one direction, as torch stores them: the gates on top of each other."""

    from_input: Tensor
    from_hidden: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None
    projection: Tensor | None = None

    def products(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the input and what the hidden state give to all gates."""
        return F.linear(x, self.from_input, self.input_bias), F.linear(hidden, self.from_hidden, self.hidden_bias)


@dataclass(frozen=True)
class State:
    """What one step hands to the next: the hidden state of each layer or direction and, in an LSTM, its cell state.

    Each is `(batch, width)`. `heard` holds what went into the activations of a plain RNN on the way there; `whole` is the
    one tensor that all states are parts of, if there is one.
    """

    hidden: tuple[Tensor, ...]
    cell: tuple[Tensor, ...] = ()
    heard: tuple[Tensor, ...] = ()
    whole: Tensor | None = None

    def joined(self) -> "State":
        """Return the same state, made of parts of one tensor `(batch, all widths)`."""
        if self.whole is not None:
            return self
        parts = (*self.hidden, *self.cell)
        whole = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        split = whole.split([part.shape[-1] for part in parts], dim=-1)
        return State(split[: len(self.hidden)], split[len(self.hidden) :], self.heard, whole)

    def part(self, own: slice) -> "State":
        """Return the state of some layers or directions."""
        return State(self.hidden[own], self.cell[own])


# Hears of one step: its number from 1, the state before, what goes in, the state after; returns the state to go on with.
OnStep = Callable[[int, State, Tensor, State], State]


def advance(
    mode: str, weights: Sequence[Weights], times: Sequence[Tensor], state: State, on_step: OnStep, *, masks: Masks = ()
) -> tuple[list[Tensor], State]:
    """Run layers that lie on each other through time, all of them at each step; return the top outputs and the last state.

    `times` holds the inputs `(batch, width)` at each time, fewer rows where sequences have ended. `masks` multiply what one
    layer gives to the next.
    """
    outputs = []
    for step, entering in enumerate(times):
        x, after = entering, State(())
        for layer, own in enumerate(weights):
            after, x = _one_step(mode, own, x, state, after)
            mask = masks[layer] if layer < len(masks) else None
            x = x if mask is None else x * mask[step]
        state = on_step(step + 1, state, entering, after)
        outputs.append(_first(state.hidden[-1], len(entering)))  # of the state that was told: its gradient is then the whole one
    return outputs, state


def advance_both_ways(
    mode: str, weights: Sequence[Weights], times: Sequence[Tensor], state: State, on_step: OnStep
) -> tuple[list[Tensor], State]:
    """Run one layer from both ends of time at once; return its outputs, both directions side by side, and the last state."""
    given: list[list[Tensor]] = [[], []]
    for step, entering in enumerate(times):
        after, both = State(()), (entering, times[-1 - step])
        for direction, x in enumerate(both):
            after, _ = _one_step(mode, weights[direction], x, state, after)
        state = on_step(step + 1, state, entering, after)
        for direction, x in enumerate(both):
            given[direction].append(_first(state.hidden[direction], len(x)))
    return [torch.cat(pair, dim=-1) for pair in zip(given[0], reversed(given[1]), strict=True)], state


def _one_step(mode: str, weights: Weights, x: Tensor, before: State, after: State) -> tuple[State, Tensor]:
    """Return the state after one step with the next layer or direction in it, and what that gives to the outside.

    Sequences that have ended keep their states: `x` has rows for the others only.
    """
    index, rows = len(after.hidden), len(x)
    hidden, cell, heard = before.hidden[index], (), after.heard
    going_on = _first(hidden, rows)
    if mode == "lstm":
        new, new_cell = _lstm(weights, x, going_on, _first(before.cell[index], rows))
        cell = (_with_ended(new_cell, before.cell[index]),)
    elif mode == "gru":
        new = _gru(weights, x, going_on)
    else:
        sums = torch.add(*weights.products(x, going_on))
        new, heard = sums.tanh() if mode == "tanh" else sums.relu(), (*heard, sums)
    return State((*after.hidden, _with_ended(new, hidden)), (*after.cell, *cell), heard), new


def _first(state: Tensor, rows: int) -> Tensor:
    """Return the rows of the sequences that go on, always as a node of its own, so that gradients add up in one order."""
    return state.view_as(state) if rows == len(state) else state[:rows]


def _with_ended(new: Tensor, before: Tensor) -> Tensor:
    """Return the new rows, and those of sequences that have ended as they were."""
    return new if len(new) == len(before) else torch.cat([new, before[len(new) :]])


def _lstm(weights: Weights, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    given, kept = weights.products(x, hidden)
    into, keep, new, out = (given + kept).chunk(4, dim=-1)
    cell = keep.sigmoid() * cell + into.sigmoid() * new.tanh()
    hidden = out.sigmoid() * cell.tanh()
    return (hidden if weights.projection is None else F.linear(hidden, weights.projection)), cell


def _gru(weights: Weights, x: Tensor, hidden: Tensor) -> Tensor:
    given, kept = weights.products(x, hidden)
    (reset, keep, new), (reset_kept, keep_kept, new_kept) = given.chunk(3, dim=-1), kept.chunk(3, dim=-1)
    new = (new + (reset + reset_kept).sigmoid() * new_kept).tanh()
    return new + (keep + keep_kept).sigmoid() * (hidden - new)
