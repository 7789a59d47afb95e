"""A network that does not fit into memory is refused with how many samples would."""

import re

import pytest
import torch
from tests.modules import RUN_OUT, Hungry

import fathometer as fm
from fathometer.errors import OutOfMemoryError
from fathometer.instruments.keep import unchanged
from fathometer.studies.work import Lost, Task, measured

BATCH = torch.ones(64, 8), torch.arange(64) % 3


@pytest.mark.parametrize("ask", [fm.preflight, fm.mend])
def test_the_samples_that_fit_are_said_and_do(ask: object) -> None:
    """The error says of how many samples the first ones fit; with these the question is answered."""
    with pytest.raises(OutOfMemoryError, match="27 parameters was looked at, on a batch of 64") as caught:
        ask(Hungry(20), BATCH)  # pyrefly: ignore[not-callable]
    said = re.search(r"Tried, and it fits: the first (\d+) of its 64 samples", caught.value.mend)

    assert said is not None
    assert int(said[1]) == 16
    assert fm.preflight(Hungry(20), (BATCH[0][:16], BATCH[1][:16])).verdict


def test_nothing_is_changed_by_running_out() -> None:
    """Weights, modes and hooks are as they were, also after attempts that failed."""
    model = Hungry(20).eval()
    with unchanged(model):
        before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(OutOfMemoryError):
        fm.preflight(model, BATCH)

    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_where_nothing_fits_that_is_said() -> None:
    """Two samples are the fewest that are tried; then a smaller network is advised."""
    with pytest.raises(OutOfMemoryError, match="weights and gradients take 216 bytes: take a smaller one"):
        fm.preflight(Hungry(1), BATCH)


def test_a_cell_that_does_not_fit_says_so_in_a_line() -> None:
    """A study tells of it with both sizes, and not in the allocator's words; another failure keeps its own."""

    def too_much(group: object) -> object:
        yield {"x": 1}
        raise RuntimeError(RUN_OUT)

    (_, first), (_, second) = measured(Task(too_much, ({"n": 1}, {"n": 2})))  # pyrefly: ignore[bad-argument-type]

    assert not isinstance(first, Lost)
    assert isinstance(second, Lost)
    assert second.reason.startswith("memory ran out: 1,152,922 TB was asked for at once, and ")
