"""Which modules repeat: the stacks of like blocks inside any module."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from torch import nn

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
# Modules that only pass a signal on: they neither make two blocks different nor end one.
_PASSIVE_HOMES = tuple(f"torch.nn.modules.{home}" for home in ("dropout", "pooling", "flatten", "loss"))
_STAGE_SHARE = 0.75  # assumption: a stage keeps this share of its layers in its blocks; a block with parallel parts does not

Child = tuple[str, nn.Module]
Block = tuple[str, ...]  # the names of the modules that make it up, in order


class Stacks:
    """The stacks of one module, given how often each part of it ran (by the first of its names)."""

    def __init__(self, model: nn.Module, runs: Counter[str]) -> None:
        self.model, self.runs = model, runs
        self.names = {id(module): name for name, module in model.named_modules()}
        self.layers = self._layers_in(model)
        self.weighted = {name for layer in self.layers for name in (layer, *_above(layer))}

    def blocks(self) -> list[Block]:
        """Return the blocks of all outermost stacks; their order means nothing."""
        expanded = (tuple(name for child in block for name in self._that_ran(*child)) for block in self._blocks_in(self.model))
        return list(dict.fromkeys(block for block in expanded if block))

    def cover(self, blocks: Iterable[Block]) -> int:
        """Return how many of the layers lie in the blocks."""
        members = {name for block in blocks for name in block}
        return sum(is_inside(layer, members) for layer in self.layers)

    def title(self, block: Block) -> str:
        """Return the name that a block goes by: that of its first member with weights."""
        return next((name for name in block if name in self.weighted), block[0])

    def _layers_in(self, module: nn.Module) -> list[str]:
        """Return the innermost modules with a weight matrix of their own that ran (biases and norms do not count)."""
        own = [self.names[id(part)] for part in module.modules() if has_own_matrix(part)]
        own = [name for name in own if self.runs[name]]
        outer = {name for inner in own for name in _above(inner)}
        return [name for name in own if name not in outer]

    def _blocks_in(self, module: nn.Module) -> Iterator[tuple[Child, ...]]:
        children = self._children(module)
        if isinstance(module, CONTAINERS):
            kinds = [_likeness(child) for _, child in children]
        else:  # attributes: only modules with parts of their own, of one class, in a row
            kinds = [_likeness(child) if _parts(child) else (name,) for name, child in children]
        start, period, count = longest_run(kinds)
        run = children[start : start + period * count]
        if count > 1 and _has_matrix(run) and not (period == 1 and self._are_stages(module, run)):
            yield from (tuple(run[first : first + period]) for first in range(0, len(run), period))
            children = children[:start] + children[start + period * count :]
        for name, child in children:
            inner = list(self._blocks_in(child))
            if (
                self.runs[name] > self._turns(module)
                and _parts(child)
                and _has_matrix([(name, child)])
                and not self._fill(inner, child)
            ):
                inner = [((name, child),)]  # one block that runs again and again
            yield from inner

    def _turns(self, module: nn.Module) -> int:
        """Return how often a module runs; a container that is not called runs as often as what it is in."""
        name = self.names[id(module)]
        return next((self.runs[around] for around in (name, *_above(name)) if self.runs[around]), 1)

    def _are_stages(self, module: nn.Module, run: Sequence[Child]) -> bool:
        """Return whether these modules only hold the real blocks, as the stages of a ResNet do."""
        if isinstance(module, CONTAINERS):
            return all(self._is_stage(child) for _, child in run)
        return any(self._fill(self._blocks_in(child), child) for _, child in run)

    def _is_stage(self, module: nn.Module) -> bool:
        """Return whether a module is little more than one list of blocks that are more than single layers."""
        homes = [module, *_parts(module)] if not isinstance(module, CONTAINERS) else [module]
        found = [block for home in homes if isinstance(home, CONTAINERS) for block in self._blocks_in(home)]
        return self._fill([block for block in found if any(_parts(child) for _, child in block)], module)

    def _fill(self, blocks: Iterable[tuple[Child, ...]], module: nn.Module) -> bool:
        """Return whether these blocks hold nearly all layers of a module."""
        inside = self.cover([tuple(name for name, _ in block) for block in blocks])
        return inside > 0 and inside >= _STAGE_SHARE * len(self._layers_in(module))

    def _children(self, module: nn.Module) -> list[Child]:
        return [(self.names[id(child)], child) for child in _parts(module) if not is_passive(child)]

    def _that_ran(self, name: str, module: nn.Module) -> Iterator[str]:
        """Yield the module itself if it is called, else (a ModuleList is not) those of its parts that are."""
        if self.runs[name]:
            yield name
        else:
            for child_name, child in self._children(module):
                yield from self._that_ran(child_name, child)


def longest_run(kinds: Sequence[tuple[str, ...]]) -> tuple[int, int, int]:
    """Return (start, period, count) of the longest run of repeated groups; the shortest period among equals.

    >>> longest_run([("Flatten",), ("Linear",), ("Tanh",), ("Linear",), ("Tanh",), ("Linear",)])
    (1, 2, 2)
    """
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


def is_inside(name: str, members: Collection[str]) -> bool:
    """Return whether a module or parameter of this name is one of the members or lies in one of them.

    >>> is_inside("blocks.1.linear", ["blocks.1"]), is_inside("blocks.11", ["blocks.1"]), is_inside("readout", [""])
    (True, False, True)
    """
    return name in members or any(outer in members for outer in _above(name))


def _above(name: str) -> Iterator[str]:
    """Yield the names of the modules around this one, outwards to the root, which is ""."""
    while name:
        name = name.rpartition(".")[0]
        yield name


def is_passive(module: nn.Module) -> bool:
    """Return whether a module only passes a signal on: dropout, pooling, reshaping, the identity, a loss."""
    return type(module).__module__ in _PASSIVE_HOMES or isinstance(module, nn.Identity)


def has_own_matrix(module: nn.Module) -> bool:
    """Return whether a module has a weight matrix of its own, also where it is parametrized (weight norm, spectral norm)."""
    if isinstance(module, nn.utils.parametrize.ParametrizationList):
        return False
    own = list(module.parameters(recurse=False))
    if nn.utils.parametrize.is_parametrized(module):
        own += [p for child in module.children() if _is_parametrization(child) for p in child.parameters()]
    return any(parameter.ndim > 1 for parameter in own)


def is_leaf(module: nn.Module) -> bool:
    """Return whether a module has no parts; what parametrizes its weights is none."""
    return not _parts(module)


def _parts(module: nn.Module) -> list[nn.Module]:
    return [child for child in module._modules.values() if child is not None and not _is_parametrization(child)]


def _is_parametrization(module: nn.Module) -> bool:
    if isinstance(module, nn.ModuleDict):  # `module.parametrizations`: one list for each tensor
        return bool(len(module)) and all(isinstance(child, nn.utils.parametrize.ParametrizationList) for child in module.values())
    return isinstance(module, nn.utils.parametrize.ParametrizationList)


def _has_matrix(children: Sequence[Child]) -> bool:
    return any(parameter.ndim > 1 for _, child in children for parameter in child.parameters())


def _likeness(module: nn.Module) -> tuple[str, ...]:
    """Return what two modules must share to be blocks of one stack: their class, and for containers what they hold."""
    parts = module.modules() if isinstance(module, CONTAINERS) else [module]
    return tuple(type(part).__name__ for part in parts if not is_passive(part))
