"""What a module is: a container, a layer with weights, or of no account."""

from collections.abc import Collection, Iterator, Sequence

from torch import nn

Kind = str | tuple[str, ...]
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
# Modules that only pass a signal on: they neither make two blocks different nor end one.
_PASSIVE_HOMES = tuple(f"torch.nn.modules.{home}" for home in ("dropout", "pooling", "flatten", "loss"))


def is_passive(module: nn.Module) -> bool:
    """Return whether a module only passes a signal on: dropout, pooling, reshaping, the identity, a loss."""
    return type(module).__module__ in _PASSIVE_HOMES or isinstance(module, nn.Identity)


def is_embedding(module: nn.Module) -> bool:
    """Return whether a module looks its answers up in a table."""
    return isinstance(module, nn.Embedding | nn.EmbeddingBag)


def is_leaf(module: nn.Module) -> bool:
    """Return whether a module has no parts; what parametrizes its weights is none."""
    return not parts_of(module)


def is_follower(name: str, module: nn.Module) -> bool:
    """Return whether a module belongs to the layer before it: an activation or a norm, but nothing that makes a weight."""
    return is_leaf(module) and not is_passive(module) and not has_matrix(module) and "parametrizations" not in name.split(".")


def parts_of(module: nn.Module) -> list[nn.Module]:
    """Return the modules that a module holds directly, without what parametrizes its weights."""
    return [child for child in module._modules.values() if child is not None and not _is_parametrization(child)]


def has_own_matrix(module: nn.Module) -> bool:
    """Return whether a module has a weight matrix of its own, also where it is parametrized (weight norm, spectral norm)."""
    if isinstance(module, nn.utils.parametrize.ParametrizationList):
        return False
    own = list(module.parameters(recurse=False))
    if nn.utils.parametrize.is_parametrized(module):
        own += [p for child in module.children() if _is_parametrization(child) for p in child.parameters()]
    return any(parameter.ndim > 1 for parameter in own)


def has_matrix(module: nn.Module) -> bool:
    """Return whether a module or one of its parts has a weight matrix."""
    return any(parameter.ndim > 1 for parameter in module.parameters())


def likeness(module: nn.Module) -> tuple[str, ...]:
    """Return what two modules must share to be blocks of one stack: their class, and for containers what they hold."""
    parts = module.modules() if isinstance(module, CONTAINERS) else [module]
    return tuple(type(part).__name__ for part in parts if not is_passive(part))


def _is_parametrization(module: nn.Module) -> bool:
    if isinstance(module, nn.ModuleDict):  # `module.parametrizations`: one list for each tensor
        return bool(len(module)) and all(isinstance(child, nn.utils.parametrize.ParametrizationList) for child in module.values())
    return isinstance(module, nn.utils.parametrize.ParametrizationList)


def runs_in(kinds: Sequence[Kind], is_layer: Sequence[bool], first: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield (start, period, count) of the runs of repeated groups of one layer each: the longest, and those beside it.

    >>> kinds = ["Flatten", "Linear", "Tanh", "Linear", "Tanh", "Linear"]
    >>> list(runs_in(kinds, [kind == "Linear" for kind in kinds]))
    [(1, 2, 2)]
    """
    start, period, count = longest_run(kinds, is_layer)
    if count < 2:
        return
    end = start + period * count
    yield from runs_in(kinds[:start], is_layer[:start], first)
    yield first + start, period, count
    yield from runs_in(kinds[end:], is_layer[end:], first + end)


def longest_run(kinds: Sequence[Kind], is_layer: Sequence[bool]) -> tuple[int, int, int]:
    """Return (start, period, count) of the longest run of repeated groups of one layer; the shortest period among equals."""
    best = (0, 0, 0)
    for period in range(1, min(len(kinds) // 2, 8) + 1):
        start = 0
        for index in range(period, len(kinds) + 1):
            if index == len(kinds) or kinds[index] != kinds[index - period]:
                count = (index - start) // period
                if count > 1 and count * period > best[1] * best[2] and sum(is_layer[start : start + period]) == 1:
                    best = (start, period, count)
                start = index - period + 1
    return best


def is_inside(name: str, members: Collection[str]) -> bool:
    """Return whether a module or parameter of this name is one of the members or lies in one of them.

    >>> is_inside("blocks.1.linear", ["blocks.1"]), is_inside("blocks.11", ["blocks.1"]), is_inside("readout", [""])
    (True, False, True)
    """
    return name in members or any(outer in members for outer in above(name))


def above(name: str) -> Iterator[str]:
    """Yield the names of the modules around this one, outwards to the root, which is ""."""
    while name:
        name = name.rpartition(".")[0]
        yield name
