"""Which modules repeat: the stacks of like blocks inside any module."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from torch import nn

from fathometer.instruments.module_kinds import (
    CONTAINERS,
    above,
    has_matrix,
    has_own_matrix,
    is_embedding,
    is_inside,
    is_passive,
    likeness,
    parts_of,
    runs_in,
)
from fathometer.instruments.trace import Step

_STAGE_SHARE = 0.5  # assumption: a stage keeps at least this share of its layers in its blocks

Block = tuple[str, ...]  # the names of the modules that make it up, in order


@dataclass(frozen=True)
class _Part:
    """One part of a module, as seen from it, and the list or Sequential that it stands in, if it does."""

    name: str
    module: nn.Module
    container: nn.Module | None


class Stacks:
    """The stacks of one module, given what ran of it.

    On each level, which is all that a module holds once mere lists are opened, parts of one kind that appear more than once
    are blocks; what holds blocks and does little else is a stage, and is opened too. Parts that are all given the same
    are side by side, and no depth.
    """

    def __init__(self, model: nn.Module, steps: Sequence[Step]) -> None:
        self.model = model
        self.runs = Counter(step.name for step in steps)
        self.steps, self.calls = steps, dict[str, list[Step]]()
        for step in steps:
            self.calls.setdefault(step.name, []).append(step)
        self.names = {id(module): name for name, module in model.named_modules()}
        self.layers = self._layers_in(model)
        self.inside = Counter(name for layer in self.layers for name in (layer, *above(layer)))  # layers in each module
        self._found: dict[str, list[Block]] = {}

    def blocks(self) -> list[Block]:
        """Return the blocks of all outermost stacks; their order means nothing.

        Where blocks of several layers hold most of the network, single layers that repeat beside them are none.
        """
        blocks = list(dict.fromkeys(self._blocks_in(self.model)))
        large = [block for block in blocks if self.cover([block]) > 1]
        return large if large and 2 * self.cover(large) >= len(self.layers) else blocks

    def cover(self, blocks: Iterable[Block]) -> int:
        """Return how many of the layers lie in the blocks."""
        return sum(self.inside[name] for name in {name for block in blocks for name in block})

    def share(self, blocks: Iterable[Block], in_time: Mapping[str, int]) -> float:
        """Return the share of the calls of layers that lie in the blocks; `in_time` are the steps of recurrent layers."""
        calls = {layer: max(self.runs[layer], in_time.get(layer, 0)) for layer in self.layers}
        members = {name for block in blocks for name in block}
        inside = sum(number for layer, number in calls.items() if is_inside(layer, members))
        return inside / sum(calls.values()) if inside else 0.0

    def are_cells(self, blocks: Sequence[Block]) -> bool:
        """Return whether the blocks are recurrent cells, which the model calls in a loop."""
        return all(isinstance(self.module(name), nn.RNNCellBase) for block in blocks for name in block)

    def module(self, name: str) -> nn.Module:
        """Return the module of a name."""
        return self.model.get_submodule(name)

    def title(self, block: Block) -> str:
        """Return the name that a block goes by: that of its first member with weights."""
        return next((name for name in block if self.inside[name]), block[0])

    def _layers_in(self, module: nn.Module) -> list[str]:
        """Return the innermost modules with a weight matrix of their own that ran (biases and norms do not count)."""
        own = [self.names[id(part)] for part in module.modules() if has_own_matrix(part)]
        own = [name for name in own if self.runs[name]]
        outer = {name for inner in own for name in above(inner)}
        return [name for name in own if name not in outer]

    def _blocks_in(self, module: nn.Module) -> list[Block]:
        name = self.names[id(module)]
        if name not in self._found:
            self._found[name] = list(self._find_blocks(module))
        return self._found[name]

    def _find_blocks(self, module: nn.Module) -> Iterator[Block]:
        level = list(self._level(module))
        repeated = self._repeated(level)
        for part in level:
            if part.name in repeated:
                yield from repeated[part.name]
            elif self._runs_again(part, module):
                yield (part.name,)
            elif parts_of(part.module):
                yield from self._blocks_in(part.module)
        for container, parts in groupby(level, key=lambda part: part.container):
            if container is not None:
                yield from self._runs_of_leaves(list(parts), repeated)

    def _level(self, module: nn.Module) -> Iterator[_Part]:
        """Yield what a module holds; lists and Sequentials that are no blocks themselves are opened."""
        container = module if isinstance(module, CONTAINERS) else None
        parts = [_Part(self.names[id(child)], child, container) for child in parts_of(module) if not is_passive(child)]
        parts = [part for part in parts if any(self.runs[self.names[id(inner)]] for inner in part.module.modules())]
        repeated = self._repeated(parts) if container is not None else {}
        for part in parts:
            is_block = self._block_of(part) in repeated.get(part.name, []) or self._runs_again(part, module)
            if isinstance(part.module, CONTAINERS) and not is_block:
                yield from self._level(part.module)
            else:
                yield part

    def _repeated(self, level: Sequence[_Part]) -> dict[str, list[Block]]:
        """Return the parts of a level that have others of their kind beside them, and the blocks that they are or hold."""
        kinds: dict[tuple[str, ...], list[_Part]] = {}
        for part in level:
            listed = part.container is not None or not isinstance(part.module, CONTAINERS)  # a Sequential counts in lists only
            if listed and parts_of(part.module) and has_matrix(part.module):
                kinds.setdefault(likeness(part.module), []).append(part)
        groups = (group for group in kinds.values() if len(group) > 1 and not self._side_by_side(group))
        return {part.name: blocks for group in groups for part, blocks in self._with_blocks(group)}

    def _with_blocks(self, group: Sequence[_Part]) -> list[tuple[_Part, list[Block]]]:
        """Return parts of one kind with their blocks: those that they hold, if they are stages, else themselves."""
        held = self._in_stages(group)
        if held is not None:
            return list(zip(group, held, strict=True))
        return [(part, [self._block_of(part)]) for part in group]

    def _in_stages(self, group: Sequence[_Part]) -> list[list[Block]] | None:
        """Return what is held by parts of one kind that do little else than to hold blocks, as the stages of a ResNet do.

        What is a chain, or a Sequential, is no more than the blocks that it lists (two attributes, as the attention and the MLP
        of a transformer block, are parts of one). Of another, one that reshapes on the way, it is assumed
        where lists of blocks of several layers make up most of it and each block is fed with what the one before gave.
        """
        is_chain = all(isinstance(part.module, CONTAINERS) or self._is_chain(part.name) for part in group)
        singles = [[block[0] for block in self._blocks_in(part.module) if len(block) == 1] for part in group]
        held = [[name for name in names if self._may_be_staged(name, is_chain)] for names in singles]
        held = [names if all(map(self._is_listed, names)) or self._built_alike(names) else [] for names in held]
        kinds = {likeness(self.module(name)) for names in held for name in names} - {likeness(group[0].module)}
        # Where one stage holds several blocks, the only one that another holds is a block as well.
        held = [names or list(self._of_kinds(part.module, kinds)) for names, part in zip(held, group, strict=True)]
        inside = sum(self.inside[name] for names in held for name in names)
        fed = [self._feeds(*pair) for names in held for pair in pairwise(names)]
        if inside == 0 or inside < _STAGE_SHARE * sum(self.inside[part.name] for part in group):
            return None
        return [[(name,) for name in names] for names in held] if is_chain or 2 * sum(fed) >= len(fed) else None

    def _of_kinds(self, module: nn.Module, kinds: Collection[tuple[str, ...]]) -> Iterator[str]:
        """Yield the outermost modules of some kinds that ran."""
        for part in parts_of(module):
            name = self.names[id(part)]
            if self.runs[name] and likeness(part) in kinds:
                yield name
            else:
                yield from self._of_kinds(part, kinds)

    def _built_alike(self, names: Sequence[str]) -> bool:
        """Return whether modules of one class have alike parts with weights: like wrappers of attention and MLP do not."""
        kinds: dict[str, set[frozenset[str]]] = {}
        for module in map(self.module, names):
            inside = frozenset(type(part).__name__ for part in parts_of(module) if has_matrix(part))
            kinds.setdefault(type(module).__name__, set()).add(inside)
        return all(len(insides) == 1 for insides in kinds.values())

    def _is_listed(self, name: str) -> bool:
        return isinstance(self.module(next(above(name))), CONTAINERS)

    def _may_be_staged(self, name: str, is_chain: bool) -> bool:
        """Return whether a block may be one of those that a stage holds."""
        in_list = self._is_listed(name)
        return bool(parts_of(self.module(name))) and (is_chain or (in_list and self.inside[name] > 1))

    def _runs_again(self, part: _Part, home: nn.Module) -> bool:
        """Return whether a part runs more often than what it is in, and so is a block that repeats: a loop, a cell."""
        if self.runs[part.name] <= self._turns(home) or not has_matrix(part.module):
            return False
        if isinstance(part.module, nn.RNNCellBase):
            return True
        return bool(parts_of(part.module)) and self._in_stages([part]) is None and not self._side_by_side([part])

    def _turns(self, module: nn.Module) -> int:
        """Return how often a module runs; a container that is not called runs as often as what it is in."""
        name = self.names[id(module)]
        return next((self.runs[around] for around in (name, *above(name)) if self.runs[around]), 1)

    def _side_by_side(self, group: Sequence[_Part]) -> bool:
        """Return whether most calls took the very same tensors as another one: heads, experts, members of an ensemble."""
        given = [step.given for part in group for step in self.calls.get(part.name, [])]
        return bool(given) and None not in given and 2 * len(set(given)) <= len(given)

    def _is_chain(self, name: str) -> bool:
        return any(step.is_chain for step in self.calls.get(name, []))

    def _feeds(self, one: str, other: str) -> bool:
        """Return whether a module takes what another gives; if it is not known, it is believed."""
        gave, given = self.calls[one][0].gave, self.calls[other][0].given
        return gave is None or given is None or bool(gave & given)

    def _runs_of_leaves(self, parts: Sequence[_Part], chosen: Collection[str]) -> Iterator[Block]:
        """Yield the groups of one layer and what goes with it, as (Linear, Tanh), that repeat in one list."""
        is_layer = [has_matrix(part.module) for part in parts]
        kinds = [part.name if part.name in chosen or _stands_alone(part.module) else likeness(part.module) for part in parts]
        for start, period, count in runs_in(kinds, is_layer):
            run = range(start, start + period * count)
            if not self._side_by_side([parts[place] for place in run if is_layer[place]]):
                for first in run[::period]:
                    yield tuple(name for part in parts[first : first + period] for name in self._block_of(part))

    def _block_of(self, part: _Part) -> Block:
        return tuple(self._that_ran(part.name, part.module))

    def _that_ran(self, name: str, module: nn.Module) -> Iterator[str]:
        """Yield the module itself if it is called, else (a ModuleList is not) those of its parts that are."""
        if self.runs[name]:
            yield name
            return
        for child in parts_of(module):
            if not is_passive(child):
                yield from self._that_ran(self.names[id(child)], child)


def _stands_alone(module: nn.Module) -> bool:
    """Return whether a module is like no other layer beside it: an embedding, or one whose parts have the weights."""
    return is_embedding(module) or (has_matrix(module) and bool(parts_of(module)))
