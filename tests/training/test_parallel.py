"""Several processes train the network that one would, and end together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fathometer.data import digits
from fathometer.errors import FathometerError, SpecError
from fathometer.networks import build
from fathometer.records import Asked, Record, read_json
from fathometer.runs import train
from fathometer.spec import Mlp, Transformer
from fathometer.training import parallel
from fathometer.training.checkpoint import checkpoints

SPEC = Mlp(depth=4, width=33, residual="pre-norm", norm="layer")  # an odd width: shards of unequal size
ASKED = Asked(steps=50, optimizer="adamw", learning_rate=3e-3, weight_decay=0.1, clip=1.0, warmup=5, save_every=10)
WORKER = """
import os, signal, sys, torch
from pathlib import Path
from safetensors.torch import save_file
from fathometer.cli.main import main
from fathometer.data import digits
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.runs import train
from fathometer.spec import Mlp, Transformer
from fathometer.training import begin, go_on
from fathometer.training.parallel import joined, rank, shard, whole, world

torch.set_num_threads(1)
task, folder, spec, asked = sys.argv[1], Path(sys.argv[2]), eval(sys.argv[3]), eval(sys.argv[4])


def keep(step, model, loss):
    if step == 1:
        found = {name: whole(parameter.grad).contiguous() for name, parameter in model.named_parameters()}
        if rank() == 0:
            save_file(found, folder / "gradients.safetensors")


def fall(step, total, loss):
    if task == "fall" and rank() == 1 and step == 25:
        os.kill(os.getpid(), signal.SIGKILL)


def teach():
    if task == "gradients":
        model = build(spec, seed=0)
        course = begin(shard(model, asked), asked)
        go_on(course, digits().batches(asked.batch_size, rank=rank(), world=world()), observers=[keep])
    else:
        train(spec, asked, folder=folder, progress=fall)


from fathometer.errors import FathometerError
try:
    with joined():
        teach()
except FathometerError as problem:
    print("error:", problem, file=sys.stderr, flush=True)
    sys.exit(2)
"""


def launch(
    task: str, folder: Path, spec: object = SPEC, asked: Asked = ASKED, processes: int = 2
) -> subprocess.CompletedProcess[str]:
    """Run the worker in several processes, as torchrun does."""
    folder.mkdir(exist_ok=True)
    script = folder.parent / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    runner = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*runner, str(script), task, str(folder), repr(spec), repr(asked)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def losses(folder: Path) -> list[float]:
    """Return the losses in a folder's record."""
    return list(Record.from_dict(read_json((folder / "record.json").read_text(encoding="utf-8"))).losses)


def last_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights in the newest checkpoint of a run's folder."""
    return load_file(checkpoints(folder / "checkpoints")[-1] / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("asked", [ASKED, Asked(steps=50, optimizer="sgd", momentum=0.9, accumulate=2, checkpointing="block")])
def test_two_processes_train_what_one_does(asked: Asked, tmp_path: Path) -> None:
    """Losses over fifty steps, held-out loss and weights: sums of halves are rounded otherwise, and that is all."""
    one = train(SPEC, asked, folder=tmp_path / "one")
    done = launch("train", tmp_path / "two", asked=asked)
    assert done.returncode == 0, done.stderr

    assert losses(tmp_path / "two") == pytest.approx(list(one.record.losses), rel=1e-6, abs=1e-6)
    expected = last_weights(tmp_path / "one")
    for name, value in last_weights(tmp_path / "two").items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=2e-5)  # fifty steps of rounding


@pytest.mark.slow
def test_the_first_gradients_are_those_of_one_process(tmp_path: Path) -> None:
    """Each to a millionth of the largest of its tensor."""
    done = launch("gradients", tmp_path / "two", asked=Asked(steps=1))
    assert done.returncode == 0, done.stderr
    model = build(SPEC, seed=0)
    inputs, targets = next(digits().batches(64))
    nn.functional.cross_entropy(model(inputs), targets).backward()

    found = load_file(tmp_path / "two" / "gradients.safetensors")
    assert set(found) == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        error = (found[name] - parameter.grad).abs().max() / parameter.grad.abs().max()
        assert error < 1e-6, name


@pytest.mark.slow
def test_a_process_that_falls_ends_the_run_and_another_number_goes_on(tmp_path: Path) -> None:
    """The others say what to do and end; one process goes on from two, and two from one, to the losses of a whole run."""
    whole = train(SPEC, ASKED, folder=tmp_path / "whole")
    fallen = launch("fall", tmp_path / "run")
    assert fallen.returncode != 0
    assert "has lost another process of this run" in fallen.stderr
    assert "goes on from the latest checkpoint" in fallen.stderr
    assert [path.name for path in checkpoints(tmp_path / "run" / "checkpoints")] == ["step-00000010", "step-00000020"]

    def stop(step: int, total: int, loss: float) -> None:
        if step == 35:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SPEC, ASKED, folder=tmp_path / "run", progress=stop)
    assert checkpoints(tmp_path / "run" / "checkpoints")[-1].name == "step-00000030"
    done = launch("train", tmp_path / "run")
    assert done.returncode == 0, done.stderr

    assert losses(tmp_path / "run") == pytest.approx(list(whole.record.losses), rel=1e-6, abs=1e-6)


@pytest.mark.slow
def test_the_command_prints_once(tmp_path: Path) -> None:
    """Under torchrun only the first process speaks, and a tied transformer trains."""
    file = tmp_path / "run.toml"
    network = 'family = "transformer"\ndepth = 2\nwidth = 16\nheads = 2\n'
    data = '[data]\nname = "language"\ntokens = 20000\n'
    file.write_text(f"[network]\n{network}{data}[training]\nsteps = 4\nbatch_size = 4\n", encoding="utf-8")
    runner = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "fathometer"]
    done = subprocess.run([*runner, "train", str(file)], capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Trained 4 steps") == 1
    assert done.stdout.count("Kept in") == 1


@pytest.mark.parametrize(
    ("name", "value"), [("checkpointing", "sqrt"), ("precision", "float16"), ("optimizer", "muon"), ("compile", True)]
)
def test_what_is_for_one_process_is_refused_in_several(name: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the wish and its value, and says how many processes there are."""
    monkeypatch.setattr(parallel, "world", lambda: 2)
    with pytest.raises(SpecError, match=f"`{name}` is {value!r}, in a run of 2 processes"):
        parallel.shard(build(SPEC), Asked(**{name: value}))


def test_a_torch_that_does_not_divide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that come out twice as large as their mean are an error, before any step; right ones are none."""
    from torch.distributed import fsdp
    from torch.distributed.device_mesh import init_device_mesh

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        mesh, state = init_device_mesh("cpu", (1,)), torch.get_rng_state()
        parallel._check_mean(mesh)
        assert torch.equal(state, torch.get_rng_state())
        monkeypatch.setattr(fsdp, "fully_shard", lambda module, mesh: module.weight.register_hook(lambda grad: 2 * grad))
        with pytest.raises(SpecError, match="makes 2 of gradients whose mean is 1"):
            parallel._check_mean(mesh)
    finally:
        torch.distributed.destroy_process_group()


def test_one_process_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside torchrun nothing is joined, nothing is sharded, and every number and tensor is its own."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    model = build(Transformer(depth=1, width=16, heads=2))
    handler = signal.getsignal(signal.SIGTERM)
    with parallel.joined() as is_first:
        assert is_first
        assert parallel.shard(model, Asked(optimizer="muon")) is model
        assert (parallel.rank(), parallel.world()) == (0, 1)
        assert not torch.distributed.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert parallel.average(0.1, torch.device("cpu")) == 0.1
    tensor = torch.ones(3)
    assert parallel.whole(tensor) is tensor
    assert torch.equal(parallel.stacked(tensor), torch.ones(1, 3))


def test_the_message_of_a_lost_process() -> None:
    """It says that the same command goes on."""
    with pytest.raises(FathometerError, match="Start the same command again"):
        parallel._told_to_stop(15, None)
