"""A run: asked in, trained network and record out, and nothing else moved."""

import json

import pytest
import torch
from torch import nn

from fathometer.data import digits
from fathometer.errors import SpecError
from fathometer.networks import build
from fathometer.records import Asked, Record
from fathometer.runs import train
from fathometer.spec import Mlp, Transformer
from fathometer.training import course

SHORT = Asked(steps=30, learning_rate=3e-3)


def test_five_layers_learn_the_digits() -> None:
    """Two hundred steps take a healthy preset past 90% on handwriting that it has not seen."""
    record = train("mlp-5").record

    assert record.status == "finished"
    assert len(record.losses) == 200
    assert record.held_out_accuracy is not None
    assert record.held_out_accuracy > 0.9
    assert record.held_out_loss is not None
    assert record.held_out_loss < 0.5


def test_fifty_tanh_layers_as_torch_starts_them_do_not() -> None:
    """The control: the network that the story begins with stays at chance."""
    record = train("tanh-50").record

    assert record.held_out_accuracy is not None
    assert record.held_out_accuracy < 0.2


def test_a_run_can_be_repeated_bit_for_bit() -> None:
    """The same seed gives the same losses and weights, also with dropout and whatever torch drew before."""
    network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10))
    first = train(network, SHORT)
    torch.rand(7)
    second = train(network, SHORT)

    assert first.record.losses == second.record.losses
    assert torch.equal(first.model[0].weight, second.model[0].weight)
    assert train(network, Asked(steps=30, learning_rate=3e-3, seed=1)).record.losses != first.record.losses


def test_the_users_module_and_the_generators_are_left_alone() -> None:
    """A copy is trained: weights, gradients, mode and torch's generator are as they were."""
    network = build("mlp-5").eval()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    generator = torch.get_rng_state()
    trained = train(network, SHORT)

    assert trained.model is not network
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert not torch.equal(network.readout.weight, trained.model.readout.weight)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.training
    assert torch.equal(generator, torch.get_rng_state())


def test_a_preset_a_spec_and_their_module_are_one_run() -> None:
    """All three ways to name a network give the same losses."""
    spec = Mlp(depth=5, width=128)
    runs = [train(network, SHORT).record for network in ("mlp-5", spec, build(spec))]

    assert runs[0].losses == runs[1].losses == runs[2].losses
    assert runs[0].network["depth"] == 5
    assert train(nn.Linear(64, 10), SHORT).record.network == {"module": "Linear", "num_parameters": 650}


def test_the_record_survives_json() -> None:
    """What is written is what is read."""
    record = train("mlp-5", SHORT).record

    assert Record.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert record.machine.torch == str(torch.__version__)
    assert record.machine.threads == 1


def test_a_run_that_diverges_says_when() -> None:
    """A rate far too high ends in a loss that is not finite: the record says at which step, and keeps the rest."""
    record = train(Mlp(depth=3, width=32), Asked(steps=50, optimizer="sgd", learning_rate=1e30)).record

    assert record.status == "stopped: loss is not finite"
    assert record.stopped_at is not None
    assert len(record.losses) == record.stopped_at - 1
    assert record.stopped_at < 50


def test_progress_is_told_after_each_step() -> None:
    """The callable gets (step, total, loss)."""
    told: list[tuple[int, int, float]] = []
    record = train("mlp-5", Asked(steps=4), progress=lambda *facts: told.append(facts)).record

    assert told == [(step, 4, loss) for step, loss in enumerate(record.losses, start=1)]


def test_data_come_in_several_shapes() -> None:
    """A name, a data set, a pair of tensors and a list of batches; only a data set can be judged on."""
    data = digits()
    pair = (data.train_inputs, data.train_targets)
    by_name, by_value = train("mlp-5", SHORT, data="digits").record, train("mlp-5", SHORT, data=data).record
    by_pair, by_list = train("mlp-5", SHORT, data=pair).record, train("mlp-5", SHORT, data=[pair]).record

    assert by_name.losses == by_value.losses == by_pair.losses
    assert by_name.held_out_accuracy is not None
    assert by_pair.held_out_accuracy is None
    assert len(by_list.losses) == 30
    assert by_list.held_out_loss is None


def test_a_loss_of_the_users_own_is_used_in_both_places() -> None:
    """`loss_fn` is what is trained on and what is reported."""
    record = train("mlp-5", SHORT, loss_fn=lambda output, targets: output.square().mean()).record

    assert record.held_out_loss is not None
    assert record.held_out_loss < 0.1
    assert record.held_out_accuracy is not None
    assert record.held_out_accuracy < 0.6


def test_an_unknown_preset_or_data_set_is_an_error() -> None:
    """Names that are not there are answered with the nearest right one."""
    with pytest.raises(SpecError, match='Did you mean "mlp-5"'):
        train("mlp5")
    with pytest.raises(SpecError, match='Did you mean "digits"'):
        train("mlp-5", data="didgits")


def test_the_optimizer_respects_the_parametrization(monkeypatch: pytest.MonkeyPatch) -> None:
    """CompleteP and depth-μP at 4 times the width and 8 times the depth: every group's rate, decay and ε. Dey et al., table 1."""
    seen: list[torch.optim.Optimizer] = []
    make = course.make_optimizer
    monkeypatch.setattr(course, "make_optimizer", lambda *given: seen.append(make(*given)) or seen[-1])
    asked = Asked(steps=1, optimizer="adamw", learning_rate=1.0, weight_decay=1.0)
    tokens = torch.zeros(2, 4, dtype=torch.long)
    #             hidden matrices                vectors in blocks          all others
    expected = {
        "completep": {(0.25, 4.0, 2**-5), (1.0, 1.0, 2**-5), (1.0, 1.0, 1.0)},
        "depth-mup": {(0.25 * 8**-0.5, 4.0, 0.25 * 8**-0.5), (8**-0.5, 1.0, 0.25 * 8**-0.5), (1.0, 1.0, 1.0)},
        "mup": {(0.25, 4.0, 0.25), (1.0, 1.0, 0.25), (1.0, 1.0, 1.0)},
        "gpt2": {(1.0, 1.0, 1.0)},
    }
    for init, groups in expected.items():
        spec = Transformer(depth=16, width=16, heads=1, vocabulary=8, context=4, init=init, base_width=4, base_depth=2)
        train(spec, asked, data=[(tokens, tokens)])
        found = {(group["lr"], group["weight_decay"], group["eps"] / 1e-8) for group in seen[-1].param_groups}

        assert sorted(found) == [pytest.approx(group) for group in sorted(groups)]
