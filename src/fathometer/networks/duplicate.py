"""Grow any module: copies of its own blocks, with zeros that are found."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import call, main_tensor
from fathometer.errors import ModelError
from fathometer.networks.empty import Unit, heard, what_to_zero
from fathometer.networks.growth import Growth, alike, check_growth, lay_out

Stack = nn.ModuleList | nn.Sequential
ROUNDING = 1e-6  # of the largest number: what float32 may change where nothing is changed
_PLACES_IN_A_CACHE = ("layer_idx", "layer_id")  # how blocks of Hugging Face know which one they are


def duplicate(model: nn.Module, to: int, *, inputs: Any, where: str, blocks: str | None) -> Growth:
    """Return a grown copy of a module that has a list of like residual blocks; see `deepen`."""
    if inputs is None:
        raise ModelError(
            f"The {type(model).__name__} was not made by `build`, and there are no `inputs`",
            "What must be zero for a block to be the identity is found by measuring",
            "Pass inputs= as the model takes them; two samples are enough",
        )
    name = _find_stack(model) if blocks is None else blocks
    grown, old_stack = deepcopy(model), _stack_at(model, name)
    check_growth([len(old_stack)], [to], f"`to` = {to}")
    stack, layout = _stack_at(grown, name), lay_out([len(old_stack)], [to], where)
    moved: dict[Tensor, nn.Parameter] = dict(zip(model.parameters(), grown.parameters(), strict=True))
    modes = [(module, module.training) for module in grown.modules()]
    before, arguments = heard(grown.eval(), stack[-1], inputs)
    growth = Growth(grown, layout, moved)
    if any(is_new for _, is_new in layout):
        modes += _insert(growth, stack, old_stack, what_to_zero(stack[-1], arguments))
        _renumber(grown, stack, len(old_stack))
    _check_unchanged(before, grown, inputs)
    for module, mode in modes:
        module.training = mode
    return growth


def _insert(growth: Growth, stack: Stack, old_stack: Stack, zeros: list[Unit]) -> list[tuple[nn.Module, bool]]:
    """Put the new blocks into a stack; return their modules with the mode, train or eval, of those that they copy."""
    old_blocks, blocks, modes = list(stack), list[nn.Module](), list[tuple[nn.Module, bool]]()
    for index, is_new in growth.layout:
        # The first block of a stage may be of another shape than those behind it.
        source = index if _likeness(old_blocks[index]) == _likeness(old_blocks[-1]) else len(old_blocks) - 1
        blocks.append(_emptied(old_blocks[source], zeros) if is_new else old_blocks[index])
        if is_new:
            growth.kin.update(alike(blocks[-1], old_stack[source]))
            pairs = zip(blocks[-1].modules(), old_stack[source].modules(), strict=True)
            modes += [(new, old.training) for new, old in pairs]
    del stack[:]
    stack.extend(blocks)
    return modes


@torch.no_grad()
def _emptied(block: nn.Module, zeros: list[Unit]) -> nn.Module:
    twin = deepcopy(block).requires_grad_(True)
    for unit in zeros:
        for name in unit:
            twin.get_parameter(name).zero_()
    return twin


def _find_stack(model: nn.Module) -> str:
    sizes = {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in model.named_modules()
        if isinstance(module, Stack) and len(module) > 1 and _is_stack(list(module))
    }
    if not sizes:
        raise ModelError(
            f"The {type(model).__name__} has no list of like blocks",
            "Depth grows by blocks of a ModuleList or Sequential, which share their class and shapes",
            "Name the list with blocks=",
        )
    return max(sizes, key=lambda name: sizes[name])


def _is_stack(blocks: list[nn.Module]) -> bool:
    is_one_kind = len({type(block) for block in blocks}) == 1
    return is_one_kind and _likeness(blocks[-1]) == _likeness(blocks[-2]) and any(True for _ in blocks[-1].parameters())


def _likeness(block: nn.Module) -> tuple[Any, ...]:
    return (type(block), *((name, parameter.shape) for name, parameter in block.named_parameters()))


def _stack_at(model: nn.Module, name: str) -> Stack:
    stack = dict(model.named_modules()).get(name)
    if not isinstance(stack, Stack) or len(stack) == 0:
        found = "no such module" if stack is None else f"a {type(stack).__name__}"
        raise ModelError(f'`blocks` is "{name}": {found}', "It names a ModuleList or Sequential with blocks", "Check the name")
    return stack


def _renumber(model: nn.Module, stack: Stack, before: int) -> None:
    for index, block in enumerate(stack):
        for module in block.modules():
            for name in _PLACES_IN_A_CACHE:
                if isinstance(getattr(module, name, None), int):
                    setattr(module, name, index)
    config: Any = getattr(model, "config", None)
    if config is not None and getattr(config, "num_hidden_layers", None) == before:
        config.num_hidden_layers = len(stack)


@torch.no_grad()
def _check_unchanged(before: Tensor, grown: nn.Module, inputs: Any) -> None:
    after = main_tensor(call(grown, inputs))
    assert after is not None
    change = float((after - before).abs().max() / before.abs().max().clamp_min(torch.finfo(before.dtype).tiny))
    if not change <= ROUNDING:
        raise ModelError(
            f"The grown {type(grown).__name__} answers differently, by {change:.1e} of its largest output",
            "Its blocks must take and give the stream alone, and each be the identity where the last one is",
            'Try where="end", or name another list with blocks=',
        )
