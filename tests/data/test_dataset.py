"""Every data set of the catalogue keeps the same promises."""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fathometer.data import DATASETS, Dataset, Samples, Stream, find_dataset
from fathometer.data.dataset import content_hash
from fathometer.errors import BatchError

# Small ones of each, so that a test of all is quick; text reads its own test.
SMALL: dict[str, dict[str, Any]] = {
    "digits": {},
    "text": {"path": Path(__file__), "context": 8},
    "images": {"size": 8},
    "scenes": {"samples": 40},
    "language": {"tokens": 2000, "context": 16},
    "hierarchy": {"samples": 100},
    "parity": {"bits": 8},
    "sawtooth": {"samples": 50},
}


def make(name: str, folder: Path) -> Dataset:
    """Return a small data set of that name; images are drawn into the folder."""
    options = dict(SMALL[name])
    if name == "images":
        options["path"] = folder
        generator = np.random.default_rng(0)
        for number in range(12):
            (folder / "ab"[number % 2]).mkdir(exist_ok=True)
            pixels = generator.integers(256, size=(8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "ab"[number % 2] / f"{number}.png")
    return find_dataset(name, **options)


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_keeps_the_protocol(name: str, tmp_path: Path) -> None:
    """It has its name, facts that JSON holds, a stream that knows where it stands, and a held-out part."""
    data = make(name, tmp_path)

    assert isinstance(data, Dataset)
    assert data.name == name
    assert json.loads(json.dumps(dict(data.facts))) == dict(data.facts)
    assert len(data.facts["sha256"]) == 64
    assert isinstance(data.batches(4), Stream)
    assert sum(len(inputs) for inputs, _ in data.held_out(7)) == data.facts["held_out_samples"]


@pytest.mark.parametrize("name", DATASETS)
def test_batches_have_the_shape_that_the_facts_say(name: str, tmp_path: Path) -> None:
    """Inputs of a batch are `shape`, or windows of `context`; targets are classes, tokens or numbers."""
    data = make(name, tmp_path)
    inputs, targets = next(iter(data.batches(4)))
    shape = data.facts.get("shape") or [data.facts["context"]]

    assert list(inputs.shape) == [4, *shape]
    largest = data.facts.get("classes") or data.facts["vocabulary"]
    assert targets.dtype == torch.int64
    assert 0 <= int(targets.min()) <= int(targets.max()) < largest


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_resumes_in_the_middle_of_an_epoch_with_other_processes(name: str, tmp_path: Path) -> None:
    """After a cut, two processes together get what one would have got; a start from the beginning gives something else."""
    data = make(name, tmp_path)
    one = data.batches(4, 5)
    list(islice(one, 3))
    state = json.loads(json.dumps(one.state_dict()))
    expected = [pair for _, pair in zip(range(6), one, strict=False)]
    ranks = [data.batches(4, 5, rank=rank, world=2) for rank in (0, 1)]
    for stream in ranks:
        stream.load_state_dict(state)

    found = [joined(parts) for parts in islice(zip(*ranks, strict=True), 6)]

    assert all(torch.equal(a, b) for pair, other in zip(found, expected, strict=True) for a, b in zip(pair, other, strict=True))
    fresh = list(islice(data.batches(4, 5), 6))
    assert not all(torch.equal(pair[0], other[0]) for pair, other in zip(fresh, expected, strict=True))


def joined(parts: tuple[tuple[Tensor, Tensor], ...]) -> tuple[Tensor, Tensor]:
    """Return the parts of all processes as one batch."""
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("text", "images")])
def test_the_seed_decides_and_the_hash_tells(name: str, tmp_path: Path) -> None:
    """One seed gives one data set, another seed another, and the hash in the facts says which."""
    hashes = [find_dataset(name, **{**SMALL[name], "seed": seed}).facts["sha256"] for seed in (0, 0, 1)]

    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("name", DATASETS)
def test_torchs_and_numpys_generators_are_not_moved(name: str, tmp_path: Path) -> None:
    """Making a data set and reading from it draw from generators of their own."""
    make(name, tmp_path)  # scikit-learn draws from Python's generator when it is first imported
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    list(islice(make(name, tmp_path).batches(4), 3))

    assert torch.equal(torch_before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()


def test_a_state_of_another_data_set_is_refused() -> None:
    """Two data sets of one size are told apart by their content."""
    zeros, ones = (find_dataset("parity", bits=8, seed=seed) for seed in (0, 1))
    assert isinstance(zeros, Samples)

    with pytest.raises(BatchError, match="identity"):
        ones.batches(4).load_state_dict(zeros.batches(4).state_dict())


def test_the_hash_knows_where_a_part_ends() -> None:
    """The same bytes cut elsewhere are another content; the same parts are the same."""
    assert content_hash(["ab", "c"]) != content_hash(["a", "bc"])
    assert content_hash([b"ab", np.arange(3)]) == content_hash(["ab", np.arange(3)])


def test_importing_the_room_loads_nothing_big() -> None:
    """Tokenizers, pillow and scikit-learn wait until their data are asked for, and no file is read."""
    code = "import sys, fathometer.data; print([name for name in ('tokenizers', 'PIL', 'sklearn') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)

    assert result.stdout.strip() == "[]"
