"""A batch bred from two samples: the same whatever the batch, and made of what the user gave."""

import torch
from torch import Tensor, nn

from fathometer.diagnosis.bred import LARGE, SAMPLES, bred
from fathometer.diagnosis.case import make_case

MODEL = nn.Linear(6, 3)


def inputs(samples: int) -> Tensor:
    """Return inputs whose first samples do not depend on how many there are."""
    return torch.randn(64, 6, generator=torch.Generator().manual_seed(0))[:samples]


def test_the_size_of_the_batch_changes_nothing() -> None:
    """Two samples and sixty-four breed the same batch, of one size; another seed breeds another."""
    classes = torch.arange(64) % 3
    few, many = (bred(make_case(MODEL, (inputs(size), classes[:size])), 3) for size in (2, 64))
    other = bred(make_case(MODEL, (inputs(2), classes[:2]), seed=1), 3)

    assert few.num_samples == many.num_samples == SAMPLES
    assert torch.equal(few.inputs, many.inputs)
    assert torch.equal(few.targets, many.targets)
    assert not torch.equal(few.inputs, other.inputs)


def test_each_number_is_one_of_the_parents() -> None:
    """Children hold their parents' numbers at the same place, of both parents; all kinds of tensors keep their type."""
    tokens = torch.tensor([[1, 2, 3], [4, 5, 3]])
    case = bred(make_case(MODEL, {"x": inputs(2), "tokens": tokens, "scale": torch.tensor(2.0)}))

    x = case.inputs["x"]
    assert bool(((x == inputs(2)[0]) | (x == inputs(2)[1])).all())
    assert not torch.equal(x, inputs(2)[:1].expand_as(x))
    assert set(case.inputs["tokens"][:, 0].tolist()) == {1, 4}
    assert set(case.inputs["tokens"][:, 2].tolist()) == {3}
    assert case.inputs["scale"].shape == ()


def test_classes_are_drawn_and_numbers_go_with_what_is_equal() -> None:
    """Classes are drawn among all there are; targets that equal the inputs still do."""
    classes = bred(make_case(MODEL, (inputs(2), torch.tensor([0, 0]))), 3).targets
    same = bred(make_case(MODEL, (inputs(2), inputs(2))))

    assert set(classes.tolist()) == {0, 1, 2}
    assert torch.equal(same.inputs, same.targets)


def test_what_is_not_bred() -> None:
    """One sample, large samples, and samples with many classes to name keep what they are; of the last, two are taken."""
    one = make_case(MODEL, (inputs(1), torch.tensor([1])))
    large = make_case(MODEL, (torch.zeros(4, LARGE + 1), torch.zeros(4, dtype=torch.long)))
    tokens = make_case(MODEL, (torch.ones(8, 5, dtype=torch.long), torch.zeros(8, 5, dtype=torch.long)))

    assert bred(one, 3) is one
    assert bred(large, 3) is large
    assert bred(tokens, 3).num_samples == 2
