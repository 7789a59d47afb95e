"""Many runs of networks with one shape, trained as one stack."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from time import perf_counter

import torch

from fathometer.networks import MlpNetwork, build, scales
from fathometer.parametrizations import WIDTH_AWARE
from fathometer.records import Asked, Record, Status, this_machine
from fathometer.runs.keeping import where_lost
from fathometer.runs.stacked_data import Pair, SideBySide, Source
from fathometer.runs.stacked_judge import judge_by_run, loss_by_run
from fathometer.runs.stacked_network import StackedNetwork
from fathometer.runs.stacked_optimizer import StackedOptimizer
from fathometer.spec import Mlp, spec_to_dict
from fathometer.training import Evaluation

DEAD_SHARE = 0.25  # of the rows, before a stack closes ranks: to close them costs a copy, a dead row costs its products
Run = tuple[Mlp, Asked]


@dataclass
class Outcome:
    """What came of one run so far."""

    losses: list[float] = field(default_factory=list)
    status: Status = "finished"
    stopped_in: str | None = None
    score: Evaluation | None = None


class StackedRun:
    """Runs on their way, which may differ in depth, seed, numbers and recipe: one network, one optimizer, many outcomes.

    What is not finite stops its own run alone; its rows stay, looked at by no one, until enough have stopped to close ranks.
    """

    def __init__(self, runs: Sequence[Run], source: Source) -> None:
        self.runs, self.source, self.step, self.seconds = runs, source, 0, 0.0
        self.outcomes = [Outcome() for _ in runs]
        self.rows = deepest_first(runs)  # which run each row belongs to
        networks = _build([runs[index] for index in self.rows])
        self.network = StackedNetwork(networks)
        own = [scales(network) if network.spec.init in WIDTH_AWARE else {} for network in networks]
        self.optimizer = StackedOptimizer(self.network, self._asked, own)
        self.batches = SideBySide(source, self._asked, self.optimizer.device)

    @property
    def is_over(self) -> bool:
        """Return whether no run has a step to go."""
        return self.step == self.runs[0][1].steps or not self._alive()

    def advance(self) -> None:
        """Take the next step of every run that has not stopped."""
        start = perf_counter()
        self.network.train()
        inputs, targets = next(self.batches)
        losses = loss_by_run(self.network(inputs), targets)
        values = losses.tolist()
        self._stop(values, "stopped: loss is not finite", (inputs, targets))
        if self._alive():
            self.optimizer.zero_grad()
            losses.sum().backward()
            self._stop(self.optimizer.clip(), "stopped: gradient is not finite", (inputs, targets))
            self.optimizer.step()
        self._note(values)
        self.step += 1
        self.seconds += perf_counter() - start

    def judge(self) -> None:
        """Measure the finished runs on the held-out part of the data, if there is one."""
        if self.source.held_out is None or not self._alive():
            return
        self._keep(self._alive())
        batches = self.source.held_out(self.runs[0][1].batch_size)
        for index, score in zip(self.rows, judge_by_run(self.network, batches), strict=True):
            self.outcomes[index].score = score

    def records(self) -> tuple[Record, ...]:
        """Return what came of each run, in the order they were given; `seconds` is a run's equal share of the stack's."""
        machine, seconds = this_machine(str(torch.__version__), torch.get_num_threads()), self.seconds / len(self.runs)
        return tuple(
            Record(
                asked,
                outcome.status,
                tuple(outcome.losses),
                held_out_loss=None if outcome.score is None else outcome.score.loss,
                held_out_accuracy=None if outcome.score is None else outcome.score.accuracy,
                seconds=seconds,
                stopped_at=None if outcome.status == "finished" else len(outcome.losses) + 1,
                network=spec_to_dict(spec),
                machine=machine,
                stopped_in=outcome.stopped_in,
            )
            for (spec, asked), outcome in zip(self.runs, self.outcomes, strict=True)
        )

    @property
    def _asked(self) -> list[Asked]:
        return [self.runs[index][1] for index in self.rows]

    def _alive(self) -> list[int]:
        """Return the rows whose runs have not stopped."""
        return [row for row, index in enumerate(self.rows) if self.outcomes[index].status == "finished"]

    def _stop(self, values: Sequence[float], status: Status, batch: Pair) -> None:
        """Stop the runs whose value is not finite, and find out in which module it began."""
        for row in self._alive():
            if not isfinite(values[row]):
                network = self.network.extract(row)
                if status == "stopped: loss is not finite":
                    network.zero_grad()  # gradients of the step before have no part in it
                outcome = self.outcomes[self.rows[row]]
                outcome.status, outcome.stopped_in = status, where_lost(network, (batch[0][row], batch[1][row]))

    def _note(self, values: Sequence[float]) -> None:
        alive = self._alive()
        for row in alive:
            self.outcomes[self.rows[row]].losses.append(values[row])
        if 0 < len(alive) <= (1 - DEAD_SHARE) * len(self.rows):
            self._keep(alive)

    def _keep(self, rows: list[int]) -> None:
        """Close ranks: drop all other rows."""
        if len(rows) < len(self.rows):
            self.rows = [self.rows[row] for row in rows]
            self.network.keep(rows)
            self.optimizer.keep(rows)
            self.batches.keep(self._asked)


def deepest_first(runs: Sequence[Run]) -> list[int]:
    """Return the places of runs from the deepest to the shallowest; runs with one recipe, and clipped ones, are neighbours."""
    recipes = list(dict.fromkeys(_recipe(asked) for _, asked in runs))
    order = {recipe: (recipe.clip is None, place) for place, recipe in enumerate(recipes)}
    return sorted(range(len(runs)), key=lambda index: (-runs[index][0].depth, order[_recipe(runs[index][1])]))


def _recipe(asked: Asked) -> Asked:
    """Return what was asked with the seed set aside."""
    return replace(asked, seed=0)


def _build(runs: Sequence[Run]) -> list[MlpNetwork]:
    """Return the network that each run starts with; runs with one spec and seed share it, for a stack copies its numbers."""
    starts: dict[tuple[Mlp, int], MlpNetwork] = {}
    for spec, asked in runs:
        if (spec, asked.seed) not in starts:
            network = build(spec, seed=asked.seed)
            assert isinstance(network, MlpNetwork)
            starts[spec, asked.seed] = network
    return [starts[spec, asked.seed] for spec, asked in runs]
