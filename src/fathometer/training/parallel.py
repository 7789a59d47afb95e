"""Which of several processes this is, and tensors that they share."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn

from fathometer.errors import FathometerError, SpecError, shown
from fathometer.records import Asked
from fathometer.training.blocks import chains

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

# What is not made for weights that are spread: segments of several blocks; one scale for all; Muon's products; compilation.
ONE_PROCESS = {"checkpointing": ("sqrt",), "precision": ("float16",), "optimizer": ("muon",), "compile": (True,)}
_LET_GO = 0.2  # seconds for gloo's own threads to drop their last tensors: once the interpreter ends, doing so aborts the process
_OF_NETWORK = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")


def rank() -> int:
    """Return the number of this process among those of its run, from 0."""
    return distributed.get_rank() if _is_joined() else 0


def world() -> int:
    """Return how many processes share this run."""
    return distributed.get_world_size() if _is_joined() else 1


def average(value: float, device: torch.device) -> float:
    """Return the mean of a number over all processes; all of them must ask."""
    if world() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return total.item() / world()


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor that is spread over processes as one; all of them must ask."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def local(tensor: Tensor) -> Tensor:
    """Return this process's part of a tensor that is spread over processes."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def as_sharded(tensor: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor on the device of another one, spread over the processes as that one is."""
    placed = tensor.to(like.device)
    if not hasattr(like, "full_tensor"):
        return placed
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(placed, like.device_mesh, like.placements, src_data_rank=None)


def stacked(state: Tensor) -> Tensor:
    """Return a small CPU tensor of every process as one with an axis for the process; all of them must ask."""
    if world() == 1:
        return state[None]
    states = [torch.empty_like(state) for _ in range(world())]
    distributed.all_gather(states, state)
    return torch.stack(states)


@contextmanager
def joined() -> Iterator[bool]:
    """Join the processes that torchrun has started, for the time of a `with` block; hand out whether this is the first.

    Outside torchrun, and with one process, nothing is done. Raises `FathometerError` in the others where one of them is gone.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or _is_joined():
        yield rank() == 0
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(own_device("cuda"))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    before = signal.signal(signal.SIGTERM, _told_to_stop)
    try:
        yield rank() == 0
    except RuntimeError as problem:
        if isinstance(problem, distributed.DistError) or any(word in str(problem) for word in _OF_NETWORK):
            raise _one_is_gone() from problem
        raise
    finally:
        try:
            time.sleep(_LET_GO)
        finally:  # torchrun tells the others to end in this time: it is still heard, and they say why
            signal.signal(signal.SIGTERM, before)
    distributed.destroy_process_group()  # after an error it could wait for ever


def _told_to_stop(*_: object) -> None:
    raise _one_is_gone()  # so does torchrun end the others


def _one_is_gone() -> FathometerError:
    return FathometerError(
        f"Process {rank()} has lost another process of this run",
        "A run needs all of its processes to the end",
        "Start the same command again: it goes on from the latest checkpoint, also with another number of processes",
    )


def own_device(kind: str) -> str:
    """Return the device of this process: each has a GPU of its own."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" and "LOCAL_RANK" in os.environ else kind


def shard(model: nn.Module, asked: Asked) -> nn.Module:
    """Shard the weights of a module over all processes, block by block, in place (FSDP2); with one process do nothing.

    Raises `SpecError` for wishes that are kept in one process only, and for a torch that adds gradients up undivided.
    """
    if world() == 1:
        return model
    for name, values in ONE_PROCESS.items():
        if getattr(asked, name) in values:
            raise SpecError(
                f"`{name}` is {shown(getattr(asked, name))}, in a run of {world()} processes",
                "That is for one process",
                f"Leave `{name}` out, or start one process",
            )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(next(model.parameters()).device.type, (world(),))
    _check_mean(mesh)
    for block in dict.fromkeys(block for chain in chains(model) for block in chain):
        if next(block.parameters(), None) is not None:
            fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def _check_mean(mesh: "DeviceMesh") -> None:
    """Raise where torch's FSDP adds up the gradients of all processes and does not divide: 2.7 does so over gloo, in silence."""
    from torch.distributed.fsdp import fully_shard

    one = nn.Linear(1, mesh.size(), bias=False, device="meta").to_empty(device=mesh.device_type)  # draws nothing
    fully_shard(one, mesh=mesh)
    one(torch.ones(1, 1, device=mesh.device_type)).sum().backward()
    assert one.weight.grad is not None
    found = float(whole(one.weight.grad).mean())
    if found != 1.0:
        raise SpecError(
            f"torch {torch.__version__} makes {found:g} of gradients whose mean is 1, over {mesh.size()} processes",
            "Processes on CPUs need a torch that divides: 2.13 does",
            "Update torch, or start one process",
        )


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
