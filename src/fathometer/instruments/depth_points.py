"""Where depth is: the blocks of any module, in the order in which they run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from fathometer.errors import ModelError

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


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

    def holds(self, parameter: str) -> bool:
        """Return whether a parameter of this name lies in the block."""
        return any(parameter.startswith(f"{member}." if member else "") for member in self.members)


@dataclass(frozen=True)
class DepthPoints:
    """The depth points of one module and how they were found: "blocks", "layers" (no repeated blocks) or "chosen"."""

    points: tuple[DepthPoint, ...]
    found_as: str

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the names of all modules to listen to, each once."""
        return tuple(dict.fromkeys(name for point in self.points for name in (point.enter, point.leave)))


def find_depth_points(model: nn.Module, trace: Sequence[tuple[str, int]], layers: Iterable[str] | None = None) -> DepthPoints:
    """Return the depth points of a module from one recorded forward pass.

    `trace` holds (module name, index of the call) in the order in which modules finish. Repeated blocks are looked for
    first; where they cover less than half of the layers with weights, each such layer is a point of its own, together
    with the activations that run right after it. `layers` are names or patterns like "encoder.*.attention".
    """
    modules = dict(model.named_modules())
    if layers is not None:
        return _chosen(modules, trace, [layers] if isinstance(layers, str) else list(layers))
    blocks = list(_stacks("", model))
    covered = {name for name in _weighted(modules) if any(_inside(name, members) for members in blocks)}
    ran = {name for name, _ in trace}
    if len(blocks) > 1 and 2 * len(covered & ran) >= len(set(_weighted(modules)) & ran):
        points = _points_of(blocks, trace)
        if len(points) > 1:
            return DepthPoints(points, "blocks")
    return DepthPoints(_layers(modules, trace), "layers")


def _chosen(modules: dict[str, nn.Module], trace: Sequence[tuple[str, int]], patterns: list[str]) -> DepthPoints:
    names = [(name, index) for name, index in trace if name and any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not names:
        known = ", ".join([name for name in modules if name][:8])
        raise ModelError(f"`layers` {patterns} match no module that ran", f"Some of its modules are: {known}", "Try one of these")
    return DepthPoints(tuple(DepthPoint(_label(name, index), (name,), index, index) for name, index in names), "chosen")


def _stacks(name: str, module: nn.Module) -> Iterable[tuple[str, ...]]:
    """Yield the blocks, as the names of the modules that make up each one, of all outermost stacks."""
    children = [(f"{name}.{key}" if name else key, child) for key, child in module.named_children()]
    start, period, count = _best_run([_likeness(child) for _, child in children]) if isinstance(module, CONTAINERS) else (0, 0, 0)
    run = children[start : start + period * count]
    if (
        count > 1
        and any(p.ndim > 1 for _, child in run for p in child.parameters())
        and not (period == 1 and all(_holds_stack(child) for _, child in run))
    ):
        for first in range(0, len(run), period):
            yield tuple(child_name for child_name, _ in run[first : first + period])
        children = children[:start] + children[start + period * count :]
    for child_name, child in children:
        yield from _stacks(child_name, child)


def _holds_stack(module: nn.Module) -> bool:
    """Return whether a container is only a stage: a stack of blocks that are more than single layers."""
    return isinstance(module, CONTAINERS) and any(True for _ in _stacks("", module)) and not _all_leaves(module)


def _all_leaves(module: nn.Module) -> bool:
    return all(not list(child.children()) for child in module.children())


def _likeness(module: nn.Module) -> tuple[str, ...]:
    """Return what two modules must share to be blocks of one stack: their class, and for containers what they hold."""
    inner = (type(child).__name__ for child in module.modules()) if isinstance(module, CONTAINERS) else ()
    return (type(module).__name__, *inner)


def _best_run(kinds: Sequence[tuple[str, ...]]) -> tuple[int, int, int]:
    """Return (start, period, count) of the longest run of repeated groups; the shortest period among equals."""
    best = (0, 0, 0)
    for period in range(1, min(len(kinds) // 2, 8) + 1):
        start = 0
        for index in range(period, len(kinds) + 1):
            if index == len(kinds) or kinds[index] != kinds[index - period]:
                count = (index - start) // period
                if count > 1 and count * period > best[1] * best[2]:
                    best = (start, period, count)
                start = index - period + 1
    return best


def _weighted(modules: dict[str, nn.Module]) -> list[str]:
    """Return the names of the layers that hold a weight matrix of their own (biases and norms do not count)."""
    return [name for name, module in modules.items() if any(p.ndim > 1 for p in module.parameters(recurse=False))]


def _inside(name: str, members: tuple[str, ...]) -> bool:
    return any(name == member or name.startswith(f"{member}.") for member in members)


def _points_of(blocks: Sequence[tuple[str, ...]], trace: Sequence[tuple[str, int]]) -> tuple[DepthPoint, ...]:
    """Order the blocks by when they finish; a block that runs twice is two points."""
    at_leave = {members[-1]: members for members in blocks}
    return tuple(
        DepthPoint(_label(at_leave[name][0], index), at_leave[name], index, index) for name, index in trace if name in at_leave
    )


def _layers(modules: dict[str, nn.Module], trace: Sequence[tuple[str, int]]) -> tuple[DepthPoint, ...]:
    """Return one point for each layer with weights; activations and norms right after it belong to it."""
    weighted, points = set(_weighted(modules)), []
    for name, index in trace:
        if name in weighted:
            points.append(DepthPoint(_label(name, index), (name,), index, index))
        elif points and not list(modules[name].children()):
            last = points[-1]
            points[-1] = DepthPoint(last.name, (*last.members, name), last.start, index)
    return tuple(points)


def _label(name: str, index: int) -> str:
    label = name or "model"
    return label if index == 0 else f"{label}#{index + 1}"
