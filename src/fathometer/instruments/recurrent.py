"""Depth through time: fused recurrent layers, run step by step in sight."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from fathometer.instruments.recurrent_cells import OnStep, State, Weights, advance, advance_both_ways
from fathometer.instruments.taps import Call, OnCall, OnEnter, OnGradient, listen

OnActivation = Callable[[str, Tensor], None]
MOST_STEPS = 64  # of a longer sequence this many steps are told, evenly spread, the first and the last among them
_KERNELS = {torch.lstm: "lstm", torch.gru: "gru", torch.rnn_tanh: "tanh", torch.rnn_relu: "relu"}


@contextmanager
def step_by_step(
    model: nn.Module,
    *,
    on_enter: OnEnter | None = None,
    on_call: OnCall | None = None,
    on_gradient: OnGradient | None = None,
    on_activation: OnActivation | None = None,
    most_steps: int = MOST_STEPS,
) -> Iterator[None]:
    """Run every `nn.RNN`, `nn.LSTM` and `nn.GRU` of a model step by step inside a `with` block, with the same numbers.

    Each step is told like the call of a module named "rnn@1", "rnn@2", …, all of them before "rnn" itself ends: `on_enter`
    gets the state that enters, `on_call` a `Call` whose output is the state that leaves, and `on_gradient` the gradient
    there. The state `(batch, width)` is all that one step hands to the next: the hidden and, in an LSTM, the cell states of
    all layers. Layers that run in both directions step from both ends at once and wait for each other: two of them over ten
    times are twenty steps. Of more than `most_steps` steps some are told, the ends always. A single step is left alone.
    `on_activation` gets, between the two, the name and the input of each activation of a plain RNN; the gates of the others
    are none.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, nn.RNNBase)]
    if not names:
        yield
        return
    at_work: list[str] = []
    teller = _Teller(dict(model.named_modules()), on_enter, on_call, on_gradient, on_activation)

    def start(name: str, inputs: Any) -> None:
        at_work[:] = [name]  # no recurrent layer runs inside another; one that failed never ends

    try:
        with listen(model, names, on_enter=start, on_call=lambda call: at_work.clear()), _InSight(at_work, teller, most_steps):
            yield
    finally:
        teller.let_go()


def told_steps(num_steps: int, most_steps: int = MOST_STEPS) -> frozenset[int]:
    """Return the numbers of the steps to tell: all of them, or `most_steps` evenly spread from 1 to the last.

    >>> sorted(told_steps(10, 4))
    [1, 4, 7, 10]
    """
    count = min(num_steps, most_steps)
    return frozenset(1 + round(index * (num_steps - 1) / max(count - 1, 1)) for index in range(count))


class _InSight(TorchFunctionMode):
    """Puts steps in the place of the fused kernels while a recurrent module is at work."""

    def __init__(self, at_work: Sequence[str], teller: "_Teller", most_steps: int) -> None:
        super().__init__()
        self.at_work, self.teller, self.most_steps = at_work, teller, most_steps

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the kernel in steps, if it is one."""
        mode = _KERNELS.get(func)
        kernel = _read(mode, args) if mode is not None and self.at_work else None
        if kernel is None or kernel.num_steps < 2:
            return func(*args, **(kwargs or {}))
        told = told_steps(kernel.num_steps, self.most_steps)
        with torch._C.DisableTorchFunction():  # what is to be heard of the steps is told
            return _run(kernel, self.teller.for_module(self.at_work[-1], told, kernel.mode))


@dataclass(frozen=True)
class _Kernel:
    """What one fused kernel was asked for; `times` holds its inputs `(batch, width)` at each time."""

    mode: str
    times: tuple[Tensor, ...]
    is_packed: bool
    state: State
    weights: tuple[Weights, ...]  # of each layer and direction
    both_ways: bool
    dropout: float
    batch_first: bool

    @property
    def num_layers(self) -> int:
        return len(self.weights) // (2 if self.both_ways else 1)

    @property
    def num_steps(self) -> int:
        return len(self.times) * (self.num_layers if self.both_ways else 1)


def _read(mode: str, args: Sequence[Any]) -> _Kernel:
    """Return what the arguments of torch's kernel mean; packed sequences bring the number of rows at each time."""
    inputs, *rest = args
    is_packed = isinstance(rest[0], Tensor) and not rest[0].is_floating_point()
    sizes = rest.pop(0) if is_packed else None
    hidden, flat, bias, num_layers, dropout, training, both_ways, *last = rest
    batch_first = bool(last and last[0])
    times = inputs.unbind(1 if batch_first else 0) if sizes is None else inputs.split(sizes.tolist())
    hidden, cell = hidden if mode == "lstm" else (hidden, None)
    state = State(hidden.unbind(0), () if cell is None else cell.unbind(0))
    weights = _weights(flat, num_layers * (2 if both_ways else 1), bias)
    return _Kernel(mode, tuple(times), is_packed, state, weights, both_ways, dropout if training else 0.0, batch_first)


def _weights(flat: Sequence[Tensor], count: int, bias: bool) -> tuple[Weights, ...]:
    """Return the weights of each layer and direction, of which torch makes one flat list."""
    size, own = len(flat) // count, []
    for first in range(0, len(flat), size):
        from_input, from_hidden, *rest = flat[first : first + size]
        biases, projection = (rest[:2], rest[2:]) if bias else ([None, None], rest)
        own.append(Weights(from_input, from_hidden, biases[0], biases[1], projection[0] if projection else None))
    return tuple(own)


def _run(kernel: _Kernel, on_step: OnStep) -> tuple[Tensor, ...]:
    """Return what torch's kernel would: the outputs, and the last states of all layers and directions."""
    if not kernel.both_ways:
        masks = [_mask(kernel) for _ in range(kernel.num_layers - 1)]
        outputs, state = advance(kernel.mode, kernel.weights, kernel.times, kernel.state, on_step, masks=masks)
        return _packed_up(kernel, outputs, [state])
    outputs, states = list(kernel.times), []
    for layer in range(kernel.num_layers):
        own, first = slice(2 * layer, 2 * layer + 2), layer * len(outputs)
        mask = _mask(kernel) if layer else None
        entering = outputs if mask is None else [time * part for time, part in zip(outputs, mask, strict=True)]
        numbered = _numbered_from(first, on_step)
        outputs, state = advance_both_ways(kernel.mode, kernel.weights[own], entering, kernel.state.part(own), numbered)
        states.append(state)
    return _packed_up(kernel, outputs, states)


def _numbered_from(first: int, on_step: OnStep) -> OnStep:
    return lambda number, before, entering, after: on_step(first + number, before, entering, after)


def _mask(kernel: _Kernel) -> tuple[Tensor, ...] | None:
    """Return the dropout between two layers, time by time, drawn as torch's kernel for the CPU draws it."""
    if not kernel.dropout:
        return None
    rows, width = [len(time) for time in kernel.times], sum(hidden.shape[-1] for hidden in kernel.state.hidden)
    ones = kernel.state.hidden[0].new_ones((sum(rows), width // kernel.num_layers))
    return nn.functional.dropout(ones, kernel.dropout).split(rows)


def _packed_up(kernel: _Kernel, outputs: list[Tensor], states: list[State]) -> tuple[Tensor, ...]:
    """Return outputs and last states in the shapes that torch's kernel gives."""
    together = torch.cat(outputs) if kernel.is_packed else torch.stack(outputs, dim=1 if kernel.batch_first else 0)
    hidden, cell = [h for state in states for h in state.hidden], [c for state in states for c in state.cell]
    return (together, torch.stack(hidden), torch.stack(cell)) if cell else (together, torch.stack(hidden))


class _Teller:
    """Tells steps as calls of modules, and lets go of the hooks that bring their gradients."""

    def __init__(
        self,
        modules: dict[str, nn.Module],
        on_enter: OnEnter | None,
        on_call: OnCall | None,
        on_gradient: OnGradient | None,
        on_activation: OnActivation | None,
    ) -> None:
        self.modules = modules
        self.on_enter, self.on_call, self.on_gradient, self.on_activation = on_enter, on_call, on_gradient, on_activation
        self.counts: dict[str, int] = {}
        self.handles: list[RemovableHandle] = []

    def for_module(self, home: str, told: frozenset[int], mode: str) -> OnStep:
        """Return what hears the steps of one call of a module and tells some of them."""
        return lambda number, before, entering, after: (
            self._tell(home, number, before.joined(), entering, after.joined(), mode) if number in told else after
        )

    def _tell(self, home: str, number: int, before: State, entering: Tensor, after: State, mode: str) -> State:
        assert before.whole is not None
        assert after.whole is not None
        name = f"{home}@{number}"
        call = Call(name, self.modules[home], self.counts.get(name, 0), (before.whole, entering), after.whole)
        self.counts[name] = call.index + 1
        if self.on_enter is not None:
            self.on_enter(name, call.inputs)
        if self.on_activation is not None:
            for sums in after.heard:
                self.on_activation(mode, sums.detach())
        if self.on_call is not None:
            self.on_call(call)
        if self.on_gradient is not None and after.whole.requires_grad:
            on_gradient = self.on_gradient
            self.handles.append(after.whole.register_hook(lambda gradient: on_gradient(call, gradient)))
        return after

    def let_go(self) -> None:
        """Remove all hooks."""
        for handle in self.handles:
            handle.remove()
