"""Lightning and Hugging Face train, watched, with the real libraries."""

import importlib.util
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.errors import TargetError
from fathometer.integrations import hugging_face_callback, lightning_callback
from fathometer.integrations.lightning import _Watching as Watching
from fathometer.sinks import read_run_record

HAS_LIGHTNING = importlib.util.find_spec("lightning") is not None
HAS_TRAINER = importlib.util.find_spec("accelerate") is not None


def hooks_of(model: nn.Module) -> int:
    """Return how many forward hooks a model has."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def data(size: int = 64 * 12) -> torch.utils.data.TensorDataset:
    """Return an easy task."""
    inputs = torch.randn(size, 16, generator=torch.Generator().manual_seed(0))
    return torch.utils.data.TensorDataset(inputs, inputs[:, :4].argmax(1))


def lightning_module(fails_at: int | None = None) -> Any:
    """Return a module that calls its parts in the training step, never itself, as most do."""
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        """A ReLU network."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            blocks = [nn.Sequential(nn.Linear(16, 16), nn.ReLU()) for _ in range(4)]
            self.net = nn.Sequential(*blocks, nn.Linear(16, 4))

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            if index == fails_at:
                raise RuntimeError("stop")
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    return Module()


def fit(callback: Any, module: Any, folder: Path, **wishes: Any) -> None:
    """Fit a module for twelve batches of 64, in order."""
    import lightning.pytorch as pl

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=[callback], default_root_dir=folder, **quiet, **wishes)
    trainer.fit(module, torch.utils.data.DataLoader(data(), batch_size=64))


@pytest.mark.skipif(not HAS_LIGHTNING, reason="lightning is not installed: extra `lightning`")
@pytest.mark.filterwarnings("ignore")  # of its own dependencies
@pytest.mark.parametrize("accumulate", [1, 3])
def test_lightning_is_watched(accumulate: int, tmp_path: Path) -> None:
    """Each step of the optimizer is a step; signals, gradients and updates are read, and are those of a plain loop."""
    import fathometer as fm

    callback, module = lightning_callback(every=2, record=tmp_path), lightning_module()
    fit(callback, module, tmp_path, accumulate_grad_batches=accumulate)
    record = read_run_record(tmp_path)

    plain = lightning_module()
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    loader = list(torch.utils.data.DataLoader(data(), batch_size=64))
    with fm.watch(plain.net, optimizer, every=2) as watch:
        for start in range(0, 12, accumulate):
            optimizer.zero_grad()
            total = torch.zeros(())
            for x, y in loader[start : start + accumulate]:
                loss = F.cross_entropy(plain.net(x), y) / accumulate
                loss.backward()
                total += loss.detach()
            optimizer.step()
            watch.step(total)

    assert [row["step"] for row in record.rows] == [1, *range(2, 12 // accumulate + 1, 2)]
    assert [loss for _, loss in record.losses] == pytest.approx([loss for _, loss in watch.flight.losses], rel=1e-5)
    for row, reading in zip(record.rows, watch.readings, strict=True):
        for name, series in reading.columns.items():
            assert row["columns"][name] == pytest.approx(series, rel=2e-3, abs=1e-4), (row["step"], name)
    assert hooks_of(module) == 0


@pytest.mark.skipif(not HAS_LIGHTNING, reason="lightning is not installed: extra `lightning`")
@pytest.mark.filterwarnings("ignore")
def test_lightning_lets_go_after_an_exception_and_stops_when_asked(tmp_path: Path) -> None:
    """A step that raises leaves no hook; an alert in `stop_on` ends the fit."""
    callback, module = lightning_callback(every=1, record=tmp_path), lightning_module(fails_at=5)
    with pytest.raises(RuntimeError, match="stop"):
        fit(callback, module, tmp_path)
    assert hooks_of(module) == 0
    assert list(tmp_path.glob("flight-*.json"))

    callback, module = lightning_callback(every=1, stop_on="non_finite"), lightning_module()
    with torch.no_grad():
        module.net[0][0].weight.fill_(torch.nan)
    fit(callback, module, tmp_path)
    assert callback.watch.steps == 1


def test_a_lightning_fit_that_goes_on_is_counted_on() -> None:
    """From a checkpoint of step 7 the next step is 8; a stand-in for the trainer, so that this runs without Lightning."""
    module = nn.Linear(4, 1)
    trainer = SimpleNamespace(
        global_step=7, optimizers=[torch.optim.SGD(module.parameters(), lr=0.1)], accumulate_grad_batches=1, should_stop=False
    )
    callback = Watching({"every": 2})
    callback.on_train_start(trainer, module)
    assert callback.watch is not None
    for at in range(3):
        loss = module(torch.ones(8, 4)).square().mean()
        loss.backward()
        trainer.optimizers[0].step()
        trainer.global_step += 1
        callback.on_train_batch_end(trainer, module, loss, torch.ones(8, 4), at)
    callback.on_train_end(trainer, module)

    assert [step for step, _ in callback.watch.flight.losses] == [8, 9, 10]
    assert [reading.step for reading in callback.watch.readings] == [8, 10]


def gpt2_trainer(callback: Any, folder: Path, accumulate: int = 1, **wishes: Any) -> Any:
    """Return a Trainer of a small GPT-2, six steps of eight rows."""
    import transformers
    from transformers import GPT2Config, GPT2LMHeadModel, TrainingArguments

    torch.manual_seed(0)
    config = GPT2Config(n_layer=3, n_embd=32, n_head=2, vocab_size=50, n_positions=16, bos_token_id=None, eos_token_id=None)
    model = GPT2LMHeadModel(config)
    tokens = torch.randint(50, (64, 16), generator=torch.Generator().manual_seed(0))
    rows = [{"input_ids": one, "labels": one} for one in tokens]
    asked = TrainingArguments(
        output_dir=str(folder / "out"), max_steps=6, per_device_train_batch_size=8, gradient_accumulation_steps=accumulate,
        logging_steps=1, report_to="none", use_cpu=True, disable_tqdm=True, **{"save_strategy": "no", **wishes},
    )  # fmt: skip
    return transformers.Trainer(model=model, args=asked, train_dataset=rows, callbacks=[callback])


@pytest.mark.skipif(not HAS_TRAINER, reason="accelerate is not installed, which Hugging Face's Trainer needs: extra `hf`")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("accumulate", [1, 2])
def test_hugging_face_is_watched(accumulate: int, tmp_path: Path) -> None:
    """A GPT-2 in the Trainer: each step of the optimizer is read, with the losses that the Trainer itself reports."""
    callback = hugging_face_callback(every=2, record=tmp_path)
    trainer = gpt2_trainer(callback, tmp_path, accumulate)
    trainer.train()
    record = read_run_record(tmp_path)
    told = [row["loss"] for row in trainer.state.log_history if "loss" in row]

    assert [row["step"] for row in record.rows] == [1, 2, 4, 6]
    assert [loss for _, loss in record.losses] == pytest.approx(told, rel=1e-3)  # the Trainer rounds
    last = record.rows[-1]
    assert len(last["points"]) == 3
    assert {"signal", "gradient", "weight", "update", "attention_entropy"} <= set(last["columns"])
    assert last["facts"]["batch_size"] == 8 * accumulate
    assert hooks_of(trainer.model) == 0


@pytest.mark.skipif(not HAS_TRAINER, reason="accelerate is not installed, which Hugging Face's Trainer needs: extra `hf`")
@pytest.mark.filterwarnings("ignore")
def test_a_hugging_face_training_that_goes_on_is_counted_on(tmp_path: Path) -> None:
    """From the checkpoint of step 4 the next steps are 5 and 6, and the record of the whole has each step once."""
    wishes, record = {"save_strategy": "steps", "save_steps": 4}, tmp_path / "run"
    gpt2_trainer(hugging_face_callback(every=2, record=record), tmp_path, **wishes).train()
    callback = hugging_face_callback(every=2, record=record)
    gpt2_trainer(callback, tmp_path, **wishes).train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-4"))

    assert [step for step, _ in callback.watch.flight.losses] == [5, 6]
    found = read_run_record(record)
    assert found.about["after_step"] == 4
    assert [step for step, _ in found.losses] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in found.rows] == [1, 2, 4, 6]


@pytest.mark.skipif(not HAS_TRAINER, reason="accelerate is not installed, which Hugging Face's Trainer needs: extra `hf`")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("within", [True, False])
def test_hugging_face_lets_go_after_an_exception(problem: type[BaseException], within: bool, tmp_path: Path) -> None:
    """In a `with` block all hooks are gone at once; without one, as soon as the model is called again; it trains anew."""
    from transformers import TrainerCallback

    class Failing(TrainerCallback):
        """Fails in the middle of training, where the next step is measured."""

        def on_substep_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            if state.global_step == 3 and is_failing:
                raise problem("stop")

    is_failing, callback = True, hugging_face_callback(every=1, record=tmp_path)
    trainer = gpt2_trainer(callback, tmp_path, accumulate=2)
    trainer.add_callback(Failing())
    with pytest.raises(problem, match="stop"), callback if within else nullcontext():
        trainer.train()
    assert (hooks_of(trainer.model) == 0) is within
    trainer.model(torch.zeros(1, 4, dtype=torch.long))  # by hand
    assert hooks_of(trainer.model) == 0
    assert not any("forward" in vars(module) for module in trainer.model.modules())
    assert read_run_record(tmp_path).end["how"] == f"ended by {problem.__name__ if within else 'UnknownException'}"
    assert list(tmp_path.glob("flight-*.json"))

    is_failing = False
    trainer.train()
    assert (callback.watch.steps, hooks_of(trainer.model)) == (6, 0)


def test_a_missing_trainer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the callback is an error that names the extra."""
    for name in ("lightning.pytorch", "pytorch_lightning", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TargetError, match=r"fathometer\[lightning\]"):
        lightning_callback()
    with pytest.raises(TargetError, match=r"fathometer\[hf\]"):
        hugging_face_callback()
