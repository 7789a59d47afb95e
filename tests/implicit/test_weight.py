"""Weights without numbers: what layers may do with them, and what is refused by name."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fathometer.errors import ModelError
from fathometer.implicit import (
    ImplicitEmbedding,
    ImplicitLinear,
    ImplicitWeight,
    Session,
    Unmade,
    implicit_parameter,
    implicit_weights,
    make_implicit,
    replay,
)


def weight(rows: int = 6, columns: int = 4, seed: int = 0) -> nn.Parameter:
    """Return a small implicit weight of std 1."""
    return implicit_parameter("w", (rows, columns), 1.0, Session(seed))


def test_it_takes_the_place_of_a_linear_layers_weight() -> None:
    """nn.Linear runs unchanged with an implicit weight, and the weight still counts as a parameter of its shape."""
    layer = nn.Linear(4, 6)
    layer.weight = weight()

    assert layer(torch.randn(3, 2, 4)).shape == (3, 2, 6)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 30
    assert isinstance(layer.weight, nn.Parameter)


@pytest.mark.parametrize(
    "use",
    [
        lambda x, w: x @ w.T,
        lambda x, w: torch.matmul(x, w.t()),
        lambda x, w: torch.addmm(torch.zeros(6), x, w.transpose(0, 1)),
    ],
    ids=["matmul", "t", "addmm"],
)
def test_products_written_otherwise_are_the_same(use: object) -> None:
    """x @ W.T, and addmm as Hugging Face's Conv1D has it, draw what F.linear draws."""
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))

    assert torch.equal(use(x, weight()), F.linear(x, weight()))  # pyrefly: ignore[not-callable]


def test_layers_stand_in_for_torchs() -> None:
    """ImplicitLinear and ImplicitEmbedding are torch's layers to whoever asks, of any width, and a seed decides their answers."""
    linear, table = ImplicitLinear(10**6, 7, std=1e-3), ImplicitEmbedding(10**9, 5, std=2.0, seed=3)
    x = torch.randn(64, 10**4)

    assert isinstance(linear, nn.Linear)
    assert isinstance(table, nn.Embedding)
    assert torch.equal(table(torch.tensor([5, 999_999_999, 5]))[0], table(torch.tensor([5]))[0])
    wide = ImplicitLinear(10**4, 500, std=1e-2, bias=False)(x)
    assert float(wide.detach().std()) == pytest.approx(1.0, rel=0.02)  # 32,000 numbers of std 1: 0.4%, and the lengths of x 1%


def test_one_of_a_stack_is_a_matrix_of_its_own() -> None:
    """An expert is one matrix of a stack: the same one when taken again, and another than its neighbour."""
    stack = implicit_parameter("experts", (3, 6, 4), 1.0, Session())
    x = torch.randn(2, 4)
    first, second = F.linear(x, stack[0]), F.linear(x, stack[torch.tensor(1)])

    assert stack[0] is stack[0]
    assert not torch.equal(first, second)
    assert stack.numel() == 72


def test_rows_are_those_of_the_matrix() -> None:
    """A readout tied to an embedding gives a token's own row its own product with the stream."""
    tied = weight(rows=9)
    tokens = torch.tensor([[2, 7, 2]])
    rows = F.embedding(tokens, tied)
    stream = torch.randn(5, 4)

    logits = F.linear(stream, tied)

    assert torch.equal(rows[0, 0], rows[0, 2])
    assert torch.allclose(logits[:, [2, 7]], stream @ rows[0, :2].T, atol=1e-6)  # float32 sums of four numbers


@pytest.mark.parametrize("use", [lambda w: w + 1, lambda w: w[0], lambda w: w.sum(), lambda w: torch.linalg.norm(w)])
def test_another_use_is_refused_by_name(use: object) -> None:
    """What needs the numbers themselves raises an error with the weight's name."""
    with pytest.raises(ModelError, match="`w` is too large to be made"):
        use(weight())  # pyrefly: ignore[not-callable]


def test_a_matrix_asked_twice_must_remember() -> None:
    """A second product in one pass would need what the first has told: refused unless the matrix remembers."""
    shared = weight()
    x = torch.randn(2, 4)
    F.linear(x, shared)

    with pytest.raises(ModelError, match="used twice in one pass"):
        F.linear(x, shared)


def test_a_matrix_that_remembers_is_linear() -> None:
    """Asked for x, y and x + 2 y in turn, and from the other side, it answers as one matrix does."""
    shared = weight(rows=8, columns=12)
    assert isinstance(shared, ImplicitWeight)
    shared.matrix.remembers = True
    x, y, g = torch.randn(3, 12), torch.randn(3, 12), torch.randn(2, 8)
    of_x, of_y = F.linear(x, shared), F.linear(y, shared)
    of_g = g @ shared
    of_both = F.linear(x + 2 * y, shared)

    assert torch.allclose(of_both, of_x + 2 * of_y, atol=1e-4)  # sums of float32 projections: 1e-6 of numbers around 5
    assert torch.allclose(of_g @ x.T, g @ of_x.T, atol=1e-4)


class Block(nn.Module):
    """A residual branch with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.last(F.dropout(self.first(x).relu(), 0.2, self.training))


class Stack(nn.Module):
    """A few of them."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def unmade_stack() -> nn.Module:
    """Return the blocks with implicit matrices, their starts as written down while they were built."""
    building = Unmade(smallest=1)
    with building:
        model = Stack()
    make_implicit(model, {name: building.start_of(p) for name, p in model.named_parameters()}, Session(), smallest=1)
    return model


def test_running_blocks_again_changes_nothing() -> None:
    """Output, gradient and norms of the weights' gradients are the same, bit for bit, whether blocks are kept or run again."""
    found = []
    for blocks in ([], [f"blocks.{index}" for index in range(3)]):
        model = unmade_stack()
        replay(model, blocks)
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in model.parameters():
                if not isinstance(parameter, ImplicitWeight):
                    parameter.zero_()
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(2), requires_grad=True)
        output = model(x)
        (gradient,) = torch.autograd.grad(output.square().sum(), [x])
        norms = [weight.matrix.tally.norm_square() for weight in implicit_weights(model).values()]
        found.append((output.detach(), gradient, norms))

    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]


def test_starts_are_written_down() -> None:
    """Normal, uniform, truncated, scaled and constant starts are known with their spread; small tensors are made."""
    building = Unmade(smallest=100)
    with building:
        layers = [nn.Linear(20, 30) for _ in range(6)]
        nn.init.normal_(layers[1].weight, std=0.3)
        nn.init.trunc_normal_(layers[2].weight, std=0.02)
        layers[3].weight.data.normal_(0, 1).mul_(0.5)
        nn.init.zeros_(layers[4].weight)
        nn.init.orthogonal_(layers[5].weight)
        small = nn.Linear(3, 3)
    starts = [building.start_of(layer.weight) for layer in layers]

    assert starts[0] is not None
    assert (starts[0].kind, starts[0].mean) == ("uniform", 0.0)
    assert [start and round(start.std, 6) for start in starts[:5]] == [0.129099, 0.3, 0.02, 0.5, 0.0]  # 1/√60 at first
    assert starts[5] is None
    assert not small.weight.is_meta


def test_a_loaded_checkpoint_has_no_start() -> None:
    """Weights that were copied into their place are trained ones: they are refused by name."""
    trained = nn.Linear(4, 4).state_dict()
    building = Unmade(smallest=1)
    with building:
        model = nn.Linear(4, 4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that nothing is copied into a tensor on the meta device
            model.load_state_dict(trained)

    with pytest.raises(ModelError, match="not known how `weight` starts"):
        make_implicit(model, {"weight": building.start_of(model.weight)}, Session(), smallest=1)


def test_a_start_that_is_not_known_is_refused_by_name() -> None:
    """An orthogonal or loaded weight cannot be drawn: the error names it."""
    with Unmade(smallest=1):
        model = nn.Sequential(nn.Linear(4, 4))

    with pytest.raises(ModelError, match=r"not known how `0.weight` starts"):
        make_implicit(model, {}, Session(), smallest=1)
