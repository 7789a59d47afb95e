"""Early answers and distances of attention are those of plain computations by hand."""

import os

import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import ModelError
from fathometer.lenses import attention_distance, logit_lens
from fathometer.networks import build
from fathometer.spec import ConvNet, Transformer

os.environ["HF_HUB_OFFLINE"] = "1"
SPEC = Transformer(depth=3, width=16, heads=2, vocabulary=9, context=12, tied=False)


def tokens(seed: int, count: int = 4) -> Tensor:
    """Return random tokens."""
    return torch.randint(0, 9, (count, 12), generator=torch.Generator().manual_seed(seed))


def test_an_early_answer_is_norm_and_readout_of_the_stream(seed: int) -> None:
    """At each depth the loss is that of the final norm and the readout on what the block gave, by hand."""
    model, inputs, targets = build(SPEC, seed=seed % 100), tokens(seed), tokens(seed + 1)
    found = logit_lens(model, (inputs, targets))
    with torch.no_grad():
        stream = model.embedding(inputs) + model.positions.weight[:12]
        by_hand, choices = [], []
        for block in (None, *model.blocks):
            stream = stream if block is None else block(stream)
            logits = model.readout(model.final_norm(stream))
            by_hand.append(float(nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())))
            choices.append(logits.argmax(-1))

    assert found.points == ("input", "blocks.0", "blocks.1", "blocks.2")
    assert found.loss == pytest.approx(by_hand, rel=1e-5)
    assert found.agreement == pytest.approx([float((choice == choices[-1]).float().mean()) for choice in choices])
    assert found.agreement[-1] == 1


def test_a_model_that_shifts_its_labels_is_judged_by_its_own_loss() -> None:
    """GPT-2 of Hugging Face takes its labels as inputs and shifts them itself: the last early loss is the model's."""
    transformers = pytest.importorskip("transformers")
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=9, bos_token_id=0, eos_token_id=0)
    ).eval()
    inputs = tokens(0)
    found = logit_lens(model, [{"input_ids": inputs, "labels": inputs}])

    with torch.no_grad():
        assert found.loss[-1] == pytest.approx(float(model(input_ids=inputs, labels=inputs).loss), rel=1e-5)
    assert len(found.loss) == 3


def test_a_network_whose_shapes_change_has_no_early_answers() -> None:
    """A convnet's later stages have other shapes: the error says so."""
    model = build(ConvNet(depth=8, width=4, classes=3))

    with pytest.raises(ModelError, match="gives the shape that it takes"):
        logit_lens(model, (torch.randn(2, 3, 8, 8), torch.tensor([0, 1])))


class Looks(nn.Module):
    """A block of attention that looks exactly `back` places back, as far as there are places."""

    def __init__(self, back: int) -> None:
        super().__init__()
        self.back, self.scale = back, nn.Parameter(torch.tensor(120.0))

    def forward(self, stream: Tensor) -> Tensor:
        time = stream.shape[1]
        wanted = (torch.arange(time) - self.back).clamp(min=0)
        query = self.scale * nn.functional.one_hot(wanted, 32).float()
        key = nn.functional.one_hot(torch.arange(time), 32).float()
        heads = [one.expand(len(stream), 1, -1, -1) for one in (query, key)]
        return stream + nn.functional.scaled_dot_product_attention(*heads, stream[:, None])[:, 0]


def test_distances_are_those_that_were_built_in() -> None:
    """Blocks that look 0, 2 and 5 places back are found to, at the mean over places of what there is to look at."""
    model = nn.Sequential(*[Looks(back) for back in (0, 2, 5)])
    found = attention_distance(model, torch.randn(2, 12, 32), layers=["?"])
    expected = [sum(min(back, at) for at in range(12)) / 12 for back in (0, 2, 5)]

    assert found is not None
    assert [row[0] for row in found.heads] == pytest.approx(expected, abs=1e-3)
    assert found.uniform == pytest.approx([143 / 36] * 3)  # mean of |i - j| over 12 places: (n² - 1) / 3n


def test_a_causal_mask_is_respected(seed: int) -> None:
    """At its start a causal transformer looks at all earlier places nearly alike: half as far back as each place stands."""
    found = attention_distance(build(SPEC, seed=seed % 100), tokens(seed))

    assert found is not None
    assert found.points == ("blocks.0", "blocks.1", "blocks.2")
    assert [len(row) for row in found.heads] == [2, 2, 2]
    assert found.uniform == pytest.approx([11 / 4] * 3)
    assert found.heads[0][0] == pytest.approx(11 / 4, rel=0.02)


def test_a_network_without_attention_has_no_distance() -> None:
    """The control: nothing is heard."""
    assert attention_distance(build("mlp-5"), torch.zeros(4, 64)) is None
