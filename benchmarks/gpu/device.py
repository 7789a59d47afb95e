"""Where a row runs, and what is read off it: seconds, bytes, the peak."""

from collections.abc import Callable
from time import perf_counter

import torch

from benchmarks.gpu.sizes import Sizes
from benchmarks.peak_memory import peak_bytes
from fathometer.networks import Network, build, initialize
from fathometer.scaling import peak_flops
from fathometer.spec import Spec

REHEARSED_BYTES, REHEARSED_PEAK = 2e9, 1e11  # stand in for a GPU's where only the code is tried


def place_of(sizes: Sizes) -> torch.device:
    """Return the GPU, or the CPU where only the code is tried."""
    return torch.device("cpu" if sizes.rehearsal else "cuda")


def settle(place: torch.device) -> None:
    """Wait until all that was asked of a device is done."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)


def seconds(work: Callable[[], object], place: torch.device) -> float:
    """Return the wall seconds of some work, from an idle device to an idle device."""
    settle(place)
    start = perf_counter()
    work()
    settle(place)
    return perf_counter() - start


def begin_peak(place: torch.device) -> None:
    """Let the peak of the device's memory begin at what is held now; that of a process on a CPU has no second beginning."""
    if place.type == "cuda":
        settle(place)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(place)


def peak(place: torch.device) -> int:
    """Return the most bytes of tensors that the device held; of the process, on a CPU."""
    return torch.cuda.max_memory_allocated(place) if place.type == "cuda" else peak_bytes()


def room(place: torch.device) -> float:
    """Return the bytes of the device that are free."""
    return float(torch.cuda.mem_get_info(place)[0]) if place.type == "cuda" else REHEARSED_BYTES


def chip_flops(place: torch.device) -> float | None:
    """Return the dense bf16 products and sums a second that the data sheet promises; None for a chip that we do not know."""
    return peak_flops(torch.cuda.get_device_name(place), "bfloat16") if place.type == "cuda" else REHEARSED_PEAK


def made(spec: Spec, place: torch.device) -> Network:
    """Return a network drawn where it lives: a billion numbers take a CPU ten seconds and more."""
    model = build(spec, device="meta").to_empty(device=place)
    initialize(model, torch.Generator(place).manual_seed(0))
    return model
