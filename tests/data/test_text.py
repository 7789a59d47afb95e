"""Text is read in place, split by files, and cut into windows that miss nothing."""

import hashlib
import json
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import torch

from fathometer.data import text
from fathometer.data.sources import Source, hold_out, read_sources
from fathometer.errors import DataError

LIBRARY = Path(sysconfig.get_path("stdlib"))


def write(folder: Path, **files: str | bytes) -> Path:
    """Write files with the ending .txt into the folder, and return it."""
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def tokenizer_file(folder: Path, *, truncation: int | None = None) -> Path:
    """Write a small byte-level tokenizer, trained on a sentence, and return its file."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["the cat and the dog and the bird"] * 20, trainer)
    if truncation:
        tokenizer.enable_truncation(truncation)
        tokenizer.enable_padding(length=truncation)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_the_default_is_the_standard_library_read_in_place() -> None:
    """The running Python's own sources, without tests and installed packages, hashed and about a tenth held out."""
    _, sources = read_sources()
    names = {source.name for source in sources}
    facts = text().facts

    assert {"ast.py", "json/decoder.py"} <= names
    assert not any(part in name.split("/") for name in names for part in ("test", "tests", "site-packages"))
    assert all(source.content == (LIBRARY / source.name).read_bytes() for source in sources[::50])
    assert 0.08 < facts["held_out_tokens"] / facts["bytes"] < 0.15
    assert facts["tokens"] + facts["held_out_tokens"] == facts["bytes"] > 5_000_000


def test_every_token_is_a_target_once_and_follows_its_input(tmp_path: Path) -> None:
    """Put together, the windows are the text, and the targets the text from its second byte on."""
    content = bytes(range(256)) * 8
    data = text(write(tmp_path, one=content), context=50)
    train = content[: round(len(content) * 0.9)]
    count = (len(train) - 1) // 50

    assert bytes(data.train_inputs[:].flatten().tolist()) == train[: count * 50]
    assert bytes(data.train_targets[:].flatten().tolist()) == train[1 : count * 50 + 1]
    assert data.train_inputs[:].dtype == torch.int64
    for inputs, targets in data.held_out(2):
        assert torch.equal(inputs[:, 1:], targets[:, :-1])


def test_held_out_windows_are_all_there_in_a_mixed_order(tmp_path: Path) -> None:
    """Held-out windows come each once, always in the same order, which is not that of the text."""
    content = b"".join(number.to_bytes(2, "big") for number in range(5000))
    data = text(write(tmp_path, one=content), context=10)
    starts = [int(inputs[0, 0]) * 256 + int(inputs[0, 1]) for inputs, _ in data.held_out(1)]

    assert sorted(starts) == list(range(4500, 4500 + 5 * len(starts), 5))
    assert starts != sorted(starts)
    assert starts == [int(inputs[0, 0]) * 256 + int(inputs[0, 1]) for inputs, _ in data.held_out(1)]


def test_whole_files_are_held_out_and_a_new_file_moves_at_most_one() -> None:
    """The name of a file decides; no byte is in both parts, none is lost."""
    sources = [Source(f"{number}.txt", bytes([number]) * 100) for number in range(60)]
    train, held = hold_out(sources, 0.1)

    assert sorted(source.name for source in train + held) == sorted(source.name for source in sources)
    assert len(held) == 6
    names = {source.name for source in held}
    more = hold_out([*sources, Source("new.txt", b"n" * 100)], 0.1)[1]
    assert len(names & {source.name for source in more}) >= 5  # the new one may take the place of the last


def test_files_too_few_to_hold_one_out_are_cut() -> None:
    """Of one file, or of two large ones, the end is held out; a cut never goes through a UTF-8 character."""
    for sources in ([Source("a", "é".encode() * 505)], [Source("a", "日".encode() * 500), Source("b", "日".encode() * 700)]):
        train, held = hold_out(sources, 0.1)

        assert [one.content + two.content for one, two in zip(train, held, strict=True)] == [one.content for one in sources]
        assert all(part.content.decode() for part in train + held)
        size = sum(len(source.content) for source in sources)
        assert sum(len(part.content) for part in held) == pytest.approx(size / 10, abs=4)


def test_the_hash_changes_with_a_byte_and_with_a_name(tmp_path: Path) -> None:
    """Another content or another name is another text; the same files elsewhere are the same."""
    hashes = []
    for folder, name, content in (("a", "x", "abc" * 90), ("b", "x", "abc" * 90), ("c", "x", "abd" * 90), ("d", "y", "abc" * 90)):
        (tmp_path / folder).mkdir()
        hashes.append(text(write(tmp_path / folder, **{name: content}), context=4).facts["sha256"])

    assert hashes[0] == hashes[1]
    assert len({*hashes}) == 3


def test_hidden_files_are_left_out_and_sub_folders_are_read(tmp_path: Path) -> None:
    """A folder is read with its sub-folders in the order of names, without what begins with a dot."""
    for name in ("b.txt", "sub/a.txt", ".git/x.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    assert [source.name for source in read_sources(tmp_path)[1]] == ["b.txt", "sub/a.txt"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A link to nothing in the folder is an error, for silently less text would be another text."""
    write(tmp_path, one="x" * 100)
    (tmp_path / "two.txt").symlink_to(tmp_path / "gone")

    with pytest.raises(DataError, match=r'two.txt" cannot be read'):
        text(tmp_path, context=4)


def test_a_home_folder_may_be_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that begins with ~ is the user's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, one="x" * 100)

    assert text("~/one.txt", context=4).facts["bytes"] == 100


def test_a_tokenizer_reads_all_of_the_text(tmp_path: Path) -> None:
    """The tokens decode to the text; truncation and padding that the file asks for are not done."""
    from tokenizers import Tokenizer

    written = "the cat and the dog, and a bird: 日本. " * 40
    (tmp_path / "texts").mkdir()
    folder = write(tmp_path / "texts", one=written)
    path = tokenizer_file(tmp_path, truncation=5)
    data = text(folder, tokenizer=path, context=1)
    tokens = [*data.train_inputs[:].flatten().tolist(), int(data.train_targets[-1:])]

    decoded = Tokenizer.from_file(str(path)).decode(tokens)
    assert written.startswith(decoded)
    assert len(decoded.encode()) == pytest.approx(len(written.encode()) * 0.9, abs=4)
    assert 256 < data.facts["vocabulary"] <= 300
    assert data.facts["tokens"] < data.facts["bytes"] * 0.9
    assert text(folder, tokenizer=path.parent, context=1).facts == data.facts


def test_another_tokenizer_is_another_data_set(tmp_path: Path) -> None:
    """The hash is of the text and of the tokenizer, for both decide the tokens."""
    (tmp_path / "texts").mkdir()
    folder = write(tmp_path / "texts", one="the cat " * 100)
    path = tokenizer_file(tmp_path)
    first = text(folder, tokenizer=path, context=4).facts["sha256"]
    changed = json.loads(path.read_text())
    changed["model"]["merges"] = changed["model"]["merges"][:2]
    path.write_text(json.dumps(changed))

    assert first != text(folder, tokenizer=path, context=4).facts["sha256"]
    assert first != text(folder, context=4).facts["sha256"]


@pytest.mark.parametrize(
    ("files", "options", "given"),
    [
        (None, {}, "There is no file or folder"),
        ({}, {}, "holds no file"),
        ({"one": "", "two": ""}, {}, "holds no text"),
        ({"one": "x" * 100}, {"context": 100}, "text to train on has 90 tokens, and `context` is 100"),
        ({"one": "x" * 100}, {"context": 50}, "held-out text has 10 tokens, and `context` is 50"),
        ({"one": "x"}, {"context": 1}, "tokens, and `context` is 1"),
        ({"one": "x" * 100}, {"context": 0}, "`context` is 0"),
    ],
    ids=[
        "no folder",
        "empty folder",
        "empty text",
        "context too long",
        "too long for the held-out part",
        "one byte",
        "no context",
    ],
)
def test_text_that_cannot_be_read_is_an_error(
    tmp_path: Path, files: dict[str, str] | None, options: dict[str, int], given: str
) -> None:
    """What is wrong with the files is named before a step is taken."""
    folder = tmp_path / "nothing" if files is None else write(tmp_path, **files)

    with pytest.raises(DataError, match=given):
        text(folder, **options)


def test_a_context_that_just_fits_is_no_error(tmp_path: Path) -> None:
    """The error's own advice works: one token less than the held-out part has."""
    assert text(write(tmp_path, one="x" * 100), context=9).facts["held_out_samples"] == 1


def test_a_file_that_is_not_utf_8_is_named_when_a_tokenizer_reads_it(tmp_path: Path) -> None:
    """A tokenizer cannot read Latin-1; bytes can."""
    (tmp_path / "texts").mkdir()
    folder = write(tmp_path / "texts", good="abc" * 50, latin="caf\xe9 ".encode("latin-1") * 50)

    with pytest.raises(DataError, match=r'"latin.txt" is not UTF-8: byte 3 is 0xe9'):
        text(folder, tokenizer=tokenizer_file(tmp_path), context=4)
    assert text(folder, context=4).facts["bytes"] == 400


@pytest.mark.parametrize(
    ("content", "given"),
    [
        (None, "There is no tokenizer file"),
        (b"", "is not a tokenizer"),
        (b'{"version": "1.0"', "is not a tokenizer"),
        (b'{"version": "1.0"}', "is not a tokenizer"),
        (b"\xff\xfe\x00", "is not a tokenizer"),
    ],
    ids=["missing", "empty", "cut", "foreign", "binary"],
)
def test_a_tokenizer_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None, given: str) -> None:
    """A tokenizer file that is missing, cut or foreign is named."""
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    text_file = write(tmp_path, one="x" * 100) / "one.txt"

    with pytest.raises(DataError, match=given):
        text(text_file, tokenizer=path, context=4)


def test_an_untrained_tokenizer_is_an_error(tmp_path: Path) -> None:
    """A tokenizer without tokens makes nothing of any text."""
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))

    with pytest.raises(DataError, match="knows no tokens"):
        text(write(tmp_path, one="x" * 100) / "one.txt", tokenizer=tmp_path / "tokenizer.json", context=4)


def test_reading_leaves_the_files_as_they_are(tmp_path: Path) -> None:
    """Nothing is written beside the text, and nothing in it is changed."""
    folder = write(tmp_path, one="abc" * 100, two="def" * 100)
    before = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    data = text(folder, context=8)
    next(data.batches(4))[0].zero_()

    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()} == before
    assert np.count_nonzero(data.train_inputs[:].numpy()) > 0
