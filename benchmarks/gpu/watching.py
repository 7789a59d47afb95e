"""What a watch costs a GPU: time at every nth step, memory, and waits of the host on steps that are not measured."""

import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.device import begin_peak, made, peak, place_of, seconds, settle
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.training import RATE, batches, cross_entropy
from fathometer.diagnosis import Watch
from fathometer.diagnosis import watch as watch_run
from fathometer.training.precision import casting

Found = list[dict[str, Any]]
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
READS = ("aten::_local_scalar_dense",)  # numbers read by the host: on a CPU they stand in for waits, so that something is counted
NEVER = 10**6


class Loop:
    """The least loop in bf16 over compiled blocks, which never reads its loss: a wait of the watch would be the only one."""

    def __init__(self, sizes: Sizes) -> None:
        self.place, (spec, batch) = place_of(sizes), sizes.watched
        self.model, self.pairs = made(spec, self.place), batches(spec, batch, self.place)
        for block in self.model.blocks:
            block.compile()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, fused=True)

    def run(self, steps: int, seen: Watch | None = None) -> None:
        """Take some steps."""
        for _ in range(steps):
            inputs, targets = next(self.pairs)
            self.optimizer.zero_grad()
            with casting("bfloat16", self.place):
                loss = cross_entropy(self.model(inputs), targets)
            loss.backward()
            self.optimizer.step()
            if seen is not None:
                seen.step(loss)

    def watched(self, every: int) -> Watch:
        """Return the watch of this loop."""
        return watch_run(self.model, self.optimizer, every=every)


def watch_time(sizes: Sizes) -> Found:
    """Return the time of watched spans over that of bare ones, for every nth step: the median of rounds, which take turns.

    Each round's watch has measured twice before its span begins, so its hooks are on and its depth points are found; a span
    holds as many measured steps as it is n long, and one more at most.
    """
    loop = Loop(sizes)
    loop.run(3)
    return [_span(loop, every, steps, sizes.rounds) for every, steps in sizes.spans]


def _span(loop: Loop, every: int, steps: int, rounds: int) -> dict[str, Any]:
    ratios, bare = [], []
    for _ in range(rounds):
        bare.append(seconds(lambda: loop.run(steps), loop.place))
        with loop.watched(every) as seen:
            loop.run(2 * every if every < 50 else every, seen)
            measured = len(seen.readings)
            ratios.append(seconds(lambda seen=seen: loop.run(steps, seen), loop.place) / bare[-1])
            measured = len(seen.readings) - measured
    words = (
        f"{1e3 * median(bare) / steps:.1f} ms bare; {min(ratios):.3f} to {max(ratios):.3f}; {measured} of {steps} steps measured"
    )
    return {"what": f"every {every}", "measured": median(ratios), "detail": words}


def watch_memory(sizes: Sizes) -> Found:
    """Return the peak of the device's memory when every step is watched, over that of bare steps."""
    loop = Loop(sizes)
    loop.run(3)
    begin_peak(loop.place)
    loop.run(3)
    bare = peak(loop.place)
    with loop.watched(1) as seen:
        loop.run(3, seen)
        begin_peak(loop.place)
        loop.run(3, seen)
        full = peak(loop.place)
    return [{"what": "peak memory", "measured": full / bare, "detail": f"{full / 1e9:.2f} over {bare / 1e9:.2f} GB"}]


def watch_waits(sizes: Sizes) -> Found:
    """Return how often the host waits for the device on steps that are not measured, beyond a bare loop, counted twice.

    Once by torch's own debug mode, which says each wait; once in a profile of both loops.
    """
    loop = Loop(sizes)
    loop.run(3)
    bare_said, bare_seen = _said(loop, lambda: loop.run(sizes.idle)), _profiled(loop, lambda: loop.run(sizes.idle))
    with loop.watched(NEVER) as seen:
        loop.run(4, seen)  # the first is measured, the next takes the hooks off
        settle(loop.place)
        said, found = _said(loop, lambda: loop.run(sizes.idle, seen)), _profiled(loop, lambda: loop.run(sizes.idle, seen))
    words = f"in {sizes.idle} steps: said {said} (bare {bare_said}), profiled {found} (bare {bare_seen})"
    return [
        {"what": "waits, said by torch", "measured": float(said - bare_said), "detail": words},
        {"what": "waits, profiled", "measured": float(found - bare_seen), "detail": words},
    ]


def _said(loop: Loop, work: Callable[[], None]) -> int:
    """Return how many waits torch's debug mode warns of; on a CPU it has none to say."""
    if loop.place.type != "cuda":
        work()
        return 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(warning.message) for warning in told)


def _profiled(loop: Loop, work: Callable[[], None]) -> int:
    """Return how many waits a profile holds; the profiler's own, at its end, are in every profile."""
    on_device = loop.place.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]
    with profile(activities=kinds) as seen:
        work()
    return sum(event.count for event in seen.key_averages() if event.key in (WAITS if on_device else READS))
