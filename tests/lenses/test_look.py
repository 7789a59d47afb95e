"""All lenses at once, on whatever is brought: one page, plain numbers, no trace."""

import json
import os
from pathlib import Path

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

import fathometer as fm
from fathometer.data.sources import read_sources
from fathometer.errors import BatchError, SpecError, TargetError
from fathometer.lenses import Expected, Look, load_folder, look_at_reference, train_reference
from fathometer.lenses.look_words import order_answer, order_sentence
from fathometer.networks import build
from fathometer.report import render
from fathometer.spec import ConvNet, Transformer

os.environ["HF_HUB_OFFLINE"] = "1"


def sequential() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Return five layers and 120 samples of three classes."""
    torch.manual_seed(0)
    inputs = torch.randn(120, 8)
    model = nn.Sequential(*[part for _ in range(4) for part in (nn.Linear(8, 8), nn.ReLU())], nn.Linear(8, 3))
    return model, (inputs, inputs[:, :3].argmax(1))


@pytest.fixture(scope="module")
def text() -> Look:
    """Return a look at a transformer on tokens."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 5, (160, 13), generator=generator)
    model = build(Transformer(depth=3, width=16, heads=2, vocabulary=5, context=12))
    return fm.look(model, (tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()), kind="ridge").named("a small reader")


def test_a_text_model_gets_every_lens(text: Look) -> None:
    """Tokens near the place, likeness, lesions, early answers, distances and liked places, all at the same depth points."""
    assert text.levels is not None
    assert list(text.levels.probes) == ["this token", "the token before", "two tokens before", "the next token"]
    assert text.points == text.lens.points == ("input", "blocks.0", "blocks.1", "blocks.2")
    assert text.lesions.points == text.distance.points == text.points[1:]
    assert text.similarity.cka.shape == (4, 4)
    assert [one.point for one in text.features] == ["blocks.0", "blocks.1", "blocks.2"]
    assert text.notes == ()


def test_the_page_is_whole_and_asks_for_nothing(text: Look) -> None:
    """Every section is there, figures are numbered, and no address of a network is in it."""
    page = render(text.page())

    for title in (
        "Where the tokens are known",
        "How the layers relate",
        "Which blocks could go",
        "What units of blocks.1 like best",
    ):
        assert title in page
    assert "a small reader" in page
    assert "<script src" not in page
    assert '<link rel="stylesheet' not in page


def test_numbers_are_plain_and_words_are_words(text: Look) -> None:
    """JSON can be read back; the text begins with the network and has a line for each curve."""
    table = json.loads(text.to_json())

    assert table["schema"] == "fathometer.look/1"
    assert table["lesions"]["points"] == list(text.lesions.points)
    assert str(text).startswith("a small reader: measured.")
    assert "loss without the block" in str(text)


@pytest.mark.slow
def test_images_get_pictures_of_what_units_like(tmp_path: Path) -> None:
    """A convnet's patches are on the page as PNG files; classes are probed; stages that change shape are left in."""
    torch.manual_seed(0)
    images = torch.randn(64, 3, 16, 16)
    model = build(ConvNet(depth=8, width=4, classes=2))
    seen = fm.look(model, (images, (images.mean((1, 2, 3)) > 0).long()), kind="ridge")
    page = seen.save_html(tmp_path / "page.html").read_text(encoding="utf-8")

    assert seen.classes is not None
    assert seen.lesions.skipped[1] is None
    assert seen.lens is None
    assert any("gives the shape that it takes" in note for note in seen.notes)
    assert page.count("data:image/png;base64,") >= 6 * 8


def test_a_plain_sequential_is_not_changed() -> None:
    """Weights, modes and hooks are as they were; what has no attention or places has none."""
    model, batch = sequential()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen = fm.look(model, batch, kind="ridge")

    assert seen.classes is not None
    assert max(seen.classes.accuracy) > 0.7
    assert (seen.distance, seen.features, seen.levels) == (None, None, None)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_inputs_alone_are_enough() -> None:
    """Without targets there is no loss, and likeness alone is told."""
    model, (inputs, _) = sequential()
    seen = fm.look(model, inputs)

    assert (seen.lesions, seen.lens, seen.dropped, seen.classes) == (None, None, None, None)
    assert "alike to" in str(seen)


def test_a_kind_of_probe_that_there_is_not_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is looked at, with the nearest right name; a note would be overlooked."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user has it
    model, batch = sequential()
    with pytest.raises(BatchError, match='Did you mean "logistic"'):
        fm.look(model, batch, kind="logistc")


def test_no_steps_are_not_all_steps() -> None:
    """A reference network that is to train for 0 steps is refused; None takes the recipe's."""
    with pytest.raises(SpecError, match="`steps` is 0"):
        train_reference("scenes", steps=0)


def test_an_order_is_shown_in_part_or_not_shown() -> None:
    """The answer in a word follows the neighbours, and the sentence names those that are not in order."""
    early, late, none = Expected(1.0, 0.5, 1.5, 0.5), Expected(4.0, 3.5, 4.5, 0.5), Expected(None, None, None, 0.0)
    shown, part, wrong = ([("a", "b", relation), ("b", "c", "before")] for relation in ("before", "not told apart", "after"))

    assert [order_answer(order) for order in (shown, part, wrong)] == ["shown", "shown in part", "not shown"]
    assert order_answer([("a", "b", "not told apart")]) == "not shown"
    sentence = order_sentence({"a": late, "b": early, "c": none}, wrong)
    assert "the wrong way round: a after b" in sentence
    assert "c not learned" in sentence


@pytest.mark.parametrize("kind", ["gpt2", "bert", "vit"])
def test_folders_of_hugging_face_are_looked_at(kind: str, tmp_path: Path) -> None:
    """A config alone starts at random, saved weights are read; text models get tokens and image models scenes."""
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    config = {
        "gpt2": lambda: transformers.GPT2Config(
            n_embd=16, n_layer=3, n_head=2, vocab_size=30, n_positions=32, bos_token_id=0, eos_token_id=0
        ),
        "bert": lambda: transformers.BertConfig(**sizes, vocab_size=30, max_position_embeddings=32),
        "vit": lambda: transformers.ViTConfig(**sizes, image_size=32, patch_size=8),
    }[kind]()
    config.save_pretrained(tmp_path)
    model, batch, words = load_folder(tmp_path)
    seen = fm.look(model, [batch], kind="ridge")
    model.save_pretrained(tmp_path)
    again, _, said = load_folder(tmp_path, seed=5)

    assert len(seen.points) == 4
    assert seen.distance is not None
    assert words.startswith("random weights")
    assert said.startswith("its weights")
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))
    assert (seen.features[0].pictures is not None) == (kind == "vit")


@pytest.mark.parametrize(
    ("written", "vocabulary", "expected"),
    [
        ("trained", 300, "the sources of the running Python"),
        ("trained", 40, "random tokens: its tokenizer.json gives numbers beyond the model's 40"),
        ("{}", 300, "random tokens: its tokenizer.json cannot be used"),
    ],
)
def test_a_folder_with_a_tokenizer_reads_sources_or_says_why_not(
    written: str, vocabulary: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text comes through the folder's own tokenizer; one that is broken or too large for the model is named."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    sources = tmp_path / "sources"
    sources.mkdir()
    for number in range(12):
        (sources / f"part_{number}.py").write_text(f"def add_{number}(one, other):\n    return one + other\n" * 40)
    read = read_sources(sources)[1]
    monkeypatch.setattr("fathometer.data.sources._standard_library", lambda: read)
    home = tmp_path / "home"
    transformers.GPT2Config(vocab_size=vocabulary, n_embd=16, n_layer=2, n_head=2, n_positions=16).save_pretrained(home)
    if written == "trained":
        tokenizer = tokenizers.ByteLevelBPETokenizer()
        tokenizer.train([str(path) for path in sorted(sources.iterdir())], vocab_size=290, show_progress=False)
        tokenizer.save(str(home / "tokenizer.json"))
    else:
        (home / "tokenizer.json").write_text(written)

    model, batch, words = load_folder(home)

    assert words.endswith(expected) or expected in words
    assert int(batch["input_ids"].max()) < vocabulary
    assert model(**batch).loss.isfinite()


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Neither a missing config nor one of another kind ends in a traceback."""
    with pytest.raises(TargetError, match=r"config\.json"):
        load_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "nothing like it"}')
    pytest.importorskip("transformers")
    with pytest.raises(TargetError, match="cannot be read"):
        load_folder(tmp_path)


@pytest.mark.slow
def test_a_reference_is_trained_kept_and_looked_at(tmp_path: Path) -> None:
    """A few steps of the scenes' recipe end in an answer about the lesson's order; the second look trains no more."""
    told: list[str] = []
    progress = lambda what, done, total: told.append(what)  # noqa: E731  a callback in one line
    seen = look_at_reference("scenes", steps=6, folder=tmp_path / "kept", kind="ridge", progress=progress)
    again = look_at_reference("scenes", steps=6, folder=tmp_path / "kept", kind="ridge")

    assert list(seen.levels.probes) == ["edge", "texture", "part", "object"]
    assert seen.untrained is not None
    assert any(what.startswith("Training") for what in told)
    assert again.levels.to_dict() == seen.levels.to_dict()
    assert "trained against untrained" in render(seen.page())
