"""Would a stack of runs be faster than one run after another?"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from time import process_time

from fathometer.networks import build, scales
from fathometer.parametrizations import WIDTH_AWARE
from fathometer.runs.stacked_data import Source
from fathometer.runs.stacked_run import Run, StackedRun
from fathometer.training import fit

STEPS = 3  # the first is slower than the rest, and the faster of the others counts
SHARE = 0.02  # of the steps asked for, that a probe may cost
WIDE = 2**24  # products of one layer of one run: where runs are too short to probe, a stack is faster below


def is_stack_faster(stack: StackedRun, source: Source) -> bool:
    """Return whether a step of the stack takes less processor time than a step of each of its runs alone.

    The stack's steps are part of its training. Runs alone are timed at the least and the greatest depth, on copies, and a
    straight line between them stands for the rest. Runs too short to be worth a probe are judged by their width; where a GPU
    waits for its orders, the one who gives fewer is faster.
    """
    spec, asked = stack.runs[0]
    if stack.optimizer.device.type != "cpu":
        return True
    if asked.steps * SHARE < STEPS:
        return asked.batch_size * spec.width**2 < WIDE
    together = _fastest(lambda tick: [(stack.advance(), tick()) for _ in range(STEPS) if not stack.is_over])
    return together < sum(_alone(stack.runs, source))


def _alone(runs: Sequence[Run], source: Source) -> list[float]:
    """Return about how long a step of each run takes alone."""
    ordered = sorted(runs, key=lambda run: run[0].depth)
    (least, short), (most, long) = ((run[0].depth, _step_of(run, source)) for run in (ordered[0], ordered[-1]))
    slope = (long - short) / max(1, most - least)
    return [short + slope * (spec.depth - least) for spec, _ in runs]


def _step_of(run: Run, source: Source) -> float:
    spec, asked = run
    model = build(spec, seed=asked.seed)
    multipliers = scales(model) if spec.init in WIDTH_AWARE else None
    batches = list(islice(source.batches(asked), STEPS))
    few = replace(asked, steps=STEPS)
    return _fastest(lambda tick: fit(model, batches, few, scales=multipliers, on_step=lambda step, loss: tick()))


def _fastest(steps: Callable[[Callable[[], None]], object]) -> float:
    """Return the processor seconds of the fastest step after the first; `steps` calls what it is given after each."""
    times = [process_time()]
    steps(lambda: times.append(process_time()))
    return min((after - before for before, after in pairwise(times[1:])), default=0.0)
