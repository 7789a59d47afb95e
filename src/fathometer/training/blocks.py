"""The chains of like blocks that a module runs one after another."""

from collections.abc import Iterator

from torch import nn

Chain = tuple[nn.Module, ...]


def chains(model: nn.Module) -> tuple[Chain, ...]:
    """Return the outermost lists of at least two blocks of one class with parameters; else the outermost `nn.Sequential`s.

    They are found by how the module is laid out, not by running it: whether the blocks of a `ModuleList` follow one another
    is seen when it runs.

    >>> [len(chain) for chain in chains(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)))]
    [3]
    """
    return tuple(_outermost(model, like=True)) or tuple(_outermost(model, like=False))


def _outermost(module: nn.Module, *, like: bool) -> Iterator[Chain]:
    if isinstance(module, nn.Sequential | nn.ModuleList) and len(module) > 1:
        members = tuple(module)
        if _are_alike(members) if like else isinstance(module, nn.Sequential):
            yield members
            return
    for child in module.children():
        yield from _outermost(child, like=like)


def _are_alike(members: Chain) -> bool:
    return len({type(member) for member in members}) == 1 and all(_has_parameters(member) for member in members)


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
