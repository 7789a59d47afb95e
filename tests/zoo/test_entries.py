"""The zoo's networks: named once, split by family, the same at every call."""

from collections import Counter

import pytest
import torch
from benchmarks.zoo import entries, task
from benchmarks.zoo.entry import Entry
from benchmarks.zoo.plant import Multiplied, low_rank
from benchmarks.zoo.split import DEVELOP, SCORED
from benchmarks.zoo.tasks import MAKERS
from benchmarks.zoo.truth import run_loss
from benchmarks.zoo.twins import TWINS
from torch import nn

from fathometer.finding import CAUSES

ALL = entries("develop") + entries("scored")
# The first of each family, healthy or not: building all would take a minute.
FIRST = list({(entry.family, entry.fault is None): entry for entry in reversed(ALL)}.values())
# Causes of the design that the words floor does not have yet, and one that the design lacks.
AHEAD = {
    "token_rank_collapse", "attention_entropy_collapse", "attention_logit_growth", "residual_branch_imbalance",
    "post_norm_imbalance", "batchnorm_explosion", "shattered_gradients", "curvature", "softmax_before_loss",
}  # fmt: skip


def test_every_name_is_there_once_and_no_family_is_in_both_parts() -> None:
    """Names are unique; the two parts share no family."""
    assert [name for name, count in Counter(entry.name for entry in ALL).items() if count > 1] == []
    assert set(DEVELOP) & set(SCORED) == set()
    for part, families in (("develop", DEVELOP), ("scored", SCORED)):
        assert {entry.family for entry in entries(part)} <= set(families)


def test_faults_have_a_strength_and_a_known_cause_and_the_healthy_have_neither() -> None:
    """A fault has strength 1 to 3 and a cause of the catalogue or of the design; a network without one has 0 and no fix."""
    for entry in ALL:
        assert entry.strength in ((0,) if entry.fault is None else (1, 2, 3))
        assert entry.fault is not None or (entry.fix is None and entry.near == ())
        assert {entry.fault, *entry.near} - {None} <= set(CAUSES) | AHEAD


def test_both_parts_plant_the_same_causes() -> None:
    """Every cause that is planted in one part is planted in the other; the scored part is large enough."""
    planted = {part: {entry.fault for entry in entries(part)} for part in ("develop", "scored")}

    assert planted["develop"] - planted["scored"] <= {"correlation_collapse"}
    assert planted["scored"] - planted["develop"] <= {"attention_logit_growth"}


def test_every_task_has_a_twin() -> None:
    """The known-good networks and the tasks have the same names."""
    assert set(TWINS) == set(MAKERS)


@pytest.mark.parametrize("entry", FIRST, ids=lambda entry: entry.name)
def test_a_network_is_the_same_at_every_call_and_takes_its_batch(entry: Entry) -> None:
    """Two makings have the same numbers, leave the global generator alone, and answer the task's batch with a loss."""
    before = torch.get_rng_state()
    one, two = entry.model(), entry.model()

    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert run_loss(one, task(entry.task).preflight_batch(8), entry.loss_fn).ndim == 0


def test_a_multiplied_gradient_leaves_the_numbers_alone() -> None:
    """Forward nothing changes; backward the gradient is a hundred times as large."""
    x = torch.ones(3, requires_grad=True)
    y = Multiplied(100.0)(x)
    y.sum().backward()

    torch.testing.assert_close(y, x, rtol=1e-5, atol=0)  # 100 x - 99 x in float32
    assert x.grad is not None
    assert x.grad.tolist() == [100.0] * 3


def test_a_low_rank_weight_keeps_its_size() -> None:
    """The rank is what was asked for, the Frobenius norm that of before, and the readout is left alone."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    norm, readout = model[0].weight.norm().item(), model[1].weight.clone()
    low_rank(model, 2)

    assert int(torch.linalg.matrix_rank(model[0].weight, rtol=1e-4)) == 2
    assert model[0].weight.norm().item() == pytest.approx(norm, rel=1e-5)  # float32
    assert torch.equal(model[1].weight, readout)
