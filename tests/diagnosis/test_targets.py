"""TARGETs: what a file, a spec and a preset stand for, and that files leave nothing behind."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from fathometer.diagnosis import load_target
from fathometer.errors import TargetError
from fathometer.spec import Mlp, preset


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


OPENING = "import torch\nfrom torch import nn\n"


@pytest.mark.parametrize(
    ("result", "has_batch", "has_loss"),
    [
        ("nn.Linear(2, 2), torch.zeros(4, 2)", True, False),
        ("nn.Linear(2, 2), (torch.zeros(4, 2), torch.zeros(4, 2))", True, False),
        ("nn.Linear(2, 2), torch.zeros(4, 2), nn.functional.mse_loss", True, True),
    ],
)
def test_a_function_returns_model_batch_and_loss(result: str, has_batch: bool, has_loss: bool, tmp_path: Path) -> None:
    """`(model, batch)` and `(model, batch, loss_fn)` are told apart."""
    path = write(tmp_path, "net.py", f"{OPENING}def tiny(): return {result}\n")

    target = load_target(f"{path}:tiny")

    assert isinstance(target.model, nn.Linear)
    assert (target.batch is not None, target.loss_fn is not None, target.name) == (has_batch, has_loss, "tiny")


def test_specs_and_presets(tmp_path: Path) -> None:
    """A preset, a preset with changes, a TOML file and a function may stand for a spec."""
    toml = write(tmp_path, "small.toml", 'family = "mlp"\ndepth = 3\n')
    made = write(tmp_path, "made.py", "import fathometer as fm\ndef spec(): return fm.Mlp(depth=3)\n")

    assert load_target("tanh-50").model == preset("tanh-50")
    assert load_target("tanh-50@depth=3").model == preset("tanh-50@depth=3")
    assert load_target(str(toml)).model == Mlp(depth=3)
    assert load_target(f"{made}:spec").model == Mlp(depth=3)
    assert load_target(str(toml)).name == "small"


def test_a_file_imports_its_neighbours_and_all_are_forgotten(tmp_path: Path) -> None:
    """A file sees the modules beside it, as `python file.py` would; later files of the same names are not mixed up."""
    before, path_before = dict(sys.modules), list(sys.path)
    for number in (3, 5):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder, "parts.py", f"from torch import nn\ndef layer(): return nn.Linear(2, {number})\n")
        net = write(folder, "net.py", f"{OPENING}import parts\ndef tiny(): return parts.layer(), torch.zeros(4, 2)\n")

        model = load_target(f"{net}:tiny").model

        assert isinstance(model, nn.Linear)
        assert model.out_features == number
    assert {"net", "parts"}.isdisjoint(sys.modules)
    assert sys.path == path_before
    assert all(sys.modules[name] is module for name, module in before.items())


def test_a_file_may_have_the_name_of_a_known_module(tmp_path: Path) -> None:
    """A user's `json.py` is run, and the real `json` is what it was afterwards."""
    import json

    path = write(tmp_path, "json.py", f"{OPENING}def tiny(): return nn.Linear(2, 2), torch.zeros(4, 2)\n")

    load_target(f"{path}:tiny")

    assert sys.modules["json"] is json


def test_what_a_file_imports_from_elsewhere_stays(tmp_path: Path) -> None:
    """Installed packages in a folder below the file's own, as in a virtual environment there, are not forgotten."""
    packages = tmp_path / ".venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    write(packages, "installed_here.py", "value = 1\n")
    path = write(
        tmp_path,
        "net.py",
        f"{OPENING}import sys\nsys.path.append({str(packages)!r})\nimport installed_here\n"
        "def tiny(): return nn.Linear(2, 2), torch.zeros(4, 2)\n",
    )
    try:
        load_target(f"{path}:tiny")
        assert "installed_here" in sys.modules
    finally:
        sys.modules.pop("installed_here", None)
        sys.path.remove(str(packages))


def test_dataclasses_in_a_file_work(tmp_path: Path) -> None:
    """A dataclass looks itself up in its module while the file is read."""
    text = "from dataclasses import dataclass\n@dataclass\nclass Batch:\n    x: 'torch.Tensor'\n"
    path = write(tmp_path, "net.py", f"{OPENING}{text}def tiny(): return nn.Linear(2, 2), Batch(torch.zeros(4, 2))\n")

    assert type(load_target(f"{path}:tiny").batch).__name__ == "Batch"


@pytest.mark.parametrize("text", ["", "tanh50", "net.py", "no/net.py:f", "no.toml", "hf:folder"])
def test_what_is_no_target(text: str) -> None:
    """Everything else is a `TargetError`."""
    with pytest.raises(TargetError):
        load_target(text)


def test_a_file_draws_the_same_weights_each_time(tmp_path: Path) -> None:
    """What a function draws follows from the seed, by torch, numpy or Python's random; the generators are left as they were."""
    text = (
        "import random, numpy\ndef drawn():\n    n = nn.Linear(2, 2)\n"
        "    n.note = numpy.random.rand() + random.random()\n    return n, torch.rand(4, 2)\n"
    )
    path = write(tmp_path, "drawn.py", OPENING + text)
    before = torch.get_rng_state()

    first, again, other = (load_target(f"{path}:drawn", seed) for seed in (0, 0, 1))

    assert torch.equal(torch.get_rng_state(), before)
    facts = [(target.model.weight.tolist(), target.model.note, target.batch.tolist()) for target in (first, again, other)]
    assert facts[0] == facts[1]
    assert facts[0] != facts[2]
