"""A checkpoint is read as it was written, or refused with file and reason."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fathometer.errors import ModelError, RecordError, TargetError
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.spec import Mlp, Transformer
from fathometer.training import Course, begin, checkpoint, fit, go_on
from fathometer.training.checkpoint import FACTS, SUMS, TRAINING, WEIGHTS, checkpoints, load, save
from fathometer.training.state import set_weights, weights_of

ASKED = Asked(steps=6, optimizer="adamw", clip=1.0)


def course(seed: int = 0, width: int = 8) -> Course:
    """Return a course of a small network after three steps."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width), nn.Linear(width, 3))
    fresh = begin(model, Asked(**{**vars(ASKED), "steps": 3}))
    go_on(fresh, [(torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))])
    fresh.asked = ASKED
    return fresh


def flip(path: Path) -> None:
    """Turn one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Cut a file short by half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def in_future(folder: Path) -> None:
    """Turn a checkpoint into one of a later version, whose hashes are right."""
    table = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    (folder / FACTS).write_text(json.dumps({**table, "schema": "fathometer.checkpoint/99"}), encoding="utf-8")
    sums = "".join(f"{checkpoint._sha256(folder / name)}  {name}\n" for name in (WEIGHTS, TRAINING, FACTS))
    (folder / SUMS).write_text(sums, encoding="utf-8")


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "weights cut short": (lambda folder: cut(folder / WEIGHTS), WEIGHTS, "SHA-256"),
    "weights with another bit": (lambda folder: flip(folder / WEIGHTS), WEIGHTS, "SHA-256"),
    "training with another bit": (lambda folder: flip(folder / TRAINING), TRAINING, "SHA-256"),
    "facts with another bit": (lambda folder: flip(folder / FACTS), FACTS, "SHA-256"),
    "sums cut short": (lambda folder: cut(folder / SUMS), SUMS, "does not name"),
    "sums with another bit": (lambda folder: flip(folder / SUMS), "", ""),
    "empty sums": (lambda folder: (folder / SUMS).write_text("", encoding="utf-8"), SUMS, "does not name"),
    "sums that are no text": (lambda folder: (folder / SUMS).write_bytes(b"\xff\xfe\x00"), SUMS, "decode"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS, "not there"),
    "no sums": (lambda folder: (folder / SUMS).unlink(), SUMS, "No such file"),
    "a later version": (in_future, FACTS, "fathometer.checkpoint/99"),
    "a foreign folder": (lambda folder: [path.unlink() for path in folder.iterdir()], SUMS, "No such file"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_refused_by_file_and_reason(name: str, tmp_path: Path) -> None:
    """Nothing of it is taken: the course that should have been loaded is as it was."""
    damage, file, reason = DAMAGES[name]
    path = save(course(), tmp_path)
    assert path is not None
    damage(path)
    other = course(seed=1)
    before = {key: value.clone() for key, value in other.model.state_dict().items()}
    with pytest.raises(RecordError) as caught:
        load(other, path)

    assert str(path / file) in str(caught.value)
    assert reason in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in other.model.state_dict().items())


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    """The error names the first tensor that differs, before anything is changed."""
    path = save(course(width=8), tmp_path)
    assert path is not None
    other = course(width=9)
    before = other.model[0].weight.detach().clone()
    with pytest.raises(RecordError, match=r"`0.weight` is \(8, 4\) in the checkpoint and \(9, 4\) in the model"):
        load(other, path)
    assert torch.equal(before, other.model[0].weight)
    with pytest.raises(RecordError, match=r"is not there in the checkpoint"):
        set_weights(nn.Linear(2, 2), {}, {})


def test_no_pickle_and_sums_that_anyone_can_check(tmp_path: Path) -> None:
    """Four files: tensors in safetensors under the names of the model, JSON, and sums in the form of `sha256sum -c`."""
    path = save(course(), tmp_path, {"epoch": 3})
    assert path is not None
    checked = subprocess.run(["sha256sum", "-c", SUMS], cwd=path, capture_output=True, text=True)

    assert {file.name for file in path.iterdir()} == {WEIGHTS, TRAINING, FACTS, SUMS}
    assert checked.returncode == 0, checked.stderr
    assert set(load_file(path / WEIGHTS)) == set(course().model.state_dict())
    assert load(course(1), path) == {"epoch": 3}


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    """Older ones, and what was left half written, are gone; a checkpoint of the same step takes the place of the old."""
    one = course()
    (tmp_path / ".step-00000002.77.part").mkdir()
    for _ in range(3):
        save(one, tmp_path)
        one.losses.append(1.0)
    save(one, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000005", "step-00000006"]

    one.losses[-1] = 5.0
    save(one, tmp_path)
    other = course(1)
    load(other, checkpoints(tmp_path)[-1])
    assert other.losses == one.losses


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    """A matrix with two names is written once, and both names are one matrix again."""
    spec = Transformer(depth=1, width=16, heads=2, vocabulary=8, context=4)
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    tied = begin(nn.Sequential(first, second), ASKED)
    path = save(tied, tmp_path / "tied")
    assert path is not None
    assert set(load_file(path / WEIGHTS)) == {"0.weight"}
    with torch.no_grad():
        first.weight.zero_()
    load(tied, path)
    assert second.weight is first.weight
    assert first.weight.abs().sum() > 0
    assert weights_of(build(spec))[1] == {}  # ours is handed the embedding, and has one name for it


def test_what_is_no_tensor_is_refused(tmp_path: Path) -> None:
    """A module that keeps a dictionary of its own cannot be saved without pickle, and the error says which."""

    class Keeps(nn.Linear):
        def get_extra_state(self) -> dict:
            return {"a": 1}

        def set_extra_state(self, state: dict) -> None: ...

    with pytest.raises(ModelError, match="keeps a dict as `_extra_state`"):
        save(begin(Keeps(2, 2), ASKED), tmp_path)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    """The checkpoints keep the last good one."""
    one = course()
    save(one, tmp_path)
    one.losses.append(1.0)
    with torch.no_grad():
        one.model[0].weight[0, 0] = float("nan")

    assert save(one, tmp_path) is None
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000003"]


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    """Where a file is in the way the error says so."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(TargetError, match="cannot be written"):
        save(course(), tmp_path / "file")


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    """Right hashes over another model's tensors do not help."""
    path = save(course(), tmp_path)
    assert path is not None
    save_file({"elsewhere": torch.zeros(2)}, path / WEIGHTS)
    sums = "".join(f"{checkpoint._sha256(path / name)}  {name}\n" for name in (WEIGHTS, TRAINING, FACTS))
    (path / SUMS).write_text(sums, encoding="utf-8")
    with pytest.raises(RecordError, match="not there in the checkpoint"):
        load(course(), path)


def test_strided_and_shared_weights_are_saved(tmp_path: Path) -> None:
    """Weights in channels-last memory, or that are parts of one tensor, come back as numbers in their own memory."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), nn.Flatten(), nn.Linear(4, 2))
    both = torch.randn(2, 4)
    model[2].weight = nn.Parameter(both[:, :4])
    model.register_buffer("part", both[0])
    path = save(begin(model, ASKED), tmp_path)
    assert path is not None

    found = load_file(path / WEIGHTS)
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())


def test_a_course_goes_on_from_where_it_stood() -> None:
    """`fit` is a course from its first step to its last; a second call of `go_on` has nothing left to do."""
    batches = [(torch.ones(4, 64), torch.arange(4))]
    one, whole = build(Mlp(depth=2, width=8)), build(Mlp(depth=2, width=8))
    fitted = fit(whole, batches, Asked(steps=6))
    half = begin(one, Asked(steps=6))
    half.asked = Asked(steps=2)
    go_on(half, batches)
    half.asked = Asked(steps=6)

    assert go_on(half, batches).losses == fitted.losses
    assert go_on(half, batches).losses == fitted.losses
    assert torch.equal(one.readout.weight, whole.readout.weight)
