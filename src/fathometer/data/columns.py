"""Samples that are read by number: tensors, and tensors turned late."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Column(Protocol):
    """What batches are read from: a tensor, or anything with a length that gives a tensor for numbers or a slice."""

    def __len__(self) -> int: ...

    def __getitem__(self, numbers: Any, /) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Converted:
    """A tensor that is kept small, and turned into what a network takes only for the samples asked for.

    >>> import torch
    >>> Converted(torch.tensor([0, 255], dtype=torch.uint8), Tensor.float)[1:]
    tensor([255.])
    """

    stored: Tensor
    convert: Callable[[Tensor], Tensor]

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, numbers: Any, /) -> Tensor:
        return self.convert(self.stored[numbers])
