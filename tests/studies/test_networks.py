"""The networks that studies bring along: trees, a reader, the paths of a gradient; and the choice of a rate."""

from itertools import product

import pytest
import torch
from torch.nn import functional as F

from fathometer.data import digits
from fathometer.networks import build
from fathometer.scaling import num_parameters
from fathometer.spec import Mlp
from fathometer.studies.best import at_best_rate, span
from fathometer.studies.construction import construct, count_at_start, equal_width
from fathometer.studies.path_lengths import path_lengths
from fathometer.studies.recurrent import seeded_reader
from fathometer.studies.teacher import flat_classes
from fathometer.studies.tree import parameters_of, products_of, seeded_tree, width_for


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Return eight digits."""
    data = digits()
    return data.train_inputs[:8], data.train_targets[:8]


def gradient_by_hand(model, inputs, targets, *, through: tuple[bool, ...]) -> torch.Tensor:
    """Return the gradient at the stream's begin along one path: through the branch of some blocks, past the others."""
    stream = begin = model.stem(inputs).detach().requires_grad_()
    for block, is_through in zip(model.blocks, through, strict=True):
        out = block(stream)
        added = out - stream
        # The numbers stay those of the whole network; the gradient sees one way alone.
        stream = added + stream.detach() if is_through else stream + added.detach()
    loss = F.cross_entropy(model.readout(model.final_norm(stream)), targets)
    return torch.autograd.grad(loss, begin, allow_unused=True)[0]


@pytest.mark.parametrize("residual", ["plain", "scaled", "pre-norm"])
def test_path_lengths_are_the_sums_over_all_paths(residual: str) -> None:
    """For four blocks: each of the sixteen paths differentiated by itself, added up by length."""
    model, (inputs, targets) = build(Mlp(depth=4, width=12, residual=residual), seed=1), batch()
    found = path_lengths(model, inputs, targets)
    sums = [torch.zeros(8, 12) for _ in range(5)]
    for through in product((False, True), repeat=4):
        sums[sum(through)] += gradient_by_hand(model, inputs, targets, through=through)
    expected = [float(part.square().sum(1).mean().sqrt()) for part in sums]

    assert found.size == pytest.approx(expected, rel=1e-4)  # float32 sums of a dozen units
    assert found.paths == (1, 4, 6, 4, 1)


def test_all_paths_together_are_the_gradient() -> None:
    """With branches that are 0 there is the direct path alone; the mean length says so."""
    model, (inputs, targets) = build(Mlp(depth=4, width=12, residual="plain"), seed=1), batch()
    with torch.no_grad():
        for block in model.blocks:
            block.branch[-1].weight.zero_()
    found = path_lengths(model, inputs, targets)

    assert found.size[1:] == (0.0, 0.0, 0.0, 0.0)
    assert (found.mean_length, found.effective) == (0.0, 0)


@pytest.mark.parametrize("patches", [(8,), (4, 2), (2, 2, 2)])
def test_a_tree_has_the_size_that_is_counted(patches: tuple[int, ...]) -> None:
    """Parameters and products as the module has them; the width for a budget is the greatest that fits."""
    tree = seeded_tree(patches, 7, 6, 5, seed=0)
    count = sum(parameter.numel() for parameter in tree.parameters())
    seen: list[int] = []
    for layer in [*tree.layers, tree.readout]:
        layer.register_forward_hook(lambda module, args, out: seen.append(out[0].numel() * module.in_features))
    tree(torch.zeros(3, 48))

    assert parameters_of(patches, 7, 6, 5) == count
    assert products_of(patches, 7, 6, 5) == sum(seen)
    width = width_for("parameters", 3000, patches, 6, 5)
    assert parameters_of(patches, width, 6, 5) <= 3000 < parameters_of(patches, width + 1, 6, 5)


def test_a_deep_tree_uses_the_same_weights_everywhere() -> None:
    """Pairs that are moved along give the same signals, moved along."""
    tree = seeded_tree((2, 2, 2), 5, 3, 2, seed=0)
    inputs = torch.randn(4, 8, 3)
    first = torch.relu(tree.layers[0](inputs.reshape(4, 4, 6)))
    swapped = torch.relu(tree.layers[0](inputs.roll(2, dims=1).reshape(4, 4, 6)))

    assert torch.allclose(swapped, first.roll(1, dims=1), atol=1e-6)  # products of other shapes may round otherwise
    assert not torch.allclose(swapped, first, atol=1e-3)


def test_networks_are_drawn_from_their_seed_alone() -> None:
    """The same seed gives the same weights, another one others, and torch's own generator is left where it was."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (seeded_reader(seed) for seed in (0, 0, 1))

    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.readout.weight, same.readout.weight)
    assert not torch.equal(one.readout.weight, other.readout.weight)
    assert one(digits().train_inputs[:2]).shape == (2, 10)


def test_flat_classes_are_cut_by_planes() -> None:
    """A linear classifier is enough for what the task holds: least squares on the classes reads over 85% of what is held out."""
    data = flat_classes(samples=4000)
    inputs, targets = data.train_inputs[:], data.train_targets[:]
    weights = torch.linalg.lstsq(inputs, F.one_hot(targets, 6).float() - 1 / 6).solution
    right = ((data.test_inputs[:] @ weights).argmax(1) == data.test_targets[:]).float().mean()

    assert right > 0.85


@pytest.mark.parametrize("depth", [1, 3, 30])
def test_equal_width_is_the_greatest_that_fits(depth: int) -> None:
    """One more unit would be over the budget."""
    shape = {"depth": depth, "inputs": 48, "outputs": 6, "residual": "pre-norm"}
    width = equal_width(30_000, shape)

    assert num_parameters(Mlp(width=width, **shape)) <= 30_000 < num_parameters(Mlp(width=width + 1, **shape))


def test_a_construction_is_counted_as_it_is() -> None:
    """Six folds: 64 pieces, no error; a network at its start has far fewer pieces than its units could make."""
    found = construct(6)

    assert (found["pieces"], found["largest_error"], found["deep_units"], found["shallow_units"]) == (64, 0.0, 12, 64)
    assert 1 < count_at_start(depth=2, units=24, seed=0)["pieces"] < 24


def test_the_best_rate_is_chosen_by_the_median_over_seeds() -> None:
    """One lucky seed does not choose a rate, a run that stopped counts as the worst, and equal rates give the smaller."""
    losses = {0.1: (0.0, 9.0, 9.0), 0.01: (1.0, 1.0, 1.2), 0.001: (1.0, 1.0, float("inf"))}
    rows = [
        {"depth": 5, "rate": rate, "seed": seed, "train_loss": loss}
        for rate, own in losses.items()
        for seed, loss in enumerate(own)
    ]
    ((at, rate, own),) = at_best_rate(rows, ("depth",))

    assert (at, rate) == ({"depth": 5}, 0.001)
    assert [row["seed"] for row in own] == [0, 1, 2]


def test_a_span_in_words() -> None:
    """Median and range; one value alone where there is no range."""
    assert span([0.1, 0.3, 0.2], percent=True) == "20% (10% to 30%)"
    assert span([2.0, 2.0]) == span([2.0]) == "2"
