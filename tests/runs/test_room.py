"""A run that does not fit into memory says what would, and that does."""

import re
from typing import Any

import pytest
import torch
from tests.modules import RUN_OUT, Hungry
from torch import nn

from fathometer.errors import OutOfMemoryError
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.runs import room, train
from fathometer.training import Course

DATA = [(torch.ones(64, 8), torch.arange(64) % 3)]


@pytest.mark.parametrize(("most", "parts"), [(32, 2), (16, 4), (5, 16), (1, 64)])
def test_the_parts_that_fit_are_said_and_do(most: int, parts: int) -> None:
    """The error names the step, the batch and the least `accumulate` of the halves; with it the run goes through."""
    with pytest.raises(OutOfMemoryError, match=r"in step 1, on a batch of 64\..* was asked for at once") as caught:
        train(Hungry(most), Asked(steps=2), data=DATA, progress=lambda *_: None)
    said = re.search(r"Tried, and it fits: accumulate = (\d+)", caught.value.mend)

    assert said is not None
    assert int(said[1]) == parts
    done = train(Hungry(most), Asked(steps=2, accumulate=parts), data=DATA, progress=lambda *_: None)
    assert done.record.status == "finished"


def test_where_nothing_fits_the_size_that_would_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no part small enough, the error says what the weights take, and with little memory how many would fit."""
    with pytest.raises(OutOfMemoryError, match="27 parameters take 432 bytes with adam; it is the activations"):
        train(Hungry(0), Asked(steps=2), data=DATA, progress=lambda *_: None)

    monkeypatch.setattr(room, "free_bytes", lambda: 100)
    with pytest.raises(OutOfMemoryError, match="take a network of at most 13, or sgd"):
        train(Hungry(0), Asked(steps=2), data=DATA, progress=lambda *_: None)
    with pytest.raises(OutOfMemoryError, match=r"take a network of at most 26\.$"):
        train(Hungry(0), Asked(steps=2, optimizer="sgd"), data=DATA, progress=lambda *_: None)
    with pytest.raises(OutOfMemoryError, match=r"324 bytes with sgd and momentum: .* at most 17, or sgd without momentum"):
        train(Hungry(0), Asked(steps=2, optimizer="sgd", momentum=0.9), data=DATA, progress=lambda *_: None)


def test_the_second_step_is_tried_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits once, before the optimizer has its numbers, and not twice, is not said to fit."""

    def takes_more_from_the_second_on(course: Course, batches: list[Any], **_: Any) -> None:
        if len(batches) > 1 and course.asked.accumulate < 4:
            raise RuntimeError(RUN_OUT)

    monkeypatch.setattr(room, "go_on", takes_more_from_the_second_on)
    with pytest.raises(OutOfMemoryError, match="it fits: accumulate = 4"):
        train(Hungry(32), Asked(steps=2), data=DATA, progress=lambda *_: None)


def test_another_error_is_left_as_it_is() -> None:
    """The control: an error of the user's own is not taken for memory."""
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        train(nn.Linear(9, 3), Asked(steps=2), data=DATA, progress=lambda *_: None)


def test_weights_that_do_not_fit_are_counted() -> None:
    """A network of a quadrillion parameters is refused with its size and how many would fit; nothing of it stays."""
    with pytest.raises(
        OutOfMemoryError, match=r"a network of [\d,]+ parameters was built, [\d,]+ TB.* Up to [\d,]+ parameters fit"
    ):
        build("mlp-5@width=20000000")
