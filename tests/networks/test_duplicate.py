"""Modules that were not made here grow too, where a block can be empty."""

import os
from inspect import signature

import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import ModelError
from fathometer.networks import deepen

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a name of the hub would be waited for


class Block(nn.Module):
    """A residual block of two layers, with a choice of where things go wrong."""

    def __init__(self, kind: str = "pre-norm", width: int = 16) -> None:
        super().__init__()
        self.kind = kind
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(4 * width, width)  # defined before the first, executed after it
        self.first = nn.Linear(width, 4 * width)
        self.alpha = nn.Parameter(torch.tensor(0.5)) if kind == "rezero" else None

    def forward(self, stream: Tensor) -> Tensor:
        if self.kind == "plain":
            return self.last(self.first(stream).relu()).tanh()
        if self.kind == "post-norm":
            return self.norm(stream + self.last(self.first(stream).relu()))
        branch = self.last(self.first(self.norm(stream)).relu())
        return stream + branch if self.alpha is None else stream + self.alpha * branch


class Stacked(nn.Module):
    """A stem, blocks and a readout, as anyone may write them."""

    def __init__(self, kind: str = "pre-norm", depth: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.layers = nn.ModuleList(Block(kind) for _ in range(depth))
        self.readout = nn.Linear(16, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        stream = self.stem(inputs)
        for layer in self.layers:
            stream = layer(stream)
        return self.readout(stream)


class ImageBlock(nn.Module):
    """A basic block of He et al. 2016; the first of a stage changes the shape."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.down = nn.Conv2d(channels, width, 1) if channels != width else None

    def forward(self, images: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(self.bn1(self.conv1(images)).relu()))
        return (branch + (images if self.down is None else self.down(images))).relu()


def outputs(model: nn.Module, inputs: Tensor) -> Tensor:
    """Return what a module answers in eval mode."""
    with torch.no_grad():
        return model.eval()(inputs)


def zeros(block: nn.Module, old: nn.Module | None = None) -> list[str]:
    """Return the names of the parameters that are all zero, and are not in an old block."""
    others = {} if old is None else dict(old.named_parameters())
    return [name for name, value in block.named_parameters() if not value.any() and (not others or others[name].any())]


@pytest.mark.parametrize("where", ["end", "between"])
@pytest.mark.parametrize(("kind", "expected"), [("pre-norm", ["last.weight", "last.bias"]), ("rezero", ["alpha"])])
def test_the_last_layer_of_the_branch_is_found(kind: str, expected: list[str], where: str, seed: int) -> None:
    """Whatever the order of definition: outputs as they were, exactly the last layer zero, and it learns on."""
    torch.manual_seed(seed)
    model, inputs, targets = Stacked(kind), torch.randn(6, 8), torch.arange(6) % 4
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    grown = deepen(model, to=5, optimizer=optimizer, inputs=inputs, where=where)

    torch.testing.assert_close(outputs(grown.model, inputs), outputs(model, inputs), rtol=0, atol=0)
    assert [zeros(grown.model.layers[index], model.layers[0]) for index in grown.new_blocks] == [expected] * 2
    assert grown.optimizer is not None
    losses = []
    for _ in range(20):
        grown.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(grown.model.train()(inputs), targets)
        loss.backward()
        grown.optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(zeros(block) == [] for block in grown.model.layers)


@pytest.mark.parametrize("kind", ["post-norm", "plain"])
def test_a_block_that_cannot_be_empty_is_refused(kind: str) -> None:
    """A norm behind the sum, or no stream at all: no zeros help, and the error says what a block needs."""
    with pytest.raises(ModelError, match="needs a residual stream"):
        deepen(Stacked(kind), to=4, inputs=torch.randn(2, 8))


def test_torchs_encoder_grows_with_its_norm_first_only() -> None:
    """Both branches are emptied by their last projections, of which one is never called as a module."""
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
    encoder, inputs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(2, 5, 16)
    grown = deepen(encoder, to=4, inputs=inputs).model

    torch.testing.assert_close(outputs(grown, inputs), outputs(encoder, inputs), rtol=0, atol=1e-6)
    # The bias of the other projection starts at zero.
    assert zeros(grown.layers[3], encoder.layers[0]) == ["self_attn.out_proj.weight", "linear2.weight", "linear2.bias"]
    post = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False)
    with pytest.raises(ModelError, match="no norm behind the sum"):
        deepen(post, to=3, inputs=inputs)


def test_a_stage_of_a_convnet_grows_by_the_gain_of_its_last_norm() -> None:
    """Behind a ReLU an empty branch hands on what it is given; the block that changes the shape is not copied."""
    stage = nn.Sequential(ImageBlock(3, 8), ImageBlock(8, 8), ImageBlock(8, 8))
    images = torch.randn(2, 3, 8, 8)
    grown = deepen(nn.Sequential(stage, nn.Flatten()), to=5, inputs=images, where="between", blocks="0")

    torch.testing.assert_close(
        outputs(grown.model, images), outputs(nn.Sequential(stage, nn.Flatten()), images), rtol=0, atol=1e-6
    )
    assert grown.new_blocks == (2, 4)
    assert zeros(grown.model[0][2], stage[1]) == ["bn2.weight"]  # its bias starts at zero


def test_gpt2_of_hugging_face_grows() -> None:
    """Blocks that return tuples and write to a cache: each new one has a place of its own in it."""
    transformers = pytest.importorskip("transformers")
    gpt = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=2, n_embd=16, n_head=2, n_positions=32, vocab_size=40))
    tokens = torch.arange(12).reshape(2, 6)
    grown = deepen(gpt, to=4, inputs=tokens, where="between")
    logits = outputs(gpt, tokens).logits

    torch.testing.assert_close(outputs(grown.model, tokens).logits, logits, rtol=0, atol=1e-6)
    assert grown.model.config.num_hidden_layers == 4
    assert [block.attn.layer_idx for block in grown.model.transformer.h] == [0, 1, 2, 3]
    assert zeros(grown.model.transformer.h[1], gpt.transformer.h[0]) == ["attn.c_proj.weight", "mlp.c_proj.weight"]
    assert gpt.config.num_hidden_layers == 2
    with torch.no_grad():  # the cache of three tokens, then the fourth: what the whole gives at once
        first = grown.model(tokens[:, :3], use_cache=True)
        name = "cache" if "cache" in signature(type(gpt).forward).parameters else "past_key_values"  # as it was called before
        rest = grown.model(tokens[:, 3:], **{name: first.past_key_values})
    torch.testing.assert_close(rest.logits, logits[:, 3:], rtol=0, atol=1e-6)


def test_what_is_missing_is_said() -> None:
    """No inputs, no list of blocks, a name that is not one, and blocks that never run."""
    with pytest.raises(ModelError, match="inputs="):
        deepen(Stacked(), to=4)
    with pytest.raises(ModelError, match="no list of like blocks"):
        deepen(nn.Linear(8, 4), to=4, inputs=torch.zeros(2, 8))
    with pytest.raises(ModelError, match="no such module"):
        deepen(Stacked(), to=4, inputs=torch.zeros(2, 8), blocks="levels")


def test_the_module_is_left_alone() -> None:
    """Weights, mode, hooks and the number of blocks are as they were, also when it is refused."""
    for kind in ("pre-norm", "post-norm"):
        model = Stacked(kind).train()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        try:
            grown = deepen(model, to=4, inputs=torch.randn(2, 8)).model
            assert grown.training
            assert not any(module._forward_hooks or module._forward_pre_hooks for module in grown.modules())
        except ModelError:
            assert kind == "post-norm"
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
        assert model.training
        assert len(model.layers) == 3


def test_new_blocks_are_in_the_mode_of_those_that_they_copy(seed: int) -> None:
    """A module in train mode grows by blocks in train mode, and what was put in eval mode by hand stays so in its copy."""
    torch.manual_seed(seed)
    model = Stacked().train()
    for layer in model.layers:
        layer.norm.eval()
    grown = deepen(model, to=5, inputs=torch.randn(2, 8)).model

    assert [(layer.training, layer.first.training, layer.norm.training) for layer in grown.layers] == [(True, True, False)] * 5
    assert not deepen(model.eval(), to=5, inputs=torch.randn(2, 8)).model.layers[-1].training
