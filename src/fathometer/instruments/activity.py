"""What blocks do to their units: activations, dead ones, batch norms."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fathometer.instruments.taps import Hearer

MIN_SAMPLES = 16  # with fewer, a healthy unit is often 0 for all of them (2 samples: one in four)
# Where the slope falls under 1% of its largest value: tanh′(2.99) = 0.01, sigmoid′(5.98) = 0.0025.
FLAT_BEYOND = {"tanh": 2.993, "sigmoid": 5.986, "hardtanh": 1.0}


def dead_share(name: str, inputs: Tensor) -> float | None:
    """Return the share of units whose ReLU input is never positive; None for other activations or too few samples.

    A unit is a channel of images `(batch, channel, height, width)` and volumes, else an entry of the last axis. Three axes
    are read as `(batch, time, width)`; of one-dimensional convolutions `(batch, channel, time)` it is then each time step
    that counts as a unit, which is seldom dead: there, a share of 0 says little.
    """
    if name != "relu" or inputs.ndim < 2 or not inputs.numel():
        return None
    axis = 1 if inputs.ndim > 3 else inputs.ndim - 1
    if inputs.numel() // inputs.shape[axis] < MIN_SAMPLES:
        return None
    largest = inputs.amax(dim=[other for other in range(inputs.ndim) if other != axis])
    return int(torch.count_nonzero(largest <= 0)) / largest.numel()


def saturated_share(name: str, inputs: Tensor) -> float | None:
    """Return the share of inputs where a saturating activation is flat; None for other activations."""
    if name not in FLAT_BEYOND or not inputs.numel():
        return None
    return int(torch.count_nonzero(inputs.abs() > FLAT_BEYOND[name])) / inputs.numel()


# Every way that torch offers to call an activation, by the name of the function.
HEARD = {
    "relu": "relu", "relu_": "relu", "leaky_relu": "leaky_relu", "leaky_relu_": "leaky_relu", "elu": "elu", "elu_": "elu",
    "gelu": "gelu", "silu": "silu", "tanh": "tanh", "tanh_": "tanh", "sigmoid": "sigmoid", "sigmoid_": "sigmoid",
    "selu": "selu", "selu_": "selu", "relu6": "relu", "hardtanh": "hardtanh", "hardtanh_": "hardtanh",
}  # fmt: skip
_FUNCTIONS: dict[Any, str] = {
    getattr(home, function): name
    for function, name in HEARD.items()
    for home in (F, torch, torch.Tensor)
    if hasattr(home, function)
}


def activation_hearers(on_activation: Callable[[str, Tensor], None]) -> dict[Any, Hearer]:
    """Return what an `Ear` needs to tell the name of every activation and its input, before that may be overwritten."""

    def hearer_of(name: str) -> Hearer:
        def hear(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = dict(zip(("input", "min_val", "max_val"), args, strict=False)) | kwargs
            called = _hardtanh_as(given.get("min_val", -1), given.get("max_val", 1)) if name == "hardtanh" else name
            if called is not None and isinstance(given.get("input"), Tensor):
                on_activation(called, given["input"].detach())

        return hear

    return {function: hearer_of(name) for function, name in _FUNCTIONS.items()}


def _hardtanh_as(low: int | float, high: int | float) -> str | None:
    """Return what to call torch's hardtanh: with the limits 0 and 6 it is how nn.ReLU6 is made."""
    if low == 0:
        return "relu"
    return "hardtanh" if (low, high) == (-1, 1) else None


WEIGHTED = (F.linear, F.bilinear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def layer_hearers(on_weighted: Callable[[], None], on_batch_norm: Callable[[], None]) -> dict[Any, Hearer]:
    """Return what an `Ear` needs to tell of every layer with weights, and of every norm over the batch (not by stored means)."""

    def hear_norm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if args[5] if len(args) > 5 else kwargs.get("training", False):
            on_batch_norm()

    return {**dict.fromkeys(WEIGHTED, lambda args, kwargs: on_weighted()), F.batch_norm: hear_norm}
