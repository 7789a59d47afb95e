"""Statistics during training: nothing between measured steps."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from fathometer.contract import unwrapped
from fathometer.instruments.depth_points import DepthPoints, Layers, find_depth_points
from fathometer.instruments.recorder_counting import columns_of, count
from fathometer.instruments.recorder_listener import RecorderListener
from fathometer.instruments.recorder_parameters import ParameterSamples
from fathometer.instruments.recorder_price import Price
from fathometer.instruments.recorder_ranks import Ranks
from fathometer.instruments.recorder_reading import (
    Homes,
    Later,
    Reading,
    gradient_norm,
    homes_of,
    parameter_columns,
    parameter_errors,
)
from fathometer.instruments.taps import Call, Ear, around_call, around_modules, around_step, listen
from fathometer.instruments.trace import Recorder


class StepRecorder:
    """Measures single steps of a training loop: `arm` before the step, `finish` after it.

    Between `finish` and the next `arm` no hook is there and nothing is held. In the first measured step all modules are
    listened to, which tells where depth is. A step whose optimizer did not move, as a scaler passes over one, has no
    gradients and updates of weights. What is compiled runs uncompiled in a measured step, so that nothing is compiled anew.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        price: Price,
        layers: Layers = None,
    ) -> None:
        self.inner, self.optimizers, self.price, self.layers = unwrapped(model), optimizers, price, layers
        self.ranks = Ranks(model)
        self.parameters = ParameterSamples(self.inner, price.numbers, self.ranks)
        self.points: DepthPoints | None = None
        self.listener = RecorderListener(price, None)
        self.has_moved = self._has_begun = False
        self._depth = 0
        self._homes: Homes | None = None
        self._trace: Recorder | None = None
        self.is_armed, self._stays = False, False
        self.when_moved: Callable[[], None] | None = None  # what is done when the optimizer has moved, or a new pass begins
        self._hooks, self._ear = ExitStack(), ExitStack()

    def arm(self) -> None:
        """Listen to the step that comes."""
        self.has_moved = self._has_begun = False
        if self.is_armed:
            return
        self.let_go()
        self.is_armed, self._stays = True, self.points is not None
        self._hooks.enter_context(around_call(self.inner, self.begin, self.end))
        for optimizer in self.optimizers:
            self._hooks.enter_context(around_step(optimizer, self.before_move, self._after))
        if self.points is None:
            self._trace = Recorder()
            self._hooks.enter_context(listen(self.inner, on_enter=self._first_enter, on_call=self._first_leave))
        else:
            is_told = self.price.hears and not self.listener.is_row
            enters = dict.fromkeys(one.enter for one in self.points.points) if is_told else {}
            leaves = dict.fromkeys(one.leave for one in self.points.points)
            on_enter = {name: partial(self.listener.enter, name) for name in enters}
            on_leave = {name: partial(self.listener.leave, name) for name in leaves}
            self._hooks.enter_context(around_modules(self.inner, on_enter, on_leave))
        if "torch._dynamo" in sys.modules:  # something may be compiled: the model, its blocks, or the user's own step
            self._hooks.enter_context(torch.compiler.set_stance("force_eager"))

    def let_go(self) -> None:
        """Remove every hook; nothing of the step is kept."""
        self._ear.close()
        self._hooks.close()
        self.listener.clear()
        self.parameters.clear()
        self._trace, self.is_armed, self._depth = None, False, 0

    @torch.no_grad()
    def finish(self, step: int, stay: bool = False) -> Reading:
        """Return what the step showed, and let go unless the next one is measured as well (`stay`)."""
        self._ear.close()
        self.listener.collect()
        points = self.points or DepthPoints((), "layers")
        tray = count(self.listener, [(one.leave, one.stop) for one in points.points], self.price, self.ranks)
        for kind, vector in self.parameters.vectors().items():
            tray.put(("tensors", (), kind), vector)
        reading = self._reading(step, points, tray.sorted_out())
        if stay and self._stays:
            self.listener.clear()
            self.parameters.clear()
        else:
            self.let_go()
        return reading

    def begin(self, inputs: Any) -> None:
        """Open a pass: told by a hook where the model itself is called, by hand where only its parts are."""
        if self.when_moved is not None:
            self.when_moved()
        self._depth += self.is_armed
        if not self.is_armed or self._depth > 1:
            return
        self.listener.begin(self.inner.training, inputs)
        self._has_begun = self._has_begun or self.listener.is_open
        if self.listener.is_open and self.price.hears and self.points is not None:
            self._ear.enter_context(Ear(self.listener.hearers()))

    def end(self) -> None:
        """Close a pass."""
        self._depth -= self._depth > 0
        if self._depth:
            return
        self._ear.close()
        trace, self._trace = (self._trace, None) if self.listener.is_open else (None, self._trace)
        self.listener.end()
        if trace is not None:
            self.points = find_depth_points(self.inner, trace.trace, self.layers)
            self.listener.use(self.points)

    def before_move(self, optimizer: torch.optim.Optimizer) -> None:
        """Take weights and gradients: told by a hook, and by hand where the backward pass runs inside the optimizer's step."""
        if not self._has_begun:
            return  # the step before is not over yet
        scaler = getattr(optimizer, "grad_scale", None)  # a fused optimizer divides by it itself
        scale = scaler._get_scale_async() if hasattr(scaler, "_get_scale_async") else scaler
        self.parameters.before([one for group in optimizer.param_groups for one in group["params"]], scale)

    def _first_enter(self, name: str, inputs: Any) -> None:
        if self._trace is not None and self.listener.is_open:
            self._trace.enter(name, inputs)

    def _first_leave(self, call: Call) -> None:
        if self._trace is not None and self.listener.is_open:
            self._trace.leave(replace(call, index=self.listener.left.get(call.name, 0)))  # earlier passes do not count
        self.listener.leave(call.name, call.output)

    def _after(self, optimizer: torch.optim.Optimizer) -> None:
        if not self._has_begun:
            return
        self.parameters.after()
        self.has_moved = True
        if self.when_moved is not None:
            self.when_moved()

    def _reading(self, step: int, points: DepthPoints, numbers: dict[Any, Any]) -> Reading:
        size = len(points.points)
        columns, errors = columns_of({key: values.tolist() for key, values in numbers.items() if key[0] != "tensors"}, size)
        tensors = self.parameters.table({key[2]: values for key, values in numbers.items() if key[0] == "tensors"})
        if self._homes is None or self._homes.size != size:
            self._homes = homes_of(points, tensors.numels)
        of_parameters, homes = parameter_columns(self._homes, tensors), self._homes
        columns = {name: s for name, s in (columns | of_parameters).items() if s.count(None) < size}
        facts: dict[str, float | int | str | None] = {
            "batch_size": self.listener.batch_size * max(self.listener.passes, 1) * self.ranks.count,
            "depth_points": points.found_as,
            "through_time": int(size > 1 and len({one.modules for one in points.points}) == 1),
            "gradient_norm": gradient_norm(tensors),
            "rate": float(self.optimizers[0].param_groups[0]["lr"]) if self.optimizers else None,
        }
        names = tuple(one.name for one in points.points)
        all_errors = Later(lambda: {**errors, **parameter_errors(homes, tensors)})
        return Reading(step, names, columns, all_errors, tensors, facts)
