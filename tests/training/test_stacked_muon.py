"""Many matrices moved as stacks go where torch's Muon takes each alone."""

import pytest
import torch
from torch import Tensor, nn

from fathometer.training import stacked_muon
from fathometer.training.muon import MuonWithAdamW
from fathometer.training.stacked_muon import orthogonal, stacks

SHAPES = ((12, 12), (48, 12), (12, 12), (12, 48), (12, 12), (7, 3), (48, 12))
NUMBERS = (3.4445, -4.7750, 2.0315)  # torch's own coefficients
pytestmark = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")


def start(seed: int) -> list[nn.Parameter]:
    """Return matrices of several shapes, with what two calls with one seed draw alike."""
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def give_gradients(matrices: list[nn.Parameter], seed: int) -> None:
    """Give each matrix a gradient of its own size; the third has none, as a block that was passed over."""
    generator = torch.Generator().manual_seed(seed)
    for index, matrix in enumerate(matrices):
        drawn = 10.0 ** (index - 3) * torch.randn(matrix.shape, generator=generator)
        matrix.grad = None if index == 2 else drawn


@pytest.mark.parametrize("most", [stacked_muon.MOST_NUMBERS, 300, 1])
def test_stacks_move_as_torch_moves_each_matrix(most: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps with momentum and decay end where torch's one by one end, however large a stack may be."""
    monkeypatch.setattr(stacked_muon, "MOST_NUMBERS", most)
    ours, theirs = start(seed), start(seed)
    fast = MuonWithAdamW([{"params": ours, "muon": True, "lr": 0.02, "weight_decay": 0.1}], fused=False)
    slow = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(10):
        give_gradients(ours, seed + step)
        give_gradients(theirs, seed + step)
        fast.step()
        slow.step()

    # Both round products to bfloat16, in sums of another order: 1/256 of ten steps of 0.02·0.2·√48·(an entry of some 0.3).
    for here, there in zip(ours, theirs, strict=True):
        torch.testing.assert_close(here, there, rtol=0, atol=3e-3)
    begun = start(seed)
    assert torch.equal(ours[2], begun[2])  # no gradient, no step, and no decay
    moved = [(here - before).abs().max() for here, before in zip(ours, begun, strict=True)]
    assert min(moved[:2] + moved[3:]) > 0.02  # the tolerance is a small part of the way


def test_the_state_is_torchs(seed: int) -> None:
    """The momentum lies where torch's Muon keeps it, so that either goes on from the other's checkpoint."""
    ours, theirs = start(seed), start(seed)
    fast = MuonWithAdamW([{"params": ours, "muon": True, "lr": 0.02, "weight_decay": 0.1}], fused=False)
    slow = torch.optim.Muon(theirs, lr=0.02)
    for matrices, optimizer in ((ours, fast), (theirs, slow)):
        give_gradients(matrices, seed)
        optimizer.step()

    for here, there in zip(ours, theirs, strict=True):
        assert fast.state[here].keys() == slow.state[there].keys()
        torch.testing.assert_close(dict(fast.state[here]), dict(slow.state[there]))


def test_a_stack_mixes_no_matrix_with_another(seed: int) -> None:
    """Each has singular values near 1, whatever its size; a product over the whole stack would not."""
    drawn = torch.stack([matrix.detach() for matrix in start(seed) if matrix.shape == (12, 12)])
    scaled = drawn * torch.tensor([1e-3, 1.0, 1e3])[:, None, None]

    # five iterations with these coefficients end between 0.7 and 1.2 (Jordan et al. 2024); small ones take a little longer
    assert_near_one(torch.linalg.svdvals(orthogonal(scaled, NUMBERS, 5, 1e-7).float()))
    as_one = orthogonal(scaled.flatten(0, 1)[None], NUMBERS, 5, 1e-7).float()[0].unflatten(0, (3, 12))
    with pytest.raises(AssertionError):
        assert_near_one(torch.linalg.svdvals(as_one))


def assert_near_one(values: Tensor) -> None:
    """Check the median of singular values of each matrix, which the smallest one does not move."""
    medians = values.median(dim=1).values
    assert ((medians > 0.6) & (medians < 1.3)).all(), medians


def test_stacks_are_bounded_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices of one shape come together up to the bound; one that is larger comes alone."""
    monkeypatch.setattr(stacked_muon, "MOST_NUMBERS", 12)
    matrices = [torch.ones(2, 3), torch.ones(3, 2), torch.ones(2, 3), torch.ones(2, 3), torch.ones(5, 5), torch.ones(5, 5)]
    found = list(stacks(matrices))

    assert [(len(stack), tuple(stack[0].shape)) for stack in found] == [
        (2, (2, 3)),
        (1, (2, 3)),
        (1, (3, 2)),
        (1, (5, 5)),
        (1, (5, 5)),
    ]
    assert {id(matrix) for stack in found for matrix in stack} == {id(matrix) for matrix in matrices}
