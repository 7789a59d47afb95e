"""What is counted equals what is written out by hand, for any module."""

import os

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from fathometer import scaling
from fathometer.errors import ModelError
from fathometer.instruments import account
from fathometer.networks import build
from fathometer.spec import PRESETS, ConvNet, Mlp, Spec, preset

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a name of the hub would be waited for
QUICK = {"shallow-1", "mlp-5", "tanh-50", "residual-50", "resnet-20", "plain-20", "resnet-18", "resnet-50", "gpt2", "llama3-8b"}


def inputs_of(spec: Spec, batch: int = 2) -> torch.Tensor:
    """Return inputs on meta that fit a spec."""
    if isinstance(spec, Mlp):
        return torch.empty(batch, spec.inputs, device="meta")
    if isinstance(spec, ConvNet):
        return torch.empty(batch, spec.channels, spec.side, spec.side, device="meta")
    return torch.empty(batch, spec.context, dtype=torch.long, device="meta")


def first_matrix(spec: Spec) -> int:
    """Return the forward operations of the first matrix for one sample, if its input is the data and needs no gradient."""
    if isinstance(spec, Mlp):
        return 2 * spec.inputs * spec.width
    if isinstance(spec, ConvNet):
        side, kernel = (spec.side, 3) if spec.layout == "cifar" else (spec.side // 2, 7)
        return 2 * side**2 * kernel**2 * spec.channels * spec.first_width
    return 0


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in PRESETS])
def test_a_preset_takes_what_its_closed_form_says(name: str) -> None:
    """Parameters and operations of every preset, built and run on meta, are those of the closed forms, to the last one."""
    spec = preset(name)
    found = account(build(spec, device="meta"), inputs_of(spec, batch=1))
    forward = scaling.forward_flops(spec)

    assert found.parameters == scaling.num_parameters(spec)
    assert found.forward_flops == forward
    # The closed form counts a gradient for the data, which nobody asks for.
    assert found.backward_flops == 2 * forward - first_matrix(spec)
    assert found.recomputed_training_flops == found.training_flops + forward
    assert found.uncounted == ()


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("mlp-5", 0),
        ("tanh-50", 0),
        ("residual-50", 0),
        ("pre-norm-96", 0.02),  # statistics of LayerNorm: two numbers for 64
        ("resnet-50", 0.03),  # the places of max-pool, 8 bytes each, and the statistics of BatchNorm
        ("gpt2", 0.001),  # statistics of LayerNorm: two numbers for 768
    ],
)
def test_bytes_are_those_of_the_closed_form(name: str, more: float) -> None:
    """Parameters, gradients and Adam agree exactly, activations up to what the closed form leaves out."""
    spec = preset(name)
    found, expected = account(build(spec, device="meta"), inputs_of(spec)), scaling.memory_bytes(spec, 2)

    assert (found.parameter_bytes, found.gradient_bytes) == (expected.parameters, expected.gradients)
    assert found.optimizer_bytes == expected.optimizer
    assert expected.activations <= found.activation_bytes <= (1 + more) * expected.activations


def test_vit_has_the_operations_of_its_paper() -> None:
    """ViT-B/16 at 224 × 224: 196 patches and a class token, twelve blocks, written out by hand."""
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        vit = transformers.ViTForImageClassification(transformers.ViTConfig(num_labels=1000))
    tokens, width = 197, 768
    block = 12 * width**2 * tokens + 2 * tokens**2 * width
    macs = 196 * 16**2 * 3 * width + 12 * block + width * 1000
    found = account(vit, torch.empty(1, 3, 224, 224))

    assert found.parameters == 86_567_656
    assert found.forward_flops == 2 * macs
    assert macs == pytest.approx(17.56e9, rel=1e-3)


@pytest.mark.parametrize(
    ("depth", "width", "heads", "tokens", "parameters"),
    [
        pytest.param(12, 768, 12, 1024, 124_439_808, id="gpt2"),
        pytest.param(96, 12_288, 96, 2048, 174_604_259_328, id="gpt3-175b"),
    ],
)
def test_hugging_faces_gpt_has_the_closed_form(depth: int, width: int, heads: int, tokens: int, parameters: int) -> None:
    """GPT-2 and GPT-3 175B of Hugging Face on meta: 12·width² a token and block, two products of scores, and the readout."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_layer=depth, n_embd=width, n_head=heads, n_positions=tokens)
    with torch.device("meta"):
        gpt = transformers.GPT2LMHeadModel(config)
    found = account(gpt, torch.empty(1, tokens, dtype=torch.long))
    forward = 2 * (depth * (12 * width**2 * tokens + 2 * tokens**2 * width) + tokens * width * 50_257)
    scores = [module.forward_flops for module in found.modules if module.kind == "GPT2Attention"]

    assert found.parameters == parameters
    assert (found.forward_flops, found.backward_flops) == (forward, 2 * forward)
    assert scores == [4 * tokens**2 * width] * depth
    assert found.tensors[0].names == ("transformer.wte.weight", "lm_head.weight")
    assert found.tensors[0].forward_flops == 2 * tokens * width * 50_257


def test_torchs_encoder_is_counted_in_full() -> None:
    """In eval mode with frozen weights torch takes one opaque step on CPU; here every product is seen, and the setting stays."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval().requires_grad_(False)
    found = account(encoder, torch.zeros(3, 5, 16))

    assert found.forward_flops == 3 * 2 * 2 * (5 * (4 * 16**2 + 2 * 16 * 32) + 2 * 5**2 * 16)
    assert found.backward_flops == 0
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)], ids=["rnn", "gru", "lstm"])
def test_recurrent_layers_are_counted(kind: type[nn.Module], gates: int) -> None:
    """Each step multiplies the input and the state with a matrix for each gate, both ways."""
    layer = kind(8, 16, num_layers=2, bidirectional=True, batch_first=True)
    found = account(layer, torch.zeros(3, 5, 8))

    assert found.forward_flops == 2 * 3 * 5 * 2 * gates * 16 * ((8 + 16) + (32 + 16))


def test_a_bilinear_layer_and_a_look_up() -> None:
    """A bilinear form takes a product for each pair of inputs and output; a look-up takes nothing."""
    bilinear = account(nn.Bilinear(3, 4, 5), (torch.zeros(2, 3), torch.zeros(2, 4)))
    embedding = account(nn.Embedding(100, 8), torch.zeros(2, 3, dtype=torch.long))

    assert bilinear.forward_flops == 2 * 2 * 3 * 4 * 5
    assert (embedding.parameters, embedding.training_flops) == (800, 0)


def test_a_shared_module_counts_each_time_that_it_runs() -> None:
    """Six runs of one layer: its parameters once, its operations six times."""

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            for _ in range(6):
                inputs = self.layer(inputs).relu()
            return inputs

    found = account(Loop(), torch.zeros(4, 8))
    layer = next(module for module in found.modules if module.name == "layer")

    assert (found.parameters, layer.calls) == (72, 6)
    assert found.forward_flops == layer.forward_flops == 6 * 2 * 4 * 64
    assert layer.backward_flops == (2 * 6 - 1) * 2 * 4 * 64


def test_work_between_modules_belongs_to_their_caller() -> None:
    """A product in a parent's own `forward` is the parent's, forward and backward."""

    class Squared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            hidden = self.first(inputs)
            return self.last(hidden @ hidden.T @ hidden)

    found = account(Squared(), torch.zeros(4, 8))
    costs = {module.name: (module.forward_flops, module.backward_flops) for module in found.modules}

    assert costs == {"": (2 * 256, 4 * 256), "first": (512, 512), "last": (512, 1024)}


def test_a_frozen_layer_has_no_gradient_and_no_adam() -> None:
    """Freezing takes away gradient, states and the product for the weights; the product for the inputs stays."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].requires_grad_(False)
    found = account(model, torch.zeros(4, 8))

    assert (found.parameter_bytes, found.gradient_bytes, found.optimizer_bytes) == (2 * 288, 288, 2 * 288)
    assert (found.forward_flops, found.backward_flops) == (2 * 512, 2 * 512)


def test_checkpointing_is_seen_as_it_happens() -> None:
    """A model that runs its blocks again keeps their inputs, as was told of the plain one, and takes the products again."""

    class Deep(nn.Module):
        def __init__(self, again: bool) -> None:
            super().__init__()
            self.again = again
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 8)) for _ in range(6))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                inputs = inputs + (checkpoint(block, inputs, use_reentrant=False) if self.again else block(inputs))
            return inputs

    with set_checkpoint_early_stop(False):  # the default leaves the last product of each block out
        plain, again = account(Deep(False), torch.zeros(4, 8)), account(Deep(True), torch.zeros(4, 8))
    hidden, stream = 4 * 32 * 4, 4 * 8 * 4

    assert plain.activation_bytes == 6 * (hidden + stream)
    assert plain.recomputed_activation_bytes == 6 * stream + hidden
    assert again.training_flops == plain.recomputed_training_flops


def test_attention_keeps_no_scores_where_a_kernel_would_not() -> None:
    """Twice the tokens take twice the bytes with torch's attention, and nearly four times with scores written out."""

    class Attention(nn.Module):
        def __init__(self, fused: bool) -> None:
            super().__init__()
            self.fused, self.values = fused, nn.Linear(4, 4)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            heads = self.values(inputs)
            if self.fused:
                return nn.functional.scaled_dot_product_attention(heads, heads, heads)
            return (heads @ heads.mT).softmax(-1) @ heads

    def growth(fused: bool) -> float:
        short, long = (account(Attention(fused), torch.zeros(1, 2, tokens, 4)) for tokens in (256, 512))
        assert long.training_flops == 3 * 2 * 2 * (2 * 512**2 * 4 + 512 * 16) - 2 * 2 * 512 * 16
        return long.activation_bytes / short.activation_bytes

    assert growth(fused=True) == 2
    assert growth(fused=False) > 3.9


def test_the_module_and_torch_are_left_alone() -> None:
    """Weights, buffers, hooks, gradients, mode and generators are as they were, and what is real stays real."""
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    account(model, torch.randn(4, 8, generator=torch.Generator().manual_seed(0)))

    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(not module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None and parameter.device.type == "cpu" for parameter in model.parameters())
    assert model.training
    assert torch.equal(generator, torch.get_rng_state())


def test_a_path_that_depends_on_numbers_is_an_error() -> None:
    """Shapes alone cannot decide a branch: the error says so."""

    class Gate(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs if inputs.sum() > 0 else -inputs

    with pytest.raises(ModelError, match="shapes and no numbers"):
        account(Gate(), torch.zeros(2, 2))
