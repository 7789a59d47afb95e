"""A lesion is the network without the block, and leaves no trace; the smaller model is handed back."""

import os

import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import BatchError, ModelError, SpecError
from fathometer.instruments import DepthPoint
from fathometer.lenses import lesion, logit_lens, shrink
from fathometer.lenses.bypass import bypassing, exchanged
from fathometer.lenses.removal import without_blocks
from fathometer.lenses.streaming import points_of
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.spec import ConvNet, Mlp, Transformer

os.environ["HF_HUB_OFFLINE"] = "1"
WIDTH, DEPTH = 12, 4


class Block(nn.Module):
    """A residual block that writes into a copy, takes its branch by name, and answers in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, stream: Tensor, scale: float = 1.0) -> tuple[Tensor, float]:
        return stream + scale * torch.tanh(self.linear(stream)), scale


class Net(nn.Module):
    """Blocks in a list, called one after the other."""

    def __init__(self, depth: int = DEPTH) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        self.readout = nn.Linear(WIDTH, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        for block in self.blocks:
            inputs, _ = block(inputs, scale=0.5)
        return self.readout(inputs)


def batch(seed: int, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    """Return 20 inputs and classes that follow from them."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(20, width, generator=generator)
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 1).long()


def loss_of(model: nn.Module, pair: tuple[Tensor, Tensor]) -> float:
    """Return the cross-entropy."""
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(pair[0]), pair[1]))


def hand_built(model: Net, order: list[int]) -> Net:
    """Return a network with these blocks of another one, in this order."""
    twin = Net(0)
    twin.blocks.extend(model.blocks[place] for place in order)
    twin.readout = model.readout
    return twin


@pytest.fixture
def net(seed: int) -> Net:
    """Return a network in training mode."""
    torch.manual_seed(seed)
    return Net()


def test_a_skipped_block_is_a_network_without_it(net: Net, seed: int) -> None:
    """The loss without each block is that of a network built by hand without it, to the last bit."""
    pair = batch(seed)
    found = lesion(net, pair)

    assert found.points == tuple(f"blocks.{place}" for place in range(DEPTH))
    assert found.loss == loss_of(net, pair)
    for place in range(DEPTH):
        assert found.skipped[place] == loss_of(hand_built(net, [one for one in range(DEPTH) if one != place]), pair)


def test_swapped_blocks_are_a_network_with_them_swapped(net: Net, seed: int) -> None:
    """The loss with neighbours swapped is that of a network built by hand in that order; the last has no next one."""
    pair = batch(seed)
    found = lesion(net, pair)

    for place in range(DEPTH - 1):
        order = list(range(DEPTH))
        order[place : place + 2] = order[place + 1], order[place]
        assert found.swapped[place] == loss_of(hand_built(net, order), pair)
    assert found.swapped[-1] is None


def test_layers_of_a_sequential_are_skipped_with_their_activations(seed: int) -> None:
    """A linear layer and the activation behind it, which writes in place, go together; those that change the width cannot."""
    torch.manual_seed(seed)
    parts = [nn.Linear(WIDTH, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU(inplace=True), nn.Linear(9, 9), nn.ReLU(inplace=True)]
    model, pair = nn.Sequential(*parts, nn.Linear(9, 3)), batch(seed)
    found = lesion(model, pair, layers=None)
    twin = nn.Sequential(*parts[:2], *parts[4:], model[-1])

    place = found.points.index("2")
    assert found.skipped[place] == loss_of(twin, pair)
    if "0" in found.points:
        assert found.skipped[found.points.index("0")] is None


def test_a_block_that_runs_twice_may_be_skipped_once(seed: int) -> None:
    """Of a shared block each call is a point of its own."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Linear(WIDTH, WIDTH)

        def forward(self, inputs: Tensor) -> Tensor:
            return torch.tanh(self.block(torch.tanh(self.block(inputs))))

    torch.manual_seed(seed)
    model, (inputs, _) = Twice(), batch(seed)
    points = points_of(model, inputs, ["block"])
    with torch.no_grad(), bypassing(model, points, [1]):
        found = model(inputs)

    assert [point.name for point in points] == ["block", "block#2"]
    assert torch.equal(found, torch.tanh(torch.tanh(model.block(inputs))))


def test_labels_among_the_inputs_are_targets(seed: int) -> None:
    """A dictionary with `labels` is judged as the pair of inputs and targets, with a loss function too; without any it is not."""

    class Named(Net):
        def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
            return super().forward(inputs)

    model, (inputs, targets) = Named(), batch(seed)
    named = {"inputs": inputs, "labels": targets}

    for loss_fn in (None, nn.functional.cross_entropy):
        assert lesion(model, named, loss_fn=loss_fn) == lesion(model, (inputs, targets))
        assert logit_lens(model, [named], loss_fn=loss_fn) == logit_lens(model, (inputs, targets))
    assert shrink(model, named, drop=1).curve == shrink(model, (inputs, targets), drop=1).curve
    for look in (lesion, logit_lens):
        with pytest.raises(BatchError, match="without targets"):
            look(model, {"inputs": inputs})


def test_looking_leaves_no_trace(net: Net, seed: int) -> None:
    """Modes, hooks, forward functions and weights are as they were, also after an exception."""
    pair = batch(seed)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    lesion(net, pair)
    shrink(net, pair, drop=1)
    with pytest.raises(RuntimeError), exchanged(net, "blocks.0", "blocks.1"):
        raise RuntimeError

    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module) for module in net.modules())
    assert len(net.blocks) == DEPTH


def test_a_useless_block_goes_first_and_a_needed_one_stays(seed: int) -> None:
    """Blocks planted as useless are found and go; the depth used counts the others."""
    torch.manual_seed(seed)
    net = Net()
    net.readout = nn.Linear(WIDTH, 3)
    with torch.no_grad():
        for place, size in ((1, 0.0), (3, 1e-4)):
            net.blocks[place].linear.weight.mul_(size)
            net.blocks[place].linear.bias.mul_(size)
    inputs, _ = batch(seed)
    net.readout.weight.data.mul_(50)  # sure of its answers, which are right
    pair = inputs, net(inputs).argmax(1)
    found = lesion(net, pair)
    smaller = shrink(net, pair, drop=2)

    assert set(smaller.dropped) == {"blocks.1", "blocks.3"}
    assert found.has_learned
    assert found.depth_used is not None
    assert found.depth_used <= 2


def test_a_network_that_learned_nothing_uses_no_depth_that_can_be_told(seed: int) -> None:
    """Where the loss is that of guessing, the depth used is unknown."""
    torch.manual_seed(seed)
    inputs, _ = batch(seed)
    targets = torch.arange(20) % 3

    assert lesion(Net(), (inputs, targets)).depth_used is None


def test_the_smaller_model_is_handed_back(net: Net, seed: int) -> None:
    """It has fewer blocks, answers as the network that skips them, and its loss is the curve's."""
    pair = batch(seed)
    found = shrink(net, pair, drop=2)
    kept = [place for place in range(DEPTH) if f"blocks.{place}" not in found.dropped]

    assert len(found.model.blocks) == 2
    assert torch.equal(found.model(pair[0]), hand_built(net, kept)(pair[0]))
    assert found.loss_after == pytest.approx(found.curve[2], abs=1e-6)
    assert (found.loss_before, found.loss_healed) == (found.curve[0], None)
    assert sum(p.numel() for p in found.model.parameters()) == sum(p.numel() for p in net.parameters()) - 2 * WIDTH * (WIDTH + 1)


def test_healing_lowers_the_loss(net: Net, seed: int) -> None:
    """A short training run of the smaller copy; the user's own network stays as it is."""
    pair = batch(seed)
    before = loss_of(net, pair)
    found = shrink(net, pair, drop=2, heal=pair, asked=Asked(steps=40, learning_rate=1e-2))

    assert found.loss_healed is not None
    assert found.loss_healed < 0.8 * found.loss_after
    assert loss_of(net, pair) == before


def test_by_itself_it_drops_what_costs_little(net: Net, seed: int) -> None:
    """Without `drop`, as many blocks go as cost 5% of what was learned: none of a network all of whose blocks matter."""
    pair = batch(seed)
    with torch.no_grad():
        for block in net.blocks:
            block.linear.weight.mul_(1e-6)
            block.linear.bias.zero_()
    healed = shrink(net, pair, heal=None)

    assert healed.loss_after <= healed.loss_before + 0.05 * healed.loss_before
    with pytest.raises(SpecError, match="one stays"):
        shrink(net, pair, drop=DEPTH)


@pytest.mark.parametrize(
    ("spec", "inputs"),
    [
        (Mlp(depth=5, width=16, inputs=8, residual="pre-norm"), torch.randn(6, 8, generator=torch.Generator().manual_seed(0))),
        (ConvNet(depth=20, width=4), torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))),
        (Transformer(depth=4, width=16, vocabulary=9, context=8), torch.arange(32).reshape(4, 8) % 9),
    ],
    ids=["mlp", "convnet", "transformer"],
)
def test_our_own_networks_shrink(spec: Mlp | ConvNet | Transformer, inputs: Tensor) -> None:
    """Specs of every family lose blocks, and a spec that counts them says how many are left."""
    model = build(spec)
    targets = inputs if isinstance(spec, Transformer) else torch.arange(len(inputs)) % 2
    found = shrink(model, (inputs, targets), drop=2)

    assert len(found.model.blocks) == len(model.blocks) - 2
    if not isinstance(spec, ConvNet):
        assert found.model.spec.depth == spec.depth - 2
    assert model.spec is spec


def test_models_of_hugging_face_shrink() -> None:
    """GPT-2's blocks are counted anew in its config and in their places, and it generates on."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_embd=16, n_layer=4, n_head=2, vocab_size=30, bos_token_id=0, eos_token_id=0)
    model = transformers.GPT2LMHeadModel(config)
    tokens = torch.arange(24).reshape(2, 12)
    found = shrink(model, [{"input_ids": tokens, "labels": tokens}], drop=2)

    assert found.model.config.n_layer == 2
    assert [block.attn.layer_idx for block in found.model.transformer.h] == [0, 1]
    assert model.config.n_layer == 4
    assert model.config.use_cache
    assert found.model.generate(tokens[:, :3], max_new_tokens=3, do_sample=False, pad_token_id=0).shape == (2, 6)


def test_what_is_no_member_of_a_list_cannot_go(net: Net, seed: int) -> None:
    """The error says where blocks go from; a model that uses a block otherwise than in its place is refused."""
    inputs, _ = batch(seed)
    with pytest.raises(ModelError, match="not a member of a list"):
        without_blocks(net, [DepthPoint("readout", ("readout",))], inputs)

    class Backwards(Net):
        def forward(self, inputs: Tensor) -> Tensor:
            for place, block in enumerate(self.blocks):
                inputs = (place + 1) * block(inputs)[0]
            return self.readout(inputs)

    torch.manual_seed(seed)
    odd = Backwards()
    with pytest.raises(ModelError, match="answers differently"):
        without_blocks(odd, [DepthPoint("blocks.1", ("blocks.1",))], inputs)
