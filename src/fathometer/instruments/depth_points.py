"""Where depth is: the blocks of any module, in the order they run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from fathometer.errors import ModelError, shown
from fathometer.instruments.bridges import bridges
from fathometer.instruments.module_kinds import above, has_own_matrix, is_follower, is_inside, is_leaf
from fathometer.instruments.stacks import Block, Stacks
from fathometer.instruments.trace import Step

Trace = Sequence[tuple[str, int] | Step]
Layers = Iterable[str] | str | None  # names or patterns of depth points


@dataclass(frozen=True)
class DepthPoint:
    """One block: the modules that make it up, in order; its input enters the first, its output leaves the last.

    `start` and `stop` say which call of the first and of the last it is, for a block that runs more than once. A step
    through time of a recurrent layer "rnn" is a member of its own, "rnn@1".
    """

    name: str
    members: tuple[str, ...]
    start: int = 0
    stop: int = 0

    @property
    def enter(self) -> str:
        """Return the name of the module that the block's input enters."""
        return self.members[0]

    @property
    def leave(self) -> str:
        """Return the name of the module that the block's output leaves."""
        return self.members[-1]

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the names of the modules that make the block up; that of a step through time is its layer."""
        return tuple(_home(member) for member in self.members)

    @property
    def is_step(self) -> bool:
        """Return whether this is a step through time of a fused recurrent layer, and no module of its own."""
        return _is_step(self.leave)

    def holds(self, name: str) -> bool:
        """Return whether a parameter or module of this name lies in the block; all steps hold the weights of their layer."""
        return is_inside(name, self.modules)


@dataclass(frozen=True)
class DepthPoints:
    """The depth points of one module and how they were found.

    That is as "blocks", as "steps" (all of them through time), as "layers" (nothing repeats) or "chosen".
    """

    points: tuple[DepthPoint, ...]
    found_as: str

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the names of all modules to listen to, each once; steps through time are told by `step_by_step`."""
        names = (name for point in self.points for name in (point.enter, point.leave))
        return tuple(dict.fromkeys(name for name in names if not _is_step(name)))

    def held(self, names: Iterable[str]) -> list[list[str]]:
        """Return, for each point, which of these parameters or modules lie in it."""
        homes: dict[str, list[int]] = {}
        for index, point in enumerate(self.points):
            for member in dict.fromkeys(point.modules):
                homes.setdefault(member, []).append(index)
        inside: list[list[str]] = [[] for _ in self.points]
        for name in names:
            for index in dict.fromkeys(index for outer in (name, *above(name)) for index in homes.get(outer, ())):
                inside[index].append(name)
        return inside

    def outside(self, model: nn.Module) -> tuple[str, ...]:
        """Return the names of the layers with weights that lie in no point: stem, readout, what is between stacks."""
        members = {name for point in self.points for name in point.modules}
        held = [name for name, module in model.named_modules() if has_own_matrix(module)]
        return tuple(name for name in held if not is_inside(name, members))


def find_depth_points(model: nn.Module, trace: Trace, layers: Layers = None) -> DepthPoints:
    """Return the depth points of a module from one recorded forward pass.

    `trace` holds, in the order in which modules finish, (module name, index of the call) or better the steps of `trace_of`,
    which tell a chain from a block and what is side by side from what is in a row. Repeated blocks are looked for first;
    where they cover less than half of the layers with weights, each such layer is a point of its own, together with the
    activations and norms that run right after it. Steps through time take the place of the recurrent layer that makes them.
    `layers` are names or patterns like "encoder.*.attention".
    """
    steps = [entry if isinstance(entry, Step) else Step(*entry) for entry in trace]
    if layers is not None:
        return _chosen(model, steps, list(layers) if isinstance(layers, list | tuple | set) else [layers])
    modules = dict(model.named_modules())
    stacks = Stacks(model, [step for step in steps if step.name in modules])
    in_time = Counter(_home(step.name) for step in steps if _is_step(step.name))
    blocks = [block for block in stacks.blocks() if not any(is_inside(home, block) for home in in_time)]
    blocks += [(home,) for home in in_time]
    # Where the blocks are single layers of one Sequential, its other layers are as good points: just half is too few.
    flat = not in_time and not stacks.are_cells(blocks) and all(is_leaf(modules[name]) for block in blocks for name in block)
    if 2 * stacks.share(blocks, in_time) >= 1 + flat / len(stacks.layers or " "):
        points = _through_time(_points_of([*blocks, *bridges(stacks, blocks)], stacks, steps), steps)
        if len(points) > 1:
            return DepthPoints(points, "steps" if all(point.is_step for point in points) else "blocks")
    return DepthPoints(_through_time(_layers(modules, stacks.layers, steps), steps), "layers")


def _chosen(model: nn.Module, steps: Sequence[Step], patterns: list[Any]) -> DepthPoints:
    """Return the calls that the patterns name, in the order in which they end: what is inside a block comes before it."""
    if not patterns or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise ModelError(f"`layers` is {shown(patterns)}", "It holds names of modules, or patterns", 'Try layers=["encoder.*"]')
    names = [step.name for step in steps if step.name]
    unmatched = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]
    if unmatched:
        raise _unmatched(model, names, unmatched)
    found = [step for step in steps if step.name and any(fnmatchcase(step.name, pattern) for pattern in patterns)]
    return DepthPoints(tuple(_one(step.name, step.index) for step in found), "chosen")


def _unmatched(model: nn.Module, ran: Sequence[str], patterns: list[str]) -> ModelError:
    """Return the error for patterns that name nothing that ran, with names that would do."""
    given, known = f"`layers` {patterns} match no module that ran", [name for name, _ in model.named_modules() if name]
    idle = next((name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)), None)
    if idle is None:
        near = [name for pattern in patterns for name in get_close_matches(pattern, known, n=3, cutoff=0.7)]
        return ModelError(given, f"Some of its modules are: {', '.join(near or known[:8])}", "Try one of these")
    if any(is_inside(name, [idle]) for name in ran):
        return ModelError(given, f"{idle} only holds others: it is never called itself", f'Try "{idle}.*"')
    return ModelError(given, f"{idle} is there, but nothing calls it on this batch", "Name modules that run")


def _points_of(blocks: Sequence[Block], stacks: Stacks, steps: Sequence[Step]) -> tuple[DepthPoint, ...]:
    """Order the blocks by when they finish; a block that runs twice is two points.

    An activation that many blocks share is the last member of each: it ends the one that has begun.
    """
    by_enter, by_leave = _grouped(blocks, 0), _grouped(blocks, -1)
    begun: dict[Block, int] = {}
    rounds: Counter[Block] = Counter()
    points = []
    for step in steps:
        begun |= dict.fromkeys(by_enter.get(step.name, ()), step.index)
        for block in by_leave.get(step.name, ()):
            if block in begun:
                points.append(DepthPoint(_label(stacks.title(block), rounds[block]), block, begun.pop(block), step.index))
                rounds[block] += 1
    return tuple(points)


def _grouped(blocks: Sequence[Block], member: int) -> dict[str, list[Block]]:
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        groups.setdefault(block[member], []).append(block)
    return groups


def _layers(modules: dict[str, nn.Module], layers: Sequence[str], steps: Sequence[Step]) -> tuple[DepthPoint, ...]:
    """Return one point for each layer with weights; activations and norms right after it belong to it."""
    weighted, points = set(layers), []
    for name, index, *_ in steps:
        if name in weighted:
            points.append(_one(name, index))
        elif points and name in modules and is_follower(name, modules[name]):
            last = points[-1]
            points[-1] = DepthPoint(last.name, (*last.members, name), last.start, index)
    return tuple(points) or (DepthPoint("model", ("",)),)


def _through_time(points: Iterable[DepthPoint], steps: Sequence[Step]) -> tuple[DepthPoint, ...]:
    """Put steps through time in the place of the points that are recurrent layers."""
    by_call: dict[tuple[str, int], list[DepthPoint]] = {}
    for step in steps:
        if _is_step(step.name):
            by_call.setdefault((_home(step.name), step.index), []).append(_one(step.name, step.index))
    return tuple(each for point in points for each in by_call.get((point.enter, point.start), [point]))


def _one(name: str, index: int) -> DepthPoint:
    return DepthPoint(_label(name, index), (name,), index, index)


def _is_step(name: str) -> bool:
    """Return whether this is a step through time, "rnn@1"."""
    return name.rpartition("@")[2].isdecimal() and "@" in name


def _home(name: str) -> str:
    """Return the module that a step through time is one of, or the name as it is."""
    return name.rpartition("@")[0] if _is_step(name) else name


def _label(name: str, index: int) -> str:
    label = name if name and not name.startswith("@") else f"model{name}"
    return label if index == 0 else f"{label}#{index + 1}"


def title_of(model: nn.Module, name: str) -> str:
    """Return what to call a module or a depth point in a sentence: its class beside its name, a bare number as a layer.

    Other words, as "the loss", stay as they are.

    >>> title_of(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), "1")
    'layer 1 (Tanh)'
    """
    called, _, run = name.partition("#")
    home = _home(called)
    path = "" if home == "model" else home
    module = dict(model.named_modules()).get(path)
    if module is None:
        return name
    word = "the model" if not path else path if not path.replace(".", "").isdecimal() else f"layer {path}"
    step = f", step {called.rpartition('@')[2]}" if _is_step(called) else ""
    return f"{word} ({type(module).__name__}){step}" + (f", run {run}" if run else "")
