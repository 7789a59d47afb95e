"""What a worker does: judged, mended, taught, looked into."""

import json
from math import log
from typing import Any

import pytest

from fathometer.errors import ModelError
from fathometer.lab.orders import read_order
from fathometer.lab.work.bench import set_up
from fathometer.lab.work.judge import work_mend, work_preflight
from fathometer.lab.work.look import work_look
from fathometer.lab.work.teach import outcome, work_train

HEALTHY = {"depth": 3, "width": 64, "activation": "relu", "init": "he", "steps": 150}
SICK = {"depth": 30, "width": 32, "activation": "tanh", "init": "pytorch", "steps": 40}


def do(work: Any, **order: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what a kind of work comes to, and all that it told on the way; both are strict JSON."""
    events = list[dict[str, Any]]()
    result = work(read_order(order), events.append)
    json.dumps([result, events])
    return result, events


def test_a_preflight_tells_sick_from_healthy() -> None:
    """Thirty plain tanh layers will not train, by the gradient; three ReLU layers with He's start are healthy."""
    sick, healthy = (do(work_preflight, kind="preflight", setting=one)[0]["check"] for one in (SICK, HEALTHY))

    assert (sick["verdict"], healthy["verdict"]) == ("will not train", "healthy")
    assert "vanishing_gradient" in [finding["cause"] for finding in sick["findings"]]
    assert sick["profile"]["values"]["gradient"][0] < -10
    assert len(sick["profile"]["points"]) == 30


def test_a_run_is_told_as_it_goes() -> None:
    """Every step's loss is told once and in order, layers and accuracy come between, and the network learns."""
    result, events = do(work_train, kind="train", setting=HEALTHY)
    steps = [step for event in events if event["event"] == "steps" for step, _ in event["losses"]]
    layers = [event for event in events if event["event"] == "layers"]

    assert steps == list(range(1, 151))
    assert 50 <= len(layers) <= 80
    assert [len(event["columns"]["gradient"]) for event in layers[1:2]] == [3]  # the first one finds out where depth is
    assert [event["accuracy"] for event in events if event["event"] == "score"][-1] > 0.85
    assert result["outcome"] == "learned"
    assert result["blind_loss"] == pytest.approx(log(10), abs=0.01)  # ten digits, nearly as often each


def test_a_sick_run_learns_nothing_and_a_wild_one_diverges() -> None:
    """A network that cannot learn says so; one whose loss is not finite ends there and says at which step."""
    still, _ = do(work_train, kind="train", setting=SICK)
    wild, _ = do(
        work_train, kind="train", setting={**SICK, "activation": "relu", "init": "he", "gain": 4, "optimizer": "sgd", "rate": 1}
    )

    assert still["outcome"] == "learned nothing"
    assert (wild["outcome"], wild["loss"], wild["stopped_at"]) == ("diverged", None, 2)


@pytest.mark.parametrize(
    ("loss", "training", "word"),
    [
        (0.5, 0.4, "learned"),
        (1.5, 1.4, "learned a little"),
        (2.3, 2.3, "learned nothing"),
        (3.9, 0.1, "learned by heart"),
        (None, 1.0, "diverged"),
        (float("nan"), 1.0, "diverged"),
    ],
)
def test_an_outcome_is_one_word(loss: float | None, training: float, word: str) -> None:
    """What a run came to is named from its held-out loss, that of the blind answer, and its training loss."""
    assert outcome(loss, 2.3, training) == word


@pytest.mark.slow
def test_a_remedy_that_is_proved_can_be_applied() -> None:
    """Mending tells what it tries, and the remedy that it proves, applied by its place, makes the network learn."""
    mended, events = do(work_mend, kind="mend", setting=SICK)
    proved = mended["tried"][mended["proved"]]
    trials = {event["trial"] for event in events if "trial" in event}
    after, _ = do(
        work_train, kind="train", setting={**SICK, "steps": 150}, remedy={"place": proved["place"], "name": proved["name"]}
    )

    assert mended["needed"]
    assert len(trials) >= 2
    assert proved["outcome"] == "proved"
    assert proved["profile"]["values"]["gradient"][0] > -3
    assert after["outcome"] == "learned"
    assert after["remedy"] == proved["title"]


@pytest.mark.slow
def test_looking_inside_reads_the_class_better_after_training() -> None:
    """The class is read better from a trained network's last layer than from the same layer before, on unseen samples."""
    setting = {"depth": 3, "width": 64, "activation": "relu", "init": "he", "task": "hierarchy", "steps": 600, "rate": 2e-3}
    result, _ = do(work_look, kind="look", setting=setting)

    assert result["at"] == [0, 1, 2, 3]
    assert set(result["before"]) == {"a pair's meaning", "a half's meaning", "class"}
    assert result["after"]["class"][-1] > result["before"]["class"][-1] + 0.15
    assert result["before"]["a pair's meaning"][0] > 0.7  # it stands in the input itself, two symbols wide


def test_a_remedy_of_another_network_is_refused() -> None:
    """A remedy that this network's list does not hold at that place is refused in words."""
    with pytest.raises(ModelError, match="none of this network"):
        set_up(read_order({"kind": "train", "setting": HEALTHY, "remedy": {"place": 0, "name": "no_such"}}))
