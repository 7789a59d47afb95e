"""The processes that train one model: their numbers as one process's."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed, nn


class Ranks:
    """The processes that share a model (DDP, FSDP2); alone, every method gives back what it is given.

    A process group by itself does not count: where each process trains a model of its own, nothing may be added up.
    """

    def __init__(self, model: nn.Module) -> None:
        self.is_shared = _is_shared(model)
        self.count = distributed.get_world_size() if self.is_shared else 1

    @property
    def is_first(self) -> bool:
        """Return whether this process writes."""
        return not self.is_shared or distributed.get_rank() == 0

    def all_rows(self, samples: Tensor) -> Tensor:
        """Return the rows `(point, sample, unit)` of all processes, as many of each as all have."""
        if not self.is_shared:
            return samples
        least = torch.tensor(samples.shape[1:], device=samples.device)
        distributed.all_reduce(least, distributed.ReduceOp.MIN)
        rows, units = least.tolist()
        own = samples[:, :rows, :units].contiguous()
        parts = [torch.empty_like(own) for _ in range(self.count)]
        distributed.all_gather(parts, own)
        return torch.cat(parts, dim=1)

    def total(self, vector: Tensor) -> Tensor:
        """Return the sum over the processes."""
        if self.is_shared:
            vector = vector.clone()
            distributed.all_reduce(vector)
        return vector

    def mean(self, vector: Tensor) -> Tensor:
        """Return the mean over the processes."""
        return self.total(vector) / self.count if self.is_shared else vector

    def most(self, numbers: Sequence[float], device: torch.device) -> list[float]:
        """Return the largest of each number over the processes."""
        if not self.is_shared:
            return list(numbers)
        vector = torch.tensor(numbers, dtype=torch.float64, device=device)
        distributed.all_reduce(vector, distributed.ReduceOp.MAX)
        return vector.tolist()


def _is_shared(model: nn.Module) -> bool:
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return False
    is_replica = any(type(module).__name__ == "DistributedDataParallel" for module in model.modules())
    return is_replica or any(hasattr(parameter, "full_tensor") for parameter in model.parameters())
