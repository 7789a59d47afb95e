"""Two processes show the numbers that one would: DDP and FSDP2."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = """
import json, os, sys, torch
from pathlib import Path
from torch import distributed, nn
from torch.nn import functional as F
from fathometer.instruments.recorder import StepRecorder
from fathometer.instruments.recorder_price import Price

torch.set_num_threads(1)
how, folder = sys.argv[1], Path(sys.argv[2])
torch.manual_seed(0)
# An odd width: shards of unequal size.
model = nn.Sequential(*(nn.Sequential(nn.Linear(33, 33), nn.ReLU()) for _ in range(4)), nn.Linear(33, 5))
inputs, targets = torch.randn(32, 33), torch.randint(5, (32,))
rank, world = 0, 1
called = model
if how != "one":
    distributed.init_process_group("gloo")
    rank, world = distributed.get_rank(), distributed.get_world_size()
if how == "ddp":
    called = nn.parallel.DistributedDataParallel(model)
if how == "fsdp":
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    mesh = init_device_mesh("cpu", (world,))
    for block in model:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
# Everything is taken, so that nothing is off by chance.
recorder = StepRecorder(called, [optimizer], Price("whole", 10**9, 10**9, True, True, 10**9))
x, y = inputs.chunk(world)[rank], targets.chunk(world)[rank]
for step in (1, 2):
    recorder.arm()
    optimizer.zero_grad()
    F.cross_entropy(called(x), y).backward()
    optimizer.step()
    reading = recorder.finish(step)
rows = {"columns": {name: list(series) for name, series in reading.columns.items()}, "facts": dict(reading.facts)}
(folder / f"{how}-{rank}.json").write_text(json.dumps(rows))
hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
(folder / f"{how}-{rank}.hooks").write_text(str(hooks))
if how != "one":
    distributed.barrier()
    distributed.destroy_process_group()
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(0)  # a thread of gloo that drops its last tensors while an interpreter ends would abort it
"""


def run(how: str, folder: Path, processes: int) -> list[dict[str, dict[str, list[float]]]]:
    """Return what every process read in its second step."""
    script = folder / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    runner = [sys.executable]
    if processes > 1:
        runner += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run([*runner, str(script), how, str(folder)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{how}-{rank}.json").read_text(encoding="utf-8")) for rank in range(processes)]


ADDS_UP = pytest.mark.skipif(
    torch.__version__ < (2, 8), reason="this torch's FSDP adds gradients up over gloo, and does not divide"
)


@pytest.mark.parametrize("how", ["ddp", pytest.param("fsdp", marks=ADDS_UP)])
def test_two_processes_show_what_one_does(how: str, tmp_path: Path) -> None:
    """Every column is the same in both processes, and as in one process with the whole batch."""
    (alone,), both = run("one", tmp_path, 1), run(how, tmp_path, 2)

    for process in both:
        assert process["facts"]["batch_size"] == alone["facts"]["batch_size"]
        assert process["facts"]["gradient_norm"] == pytest.approx(alone["facts"]["gradient_norm"], rel=1e-4)
        assert set(process["columns"]) == set(alone["columns"])
        for name, series in alone["columns"].items():
            # float32 sums in another order; an update is a difference of weights
            assert process["columns"][name] == pytest.approx(series, rel=5e-3 if name == "update" else 1e-4), (how, name)
