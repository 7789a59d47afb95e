"""Another activation, norm or path: code that runs, shown to paste."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def swap_activation(model: nn.Module, old: type[nn.Module], new: type[nn.Module]) -> nn.Module:
    """Replace every activation module of one class by one of another."""
    for name in [name for name, module in model.named_modules(remove_duplicate=False) if type(module) is old]:
        model.set_submodule(name, new())
    return model


class Residual(nn.Module):
    """x + scale * f(x) around any module that keeps the shape; where it does not, f(x) alone. Of a tuple: its first part."""

    def __init__(self, *layers: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.branch = layers[0] if len(layers) == 1 else nn.Sequential(*layers)
        self.scale = scale

    def forward(self, x: torch.Tensor, *rest: object, **named: object) -> Any:
        result = self.branch(x, *rest, **named)
        change = result[0] if isinstance(result, tuple) else result
        y = x + self.scale * change if change.shape == x.shape else change
        return (y, *result[1:]) if isinstance(result, tuple) else y

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:  # what a model reads of its block
            return getattr(super().__getattr__("branch"), name)


def add_residual(model: nn.Module, blocks: Sequence[Sequence[str]], scale: float) -> nn.Module:
    """Wrap each block, given by the names of the modules that make it up, in a residual connection."""
    for names in blocks:
        layers = [model.get_submodule(name) for name in names]
        model.set_submodule(names[0], Residual(*layers, scale=scale))
        for name in names[1:]:
            model.set_submodule(name, nn.Identity())
    return model


class ScaledBranch(nn.Module):
    """x + scale * (block(x) - x): a residual block whose branch is made weaker. Of a tuple: its first part."""

    def __init__(self, block: nn.Module, scale: float) -> None:
        super().__init__()
        self.block, self.scale = block, scale

    def forward(self, x: torch.Tensor, *rest: object, **named: object) -> Any:
        result = self.block(x, *rest, **named)
        y = result[0] if isinstance(result, tuple) else result
        y = x + self.scale * (y - x) if y.shape == x.shape else y
        return (y, *result[1:]) if isinstance(result, tuple) else y

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:  # what a model reads of its block
            return getattr(super().__getattr__("block"), name)


def scale_branches(model: nn.Module, blocks: Sequence[str], scale: float) -> nn.Module:
    """Make the branch of each named residual block weaker by a factor."""
    for name in blocks:
        model.set_submodule(name, ScaledBranch(model.get_submodule(name), scale))
    return model


class Normed(nn.Module):
    """A linear layer behind a LayerNorm."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        weight = next(layer.parameters())  # (outputs, inputs)
        self.norm, self.layer = nn.LayerNorm(weight.shape[1], device=weight.device, dtype=weight.dtype), layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.norm(x))

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:  # what a model reads of its layer
            return getattr(super().__getattr__("layer"), name)


def add_norm(model: nn.Module, layers: Sequence[str]) -> nn.Module:
    """Put a LayerNorm in front of each named linear layer."""
    for name in layers:
        model.set_submodule(name, Normed(model.get_submodule(name)))
    return model


def remove_module(model: nn.Module, name: str) -> nn.Module:
    """Take one module out: what enters it leaves it."""
    model.set_submodule(name, nn.Identity())
    return model


def put_norm_first(model: nn.Module) -> nn.Module:
    """Normalise what enters each branch and no longer the stream, in all layers that have torch's switch `norm_first`."""
    for module in model.modules():
        if hasattr(module, "norm_first"):
            vars(module)["norm_first"] = True
    return model


def unfreeze(model: nn.Module) -> nn.Module:
    """Let all parameters move."""
    return model.requires_grad_(True)
