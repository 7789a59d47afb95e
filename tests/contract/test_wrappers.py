"""What is put around a network is taken off, and nothing else."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, distributed, nn

from fathometer.contract import unwrapped
from fathometer.errors import ModelError


def network() -> nn.Sequential:
    """Return a small network."""
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """Make this process a group of its own."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_compiled_modules_are_unwrapped() -> None:
    """The module that was compiled comes back, without compiling it."""
    model = network()
    assert unwrapped(torch.compile(model, backend="eager")) is model


@pytest.mark.usefixtures("one_process")
def test_distributed_modules_are_unwrapped() -> None:
    """One wrapper inside another is taken off too."""
    model = network()
    parallel = nn.parallel.DistributedDataParallel(torch.compile(model, backend="eager"))

    assert unwrapped(parallel) is model
    assert unwrapped(nn.DataParallel(model)) is model
    assert unwrapped(torch.optim.swa_utils.AveragedModel(model)).state_dict().keys() == model.state_dict().keys()


def test_other_modules_are_as_they_are() -> None:
    """A module that has a part named as a wrapper's is no wrapper: what it does to its inputs counts."""

    class Doubles(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = self._orig_mod = network()

        def forward(self, x: Tensor) -> Tensor:
            return self.module(2 * x)

    class DataParallel(Doubles):
        """A user's own class by that name."""

    for model in (network(), Doubles(), DataParallel()):
        assert unwrapped(model) is model


class PeftModel(nn.Module):
    """What the adapters of another library look like from outside."""

    def __init__(self, model: nn.Module, is_prompt_learning: bool) -> None:
        super().__init__()
        self.base_model, self.active_peft_config = model, SimpleNamespace(is_prompt_learning=is_prompt_learning)

    def get_base_model(self) -> nn.Module:
        return self.base_model


class PeftModelForCausalLM(PeftModel):
    """One of its kinds."""


def test_adapters_are_unwrapped_unless_they_change_what_goes_in() -> None:
    """Adapters in the place of layers stay in the inner module; prompts need their wrapper."""
    model = network()
    prompts = PeftModelForCausalLM(model, is_prompt_learning=True)

    assert unwrapped(PeftModelForCausalLM(model, is_prompt_learning=False)) is model
    assert unwrapped(prompts) is prompts


def test_torchscript_is_an_error() -> None:
    """A traced or scripted network, or one inside, is named: its layers cannot be seen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have us compile instead
        traced, scripted = torch.jit.trace(network(), torch.randn(2, 4)), torch.jit.script(network())

    with pytest.raises(ModelError, match=r"The model is TorchScript: TopLevelTracedModule\. .* Pass the nn\.Module"):
        unwrapped(traced)
    with pytest.raises(ModelError, match=r"The model is TorchScript: RecursiveScriptModule"):
        unwrapped(nn.DataParallel(scripted))
    with pytest.raises(ModelError, match=r"`1` is TorchScript"):
        unwrapped(nn.Sequential(network(), scripted))
