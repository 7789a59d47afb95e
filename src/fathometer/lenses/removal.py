"""A copy of a model without some of its blocks, held against the model."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import call, main_tensor
from fathometer.errors import ModelError
from fathometer.instruments import DepthPoint, unchanged
from fathometer.lenses.bypass import bypassing, without_cache
from fathometer.lenses.streaming import points_of
from fathometer.spec import Mlp, Transformer

ROUNDING = 1e-5  # of the largest number: what a different order of the same operations may change
_PLACES = ("layer_idx", "layer_id")  # how blocks of Hugging Face know which one they are
_COUNTS = ("num_hidden_layers", "n_layer", "num_layers")


def without_blocks(model: nn.Module, gone: Sequence[DepthPoint], inputs: Any) -> nn.Module:
    """Return a copy without some depth points; its answer to `inputs` is checked against the model that skips them.

    The modules of each must be members of a `ModuleList` or `Sequential`. Raises `ModelError` where they are not, where one runs
    more than once, or where the copy answers differently.
    """
    smaller = deepcopy(model)
    modules = dict(smaller.named_modules())
    by_parent: dict[str, list[int]] = {}
    for point in gone:
        for name in point.members:
            parent, _, last = name.rpartition(".")
            if not isinstance(modules.get(parent), nn.ModuleList | nn.Sequential) or not last.isdecimal():
                raise ModelError(
                    f'"{point.name}" is not a member of a list',
                    "Blocks go from a ModuleList or Sequential",
                    "Name other `layers`",
                )
            by_parent.setdefault(parent, []).append(int(last))
    for parent, places in by_parent.items():
        stack = modules[parent]
        assert isinstance(stack, nn.ModuleList | nn.Sequential)
        before = len(stack)
        kept = [module for place, module in enumerate(stack) if place not in places]
        del stack[:]
        stack.extend(kept)
        _renumber(smaller, kept, before, set(places))
    _check(model, smaller, gone, inputs)
    return smaller


def _renumber(model: nn.Module, kept: Sequence[nn.Module], before: int, gone: set[int]) -> None:
    """Tell the blocks their new places, and the config and the spec how many there are."""
    for place, block in enumerate(kept):
        for module in block.modules():
            for name in _PLACES:
                if isinstance(vars(module).get(name), int):
                    setattr(module, name, place)
    config: Any = getattr(model, "config", None)
    for name in _COUNTS:
        if config is not None and getattr(config, name, None) == before:
            setattr(config, name, len(kept))
    kinds = getattr(config, "layer_types", None)
    if isinstance(kinds, list) and len(kinds) == before:
        config.layer_types = [kind for place, kind in enumerate(kinds) if place not in gone]
    spec: Any = getattr(model, "spec", None)
    if isinstance(spec, Mlp | Transformer) and spec.depth == before:
        vars(model)["spec"] = replace(spec, depth=len(kept))


@torch.no_grad()
def _check(model: nn.Module, smaller: nn.Module, gone: Sequence[DepthPoint], inputs: Any) -> None:
    with unchanged(model), without_cache(model):
        model.eval()
        points = points_of(model, inputs, None)
        names = {point.name for point in gone}
        if not names <= {point.name for point in points}:
            points = tuple(gone)
        with bypassing(model, points, [place for place, point in enumerate(points) if point.name in names]):
            expected = main_tensor(call(model, inputs))
    with unchanged(smaller), without_cache(smaller):
        smaller.eval()
        found = main_tensor(call(smaller, inputs))
    if not _same(expected, found):
        raise ModelError(
            f"The {type(model).__name__} answers differently without {', '.join(sorted(names))} than when it skips them",
            "Each block is called once, in its place, and its answer used as it is",
            "Take the blocks out by hand",
        )


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or one.shape != other.shape:
        return False
    return bool((one - other).abs().max() <= ROUNDING * one.abs().max().clamp_min(torch.finfo(one.dtype).tiny))
