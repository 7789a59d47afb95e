"""Loss and accuracy on held-out data, without a trace."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fathometer.errors import BatchError
from fathometer.training import evaluate, evaluating


def make(seed: int) -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """Return a model whose statistics have seen data, inputs, and classes."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 3))
    model(torch.randn(32, 6))
    return model, torch.randn(10, 6), torch.randint(3, (10,))


def test_batches_of_any_size_give_the_loss_and_accuracy_of_the_whole(seed: int) -> None:
    """Uneven batches are weighed by their samples: the result is that of one batch, in eval mode."""
    model, inputs, targets = make(seed)
    found = evaluate(model, zip(inputs.split(4), targets.split(4), strict=True))
    outputs = model.eval()(inputs)

    # float32 means taken in parts
    assert found.loss == pytest.approx(F.cross_entropy(outputs, targets).item(), rel=1e-6)
    assert found.accuracy == pytest.approx((outputs.argmax(1) == targets).double().mean().item(), rel=1e-12)


def test_nothing_is_changed(seed: int) -> None:
    """Modes, also mixed ones, statistics, generator and gradients are as they were."""
    model, inputs, targets = make(seed)
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    evaluate(model, [(inputs, targets)])

    assert [module.training for module in model] == [True, False, True, True]
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_modes_come_back_after_an_exception() -> None:
    """The `with` block always lets go."""
    model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError

    assert [model.training, model[0].training, model[1].training] == [True, True, False]


def test_words_that_are_marked_do_not_count_and_values_have_no_accuracy(seed: int) -> None:
    """Targets of -100 are left out of the accuracy; float targets have a loss only."""
    torch.manual_seed(seed)
    model, inputs = nn.Linear(6, 3), torch.randn(2, 5, 6)
    targets = model(inputs).argmax(-1)
    targets[0, 0] = (targets[0, 0] + 1) % 3
    assert evaluate(model, [(inputs, targets)]).accuracy == 0.9
    targets[0, 0] = -100
    assert evaluate(model, [(inputs, targets)]).accuracy == 1.0

    values = evaluate(model, [(inputs, torch.zeros(2, 5, 3))])
    assert values.accuracy is None
    assert values.loss == pytest.approx(model(inputs).square().mean().item(), rel=1e-6)


def test_no_batches_are_an_error() -> None:
    """Nothing can be said of nothing."""
    with pytest.raises(BatchError, match="no batches"):
        evaluate(nn.Linear(1, 1), [])
