"""From a module on the meta device to one that runs without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from fathometer.errors import ModelError
from fathometer.implicit.matrix import Session, shape_words
from fathometer.implicit.weight import ImplicitWeight, implicit_parameter

SMALLEST = 2**16  # entries; a smaller matrix is made, which costs nothing
MOST_REAL = 2**28  # entries of all tensors together that are made: 1 GiB in float32


@dataclass(frozen=True)
class Start:
    """How the entries of a tensor begin: independent, with mean `mean` and this standard deviation.

    `kind` is "normal", "truncated normal", "uniform" or "constant"; anything else, as "orthogonal", is refused where it would
    have to be sampled.
    """

    std: float
    kind: str = "normal"
    mean: float = 0.0


def make_implicit(
    model: nn.Module, starts: Mapping[str, Start | None], session: Session, *, smallest: int = SMALLEST, device: str = "cpu"
) -> None:
    """Replace every large matrix of a module on the meta device by an implicit one, and make the rest on that device.

    A matrix is a parameter with two axes, or three for a stack of them. The rest that is on the meta device, small or
    convolutional tensors, is made from `starts`. Vectors take no gradient, as no verdict asks for one. Raises `ModelError` for
    a tensor whose start is not known or cannot be sampled, and where the rest is too large to be made.
    """
    done, real = dict[int, nn.Parameter](), 0
    generator = torch.Generator().manual_seed(session.seed)
    for path, module in model.named_modules():
        for key, parameter in module._parameters.items():
            if parameter is None or not parameter.is_meta or isinstance(parameter, ImplicitWeight):
                continue
            name = f"{path}.{key}" if path else key
            if id(parameter) not in done:
                start = _known(name, starts)
                if is_matrix(parameter) and parameter.numel() >= smallest:
                    _check_start(name, parameter, start)
                    done[id(parameter)] = implicit_parameter(
                        name, tuple(parameter.shape), start.std, session, parameter.dtype, start.kind
                    )
                else:
                    real += parameter.numel()
                    _check_room(name, parameter, real)
                    done[id(parameter)] = _made(parameter, start, generator, device)
            module._parameters[key] = done[id(parameter)]
    for module in model.modules():
        for key, buffer in module._buffers.items():
            module._buffers[key] = None if buffer is None else buffer.to(device)
    for parameter in model.parameters():
        if not isinstance(parameter, ImplicitWeight):
            parameter.data = parameter.data.to(device)
        parameter.requires_grad_(parameter.ndim > 1)


def is_matrix(parameter: torch.Tensor) -> bool:
    """Return whether a parameter multiplies vectors as a whole: `(out, in)`, or a stack `(expert, …, …)` of such."""
    return parameter.ndim == 2 or (parameter.ndim == 3 and min(parameter.shape) > 1)


def _known(name: str, starts: Mapping[str, Start | None]) -> Start:
    start = starts.get(name)
    if start is None:
        raise ModelError(
            f"It is not known how `{name}` starts",
            "A weight that is not made is drawn from its own initialisation",
            "Give the model a method that initialises it, or build it at full size",
        )
    return start


def _check_start(name: str, parameter: torch.Tensor, start: Start) -> None:
    if start.kind not in ("normal", "uniform", "truncated normal") and start.std != 0:
        raise ModelError(
            f"`{name}`, {shape_words(tuple(parameter.shape))}, starts as {start.kind}",
            "Only independent entries of mean 0 can be sampled without making the matrix",
            'Try init = "gpt2", "he", "lecun", "xavier" or "mup"',
        )
    if start.mean != 0:
        raise ModelError(
            f"`{name}`, {shape_words(tuple(parameter.shape))}, starts with mean {start.mean:g}",
            "Only entries of mean 0 can be sampled without making the matrix",
            "Initialise it around 0",
        )


def _check_room(name: str, parameter: torch.Tensor, real: int) -> None:
    if real > MOST_REAL:
        raise ModelError(
            f"`{name}`, {shape_words(tuple(parameter.shape))}, is neither a matrix nor small",
            f"Of all that must be made there are {real / 1e6:.0f}M numbers by now, and room for {MOST_REAL / 1e6:.0f}M",
            "Convolutions are not sampled: give the network a smaller one",
        )


@torch.no_grad()
def _made(parameter: nn.Parameter, start: Start, generator: torch.Generator, device: str) -> nn.Parameter:
    value = torch.empty(parameter.shape, dtype=torch.float32)
    if start.std == 0:
        value.fill_(start.mean)
    elif start.kind == "uniform":
        bound = 3**0.5 * start.std  # U(-b, b) has std b/√3
        value.uniform_(start.mean - bound, start.mean + bound, generator=generator)
    else:
        value.normal_(start.mean, start.std, generator=generator)
    return nn.Parameter(value.to(device=device, dtype=parameter.dtype))
