"""A checkpoint whose sums are right, and whose parts are not."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from benchmarks.fuzz.checkpoints import check_checkpoint, whole
from safetensors.torch import load, save

from fathometer.training.checkpoint import FACTS, TRAINING, WEIGHTS

Spoil = Callable[[dict[str, Any]], object]


def with_facts(spoil: Spoil) -> dict[str, bytes]:
    """Return the files with the table of facts spoiled."""
    table = json.loads(whole()[FACTS])
    spoil(table)
    return {**whole(), FACTS: json.dumps(table).encode()}


def with_tensors(name: str, spoil: Spoil) -> dict[str, bytes]:
    """Return the files with the tensors of one of them spoiled."""
    tensors = load(whole()[name])
    spoil(tensors)
    return {**whole(), name: save(tensors)}


CASES: dict[str, Callable[[], dict[str, bytes]]] = {
    "tied is a list": lambda: with_facts(lambda table: table.update(tied=[])),
    "no facts": lambda: with_facts(lambda table: table.pop("facts")),
    "another step": lambda: with_facts(lambda table: table.update(step=3)),
    "a time of NaN": lambda: with_facts(lambda table: table.update(seconds="NaN")),
    "a place beyond the generator's end": lambda: with_facts(lambda table: table["numpy"].__setitem__(2, 10**6)),
    "a word for a generator": lambda: with_facts(lambda table: table["python"][1].__setitem__(3, "x")),
    "a number for a generator's words": lambda: with_facts(lambda table: table["numpy"].__setitem__(1, 7)),
    "a scaler that is not asked for": lambda: with_facts(lambda table: table.update(scaler={"scale": 1.0})),
    "no generator": lambda: with_tensors(TRAINING, lambda tensors: tensors.pop("generator/cpu")),
    "no squares": lambda: with_tensors(TRAINING, lambda tensors: tensors.pop("optimizer/0.weight/exp_avg_sq")),
    "squares of another shape": lambda: with_tensors(
        TRAINING, lambda tensors: tensors.update({"optimizer/0.weight/exp_avg_sq": torch.zeros(3)})
    ),
    "a loss that is not finite": lambda: with_tensors(TRAINING, lambda tensors: tensors["losses"].fill_(float("nan"))),
    "a weight that is not finite": lambda: with_tensors(WEIGHTS, lambda tensors: tensors["0.weight"].fill_(float("inf"))),
}


@pytest.mark.parametrize("name", CASES)
def test_parts_that_cannot_be_are_refused(name: str) -> None:
    """Each is refused in words with the course as it was, also where every hash is right."""
    assert not check_checkpoint((CASES[name](), True))


def test_the_whole_one_is_read() -> None:
    """The control: with nothing spoiled it is read, and the run goes on from it."""
    assert check_checkpoint((dict(whole()), True))
