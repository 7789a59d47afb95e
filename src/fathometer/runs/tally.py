"""How far many runs have come, and how long the rest will take."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter

from fathometer.runs.chunks import AnyRun, cost
from fathometer.runs.progress import OnProgress, progress_bar


class Tally:
    """The steps that each run has done; time left is judged by what they cost, for a deep network takes longer."""

    def __init__(self, runs: Sequence[AnyRun]) -> None:
        self.steps = [asked.steps for _, asked in runs]
        self.costs = [cost(*run) for run in runs]
        self.done, self.finished, self.start = [0] * len(runs), set[int](), perf_counter()

    def note(self, places: Sequence[int], step: int) -> None:
        """Take down how many steps some runs have done."""
        for place in places:
            self.done[place] = step

    def finish(self, place: int) -> None:
        """Take down that a run is done, to its last step or not."""
        self.done[place] = self.steps[place]
        self.finished.add(place)

    @property
    def seconds_left(self) -> float:
        """Return the seconds until all runs are done if the rest goes as fast; infinite before the first step."""
        share = sum(cost * done / steps for cost, done, steps in zip(self.costs, self.done, self.steps, strict=True))
        return (perf_counter() - self.start) * (sum(self.costs) / share - 1) if share else float("inf")

    @property
    def facts(self) -> str:
        """Return how many runs are finished, and the time left, in words."""
        left = f" · {timedelta(seconds=round(self.seconds_left))} left" if any(self.done) else ""
        return f"{len(self.finished)} of {len(self.steps)} runs{left}"


@contextmanager
def telling(tally: Tally, progress: OnProgress | None) -> Iterator[Callable[[], object]]:
    """Hand out what tells where the tally stands: to `progress`, or in a bar."""
    total = sum(tally.steps)
    if progress is not None:
        yield lambda: progress(len(tally.finished), len(tally.steps), tally.seconds_left)
        return
    with progress_bar(total, lambda step, loss: tally.facts) as advance:
        yield lambda: advance(sum(tally.done), 0.0)
