"""Dense networks of one shape, trained with their learning curves kept."""

from collections.abc import Iterator, Sequence
from time import process_time

from fathometer.data import Dataset
from fathometer.records import Asked, Record
from fathometer.runs import many
from fathometer.spec import Mlp
from fathometer.studies.best import TAIL, told
from fathometer.studies.question import Cell, Row

PLACES = 16  # of a learning curve that are kept, even in steps


def train_shapes(group: Sequence[Cell], spec: Mlp, data: Dataset) -> Iterator[Row]:
    """Yield what came of one spec at each rate and seed: the curve, and the processor seconds that a step takes."""
    runs = [(spec, Asked(cell["steps"], cell["batch_size"], "adam", cell["rate"], seed=cell["seed"])) for cell in group]
    start = process_time()
    records = many(runs, data=data, stack="always", progress=lambda *facts: None)
    share = (process_time() - start) / len(group)
    for record in records:
        own = {"width": spec.width, "curve": curve_of(record), "step_seconds": share / record.asked.steps, "cpu_seconds": share}
        yield {**told(record), **own}


def curve_of(record: Record) -> list[list[float]]:
    """Return [step, mean loss of the steps before it] at places that are even from a sixteenth of the steps to the end."""
    losses, length = record.losses, record.asked.steps
    places = [round(length * (place + 1) / PLACES) for place in range(PLACES)]
    return [
        [float(place), sum(losses[max(0, place - TAIL) : place]) / min(TAIL, place)]
        for place in places
        if 0 < place <= len(losses)
    ]
