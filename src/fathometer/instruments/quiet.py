"""The same network without its dropout: what is measured is no chance."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_DROPS: tuple[Any, ...] = (
    F.dropout,
    F.dropout1d,
    F.dropout2d,
    F.dropout3d,
    F.alpha_dropout,
    F.feature_alpha_dropout,
    torch.dropout,
    torch.dropout_,
    torch.feature_dropout,
    torch.feature_dropout_,
    torch.alpha_dropout,
    torch.alpha_dropout_,
    torch.feature_alpha_dropout,
    torch.feature_alpha_dropout_,
)


class WithoutDropout(TorchFunctionMode):
    """A `with` block in which dropout hands its input on, as a module, a function or inside attention.

    Modes stay as they are: BatchNorm goes on as in training. Not seen: dropout between the layers of nn.LSTM and nn.GRU,
    and what a user's own code draws.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function, or for dropout give its input back."""
        kwargs = dict(kwargs or {})
        if func in _DROPS:
            return _first(args, kwargs)
        if func is F.scaled_dot_product_attention:
            args, kwargs = _still(args, kwargs)
        elif func is F.multi_head_attention_forward:
            kwargs["training"] = False  # all that it does with this is to switch dropout off
        return func(*args, **kwargs)


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    return args[0] if args else kwargs["input"]


def _still(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of attention (query, key, value, mask, dropout, …) with a dropout of 0."""
    return ((*args[:4], 0.0, *args[5:]), kwargs) if len(args) > 4 else (args, {**kwargs, "dropout_p": 0.0})
