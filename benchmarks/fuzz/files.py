"""Files given as data: texts, tokenizers and images, most of them damaged."""

from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.kind import Kind, answer
from benchmarks.fuzz.values import damaged, json_bytes, odd_values
from fathometer.data import find_dataset

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
MODES = ("RGB", "L", "1", "RGBA", "P", "I;16", "F", "CMYK")
SIZES = st.sampled_from([None, 4, 0, -1, 3.5, True, "4", [4, 5], [4], [0, 4], 10**12, 10**400, float("nan")])
CONTEXTS = st.sampled_from([1, 0, -1, 3.5, True, "4", 10**12, 10**400, float("nan"), None])
SENTENCE = "one two three four five six seven eight nine ten. " * 3
Text = tuple[list[bytes], bytes | None, Any]
Folder = tuple[list[tuple[str, bytes]], Any, Any]


@cache
def tokenizer() -> bytes:
    """Return a small trained tokenizer, as its file."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # pyrefly: ignore[read-only]
    made.train_from_iterator([SENTENCE], trainers.BpeTrainer(vocab_size=60, special_tokens=["?"], show_progress=False))
    return made.to_str().encode()


@cache
def picture(kind: str, mode: str, side: int) -> bytes:
    """Return a small image as a file; an empty one where the format has no such pixels."""
    from PIL import Image

    file = BytesIO()
    try:
        Image.linear_gradient("L").resize((side, side)).convert(mode).save(file, kind)
    except (OSError, ValueError):
        return b""
    return file.getvalue()


def texts() -> st.SearchStrategy[Text]:
    """Return a strategy of texts, with a tokenizer or without, and how many tokens make a window."""
    whole = SENTENCE.encode()
    odd = damaged(whole) | st.binary(max_size=40) | st.sampled_from([b"\xff" * 90, "٣½\u202e".encode() * 30])
    content = st.integers(0, 2).flatmap(lambda part: odd if part == 0 else st.just(whole))
    damage = damaged(tokenizer()) | odd_values().map(json_bytes)
    trained = st.integers(0, 3).flatmap(lambda part: (st.none(), st.none(), st.just(tokenizer()), damage)[part])
    contexts = st.integers(0, 2).flatmap(lambda part: CONTEXTS if part == 0 else st.just(4))
    return st.tuples(st.lists(content, max_size=3), trained, contexts)


def folders() -> st.SearchStrategy[Folder]:
    """Return a strategy of folders of images, a size and a seed."""
    kinds = st.tuples(st.sampled_from(FORMATS), st.sampled_from(MODES), st.sampled_from([6, 6, 6, 9, 1]))
    usual = kinds.map(lambda kind: (f"{kind[0].lower()}", picture(*kind)))
    spoiled = kinds.flatmap(lambda kind: st.tuples(st.just(kind[0].lower()), damaged(picture(*kind))))
    files = st.lists(usual | spoiled, max_size=2)
    sizes = st.integers(0, 2).flatmap(lambda part: SIZES if part == 0 else st.sampled_from([None, 4, [4, 5]]))
    seeds = st.sampled_from([*[0] * 9, 1, -1, True, 2**32, 2**64, 10**400, "0", None])
    return st.tuples(files, sizes, seeds)


def check_text(given: Text) -> bool:
    """Raise unless texts are windows of tokens that the vocabulary has, or are refused in words."""
    contents, trained, context = given
    with TemporaryDirectory() as home:
        folder = Path(home) / "texts"
        folder.mkdir()
        for number, content in enumerate(contents):
            (folder / f"{number}.txt").write_bytes(content)
        options: dict[str, Any] = {"path": str(folder), "context": context}
        if trained is not None:
            (Path(home) / "tokenizer.json").write_bytes(trained)
            options["tokenizer"] = str(Path(home) / "tokenizer.json")
        return check_data(lambda: find_dataset("text", **options))


def check_images(given: Folder) -> bool:
    """Raise unless images are finite numbers of one shape, or are refused in words."""
    files, size, seed = given
    with TemporaryDirectory() as home:
        whole = picture("PNG", "RGB", 6)
        for number, (ending, content) in enumerate([*[("png", whole)] * 4, *files]):
            folder = Path(home) / ("ab"[number % 2])
            folder.mkdir(exist_ok=True)
            (folder / f"{number}.{ending}").write_bytes(content)
        return check_data(lambda: find_dataset("images", path=home, size=size, seed=seed))


def check_data(make: Callable[[], Any]) -> bool:
    """Raise unless data are refused in words, or give batches as their facts say, all of them finite."""
    data = answer(make)
    if data is None:
        return False
    inputs, targets = next(iter(data.batches(4)))
    rest = list(data.held_out(4))
    for one, other in [(inputs, targets), *rest]:
        assert bool(one.isfinite().all())
        if "vocabulary" in data.facts:
            assert 0 <= int(one.min()) <= int(one.max()) < data.facts["vocabulary"]
            assert one.shape[1] == data.facts["context"]
        else:
            assert list(one.shape[1:]) == data.facts["shape"]
            assert 0 <= int(other.min()) <= int(other.max()) < data.facts["classes"]
    return True


KINDS = (
    Kind("text file", texts(), check_text, 60, 15),
    Kind("image file", folders(), check_images, 60, 15, (([], 10**400, 0), ([], 10**12, 0), ([], None, -1), ([], None, 2**64))),
)
