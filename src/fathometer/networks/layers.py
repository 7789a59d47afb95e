"""Activations and norms as torch modules, by the names a spec uses."""

from collections.abc import Callable

from torch import nn

from fathometer.activations import LEAKY_SLOPE
from fathometer.errors import look_up

EPSILON = 1e-5  # torch's default for LayerNorm and BatchNorm; RMSNorm gets the same, so that norms differ in nothing else

ACTIVATION_MODULES: dict[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(LEAKY_SLOPE),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU("tanh"),
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "selu": nn.SELU,
}
NORM_MODULES: dict[str, Callable[[int, bool], nn.Module]] = {
    "layer": lambda width, bias: nn.LayerNorm(width, eps=EPSILON, bias=bias),
    "rms": lambda width, bias: nn.RMSNorm(width, eps=EPSILON),
    "batch": lambda width, bias: nn.BatchNorm1d(width, eps=EPSILON),
}
IMAGE_NORM_MODULES: dict[str, Callable[[int], nn.Module]] = {
    "batch": lambda channels: nn.BatchNorm2d(channels, eps=EPSILON),
    "layer": lambda channels: nn.GroupNorm(1, channels, eps=EPSILON),
}
NORMS = (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)


def make_activation(name: str) -> nn.Module:
    """Return a new module for the activation of that name.

    >>> make_activation("tanh")
    Tanh()
    """
    return look_up("activation", name, ACTIVATION_MODULES)()


def make_norm(kind: str | None, width: int, *, bias: bool = True) -> nn.Module:
    """Return a new norm over `width` units; the identity where there is none.

    Without `bias` a layer norm has gains alone, as an RMS norm always does.
    """
    return nn.Identity() if kind is None else look_up("norm", kind, NORM_MODULES)(width, bias)


def make_image_norm(kind: str | None, channels: int) -> nn.Module:
    """Return a new norm over images `(batch, channels, height, width)`; the identity where there is none."""
    return nn.Identity() if kind is None else look_up("norm of a convnet", kind, IMAGE_NORM_MODULES)(channels)
