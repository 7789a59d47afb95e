"""Where depth is: the blocks of any module, in the order they run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from fathometer.errors import ModelError
from fathometer.instruments.stacks import Block, Stacks, has_own_matrix, is_inside, is_leaf, is_passive

Trace = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class DepthPoint:
    """One block: the modules that make it up, in order; its input enters the first, its output leaves the last.

    `start` and `stop` say which call of the first and of the last it is, for a block that runs more than once.
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

    def holds(self, name: str) -> bool:
        """Return whether a parameter or module of this name lies in the block."""
        return is_inside(name, self.members)


@dataclass(frozen=True)
class DepthPoints:
    """The depth points of one module and how they were found: "blocks", "layers" (no repeated blocks) or "chosen"."""

    points: tuple[DepthPoint, ...]
    found_as: str

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the names of all modules to listen to, each once."""
        return tuple(dict.fromkeys(name for point in self.points for name in (point.enter, point.leave)))

    def outside(self, model: nn.Module) -> tuple[str, ...]:
        """Return the names of the layers with weights that lie in no point: stem, readout, what is between stacks."""
        members = {name for point in self.points for name in point.members}
        held = [name for name, module in model.named_modules() if has_own_matrix(module)]
        return tuple(name for name in held if not is_inside(name, members))


def find_depth_points(model: nn.Module, trace: Trace, layers: Iterable[str] | None = None) -> DepthPoints:
    """Return the depth points of a module from one recorded forward pass.

    `trace` holds (module name, index of the call) in the order in which modules finish. Repeated blocks are looked for
    first; where they cover less than half of the layers with weights, each such layer is a point of its own, together
    with the activations and norms that run right after it. `layers` are names or patterns like "encoder.*.attention".
    """
    modules = dict(model.named_modules())
    if layers is not None:
        return _chosen(modules, trace, [layers] if isinstance(layers, str) else list(layers))
    stacks = Stacks(model, Counter(name for name, _ in trace))
    blocks = stacks.blocks()
    # Where the blocks are single layers of one Sequential, its other layers are as good points: just half is too few.
    flat = all(is_leaf(modules[name]) for block in blocks for name in block)
    if blocks and 2 * stacks.cover(blocks) >= len(stacks.layers) + flat:
        points = _points_of(blocks, stacks, trace)
        if len(points) > 1:
            return DepthPoints(points, "blocks")
    return DepthPoints(_layers(modules, stacks.layers, trace), "layers")


def _chosen(modules: dict[str, nn.Module], trace: Trace, patterns: list[str]) -> DepthPoints:
    names = [(name, index) for name, index in trace if name and any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not names:
        known = ", ".join([name for name in modules if name][:8])
        raise ModelError(f"`layers` {patterns} match no module that ran", f"Some of its modules are: {known}", "Try one of these")
    return DepthPoints(tuple(DepthPoint(_label(name, index), (name,), index, index) for name, index in names), "chosen")


def _points_of(blocks: Sequence[Block], stacks: Stacks, trace: Trace) -> tuple[DepthPoint, ...]:
    """Order the blocks by when they finish; a block that runs twice is two points.

    An activation that many blocks share is the last member of each: it ends the one that has begun.
    """
    by_enter, by_leave = _grouped(blocks, 0), _grouped(blocks, -1)
    begun: dict[Block, int] = {}
    rounds: Counter[Block] = Counter()
    points = []
    for name, index in trace:
        begun |= dict.fromkeys(by_enter.get(name, ()), index)
        for block in by_leave.get(name, ()):
            if block in begun:
                points.append(DepthPoint(_label(stacks.title(block), rounds[block]), block, begun.pop(block), index))
                rounds[block] += 1
    return tuple(points)


def _grouped(blocks: Sequence[Block], member: int) -> dict[str, list[Block]]:
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        groups.setdefault(block[member], []).append(block)
    return groups


def _layers(modules: dict[str, nn.Module], layers: Sequence[str], trace: Trace) -> tuple[DepthPoint, ...]:
    """Return one point for each layer with weights; activations and norms right after it belong to it."""
    weighted, points = set(layers), []
    for name, index in trace:
        if name in weighted:
            points.append(DepthPoint(_label(name, index), (name,), index, index))
        elif points and is_leaf(modules[name]) and not is_passive(modules[name]) and not _serves(name):
            last = points[-1]
            points[-1] = DepthPoint(last.name, (*last.members, name), last.start, index)
    return tuple(points) or (DepthPoint("model", ("",)),)


def _serves(name: str) -> bool:
    """Return whether a module only makes a weight (weight norm, spectral norm) and carries no signal."""
    return "parametrizations" in name.split(".")


def _label(name: str, index: int) -> str:
    label = name or "model"
    return label if index == 0 else f"{label}#{index + 1}"
