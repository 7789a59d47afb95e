"""Many runs: as stacks where that is faster, and on any executor."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Any

from torch import nn

from fathometer.errors import BatchError, FathometerError, SpecError, unknown_name
from fathometer.records import Asked, Record
from fathometer.runs.chunks import AnyRun, cut
from fathometer.runs.executors import hand_out
from fathometer.runs.finished import Finished, fingerprint, key_of
from fathometer.runs.progress import OnProgress
from fathometer.runs.run import named_data
from fathometer.runs.stacked_data import source_of
from fathometer.runs.tally import Tally, telling
from fathometer.runs.work import Failed, Result, Work, results
from fathometer.spec import ConvNet, Mlp, Spec, Transformer, preset

STACK = ("auto", "always", "never")


class RunsError(FathometerError):
    """Some of many runs failed: `records` holds those of the others, in order, and `reasons` why, by the place of the run."""

    def __init__(self, runs: Sequence[AnyRun], records: Sequence[Record | None], reasons: Mapping[int, str]) -> None:
        self.records, self.reasons = tuple(records), dict(reasons)
        place, reason = next(iter(self.reasons.items()))
        super().__init__(
            f"{len(self.reasons)} of {len(runs)} runs failed: {reason} (run {place}, {_words(runs[place])})",
            f"The other {len(runs) - len(self.reasons)} are done, and in `records` of this error; all reasons are in `reasons`",
            "Mend those runs or leave them out; with a `folder` the others are not done again",
        )


def many(
    runs: Iterable[tuple[Spec | str | nn.Module, Asked]],
    *,
    data: Any = None,
    executor: Executor | None = None,
    progress: OnProgress | None = None,
    stack: str = "auto",
    folder: str | Path | None = None,
) -> tuple[Record, ...]:
    """Train many networks, each as `train` would, and return their records in order.

    MLPs of one width and one kind, on batches of one size for as many steps, train as one stack of hand-batched products;
    they may differ in depth, seed, start, optimizer, rates, schedule and clipping. Losses equal those of `train` to float32
    rounding, which an unstable run may make much of. "auto" lets a short probe decide whether a stack is faster, "always" does
    not ask, "never" trains one after another; so does everything that is no such MLP, or reads data that are neither a data
    set nor a pair of tensors. Where the last bit matters, say one of these two: "auto" goes by the clock.

    `executor` is any of `concurrent.futures`: `local_pool()`, or that of a Dask client; None is this process. `progress` is
    called with (finished runs, all runs, seconds left); None draws a bar on a terminal. With a `folder` every finished run is
    on disk at once (those of a stack together), and found again when the same run is asked for: what a stop has cut short goes
    on from there. A record's `seconds` are its equal share of its stack's.

    Raises `RunsError`, after all others are done, where runs failed: it says which and why, and holds the finished records.

    >>> from fathometer import Mlp
    >>> records = many([(Mlp(depth=depth), Asked(steps=5)) for depth in (1, 2)])
    >>> [(record.network["depth"], len(record.losses)) for record in records]
    [(1, 5), (2, 5)]
    """
    if stack not in STACK:
        raise unknown_name("way to stack", stack, STACK)
    asked_for, source = [_resolve(place, run) for place, run in enumerate(runs)], named_data(data)
    _check_again(source, len(asked_for))
    finished, keys, found = None, list[str](), dict[int, Record | Failed]()
    if folder is not None:
        own = fingerprint(source)
        finished, keys = Finished(folder), [key_of(run, own) for run in asked_for]
        found |= {place: finished.records[key] for place, key in enumerate(keys) if key in finished.records}
    places = [place for place in range(len(asked_for)) if place not in found]
    with closing(_train([asked_for[place] for place in places], source, executor, progress, stack)) as done:
        for index, result in done:
            found[places[index]] = result
            if finished is not None and isinstance(result, Record):
                finished.add(keys[places[index]], result)
    return _all(asked_for, found)


def _train(
    runs: Sequence[AnyRun], data: Any, executor: Executor | None, progress: OnProgress | None, stack: str
) -> Generator[Result]:
    """Yield the place and the result of each run, as they come."""
    is_shared = executor is not None
    chunks = cut(runs, source_of(data), stack, is_shared=is_shared)
    work = [Work(places, tuple(runs[place] for place in places), data, stack) for places in chunks]
    tally = Tally(runs)
    with telling(tally, progress) as tell:

        def tick(places: Sequence[int], step: int) -> None:
            tally.note(places, step)
            tell()

        here = (result for piece in work for result in results(piece, tick))
        for place, result in here if executor is None else hand_out(work, executor):
            yield place, result  # before it is told: what is told is on disk
            tally.finish(place)
            tell()


def _resolve(place: int, run: Any) -> AnyRun:
    """Return a run with its preset found; raise `SpecError` for what is no run."""
    network, asked = run if isinstance(run, tuple | list) and len(run) == 2 else (None, None)
    network = preset(network) if isinstance(network, str) else network
    if not isinstance(network, Mlp | ConvNet | Transformer | nn.Module) or not isinstance(asked, Asked):
        raise SpecError(
            f"Run {place} is {run!r:.100}", "A run is a pair of a network and an `Asked`", "Try (Mlp(depth=5), Asked(steps=200))"
        )
    return network, asked


def _check_again(data: Any, count: int) -> None:
    """Raise `BatchError` for data that only one run can read."""
    if count > 1 and source_of(data) is None and isinstance(data, Iterator):
        raise BatchError(
            f"The data are a {type(data).__name__}, which is read once",
            f"Each of {count} runs reads them from the start",
            "Give a list, a loader or a data set",
        )


def _all(runs: Sequence[AnyRun], found: dict[int, Record | Failed]) -> tuple[Record, ...]:
    records = tuple(result if isinstance(result := found[place], Record) else None for place in range(len(runs)))
    reasons = {place: result.reason for place, result in sorted(found.items()) if isinstance(result, Failed)}
    if reasons:
        raise RunsError(runs, records, reasons)
    return tuple(record for record in records if record is not None)


def _words(run: AnyRun) -> str:
    network, asked = run
    return f"{type(network).__name__ if isinstance(network, nn.Module) else network} with seed {asked.seed}"
