"""A watch over two processes says what one over the whole batch does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = """
import json, os, sys, torch
from pathlib import Path
from torch import distributed, nn
from torch.nn import functional as F
import fathometer as fm

torch.set_num_threads(1)
how, folder = sys.argv[1], Path(sys.argv[2])
rank, world = 0, 1
if how != "one":
    distributed.init_process_group("gloo")
    rank, world = distributed.get_rank(), distributed.get_world_size()


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def wrapped(model):
    if how == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    if how == "fsdp":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
        mesh = init_device_mesh("cpu", (world,))
        for block in model:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
    return model


def train(what):
    torch.manual_seed(0)
    # An odd width: shards of unequal size. Price "full": everything is taken, so that nothing is off by chance.
    model = nn.Sequential(*(nn.Sequential(nn.Linear(33, 33), nn.ReLU()) for _ in range(4)), nn.Linear(33, 5))
    inputs, targets = torch.randn(64, 33), torch.randint(5, (64,))
    if what == "compile":
        for block in model:
            block.compile(backend="eager")
    called = wrapped(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=what == "scaler")
    x, y = inputs.chunk(world)[rank], targets.chunk(world)[rank]
    parts = 2 if what == "accumulate" else 1
    before = hooks_of(model)  # FSDP has its own
    with fm.watch(called, optimizer, every=2, price="full", record=folder / f"{how}-{what}") as seen:
        for step in range(6):
            optimizer.zero_grad()
            total = 0.0
            for some, wanted in zip(x.chunk(parts), y.chunk(parts)):
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=what == "scaler"):
                    output = called(some)
                loss = F.cross_entropy(output.float(), wanted) / parts
                scaler.scale(loss).backward()
                total = total + loss.detach()
            scaler.step(optimizer)
            scaler.update()
            seen.step(total)
    hooks = hooks_of(model) - before
    told = sum("fathometer" in type(vars(m).get("forward")).__module__ for m in model.modules())
    readings = [{"step": one.step, "columns": dict(one.columns), "facts": dict(one.facts)} for one in seen.readings]
    return {"readings": readings, "losses": list(seen.flight.losses), "told": told, "hooks": hooks}


found = {what: train(what) for what in ("plain", "accumulate", "scaler", "compile")}
(folder / f"{how}-{rank}.json").write_text(json.dumps(found))
if how != "one":
    distributed.barrier()
    distributed.destroy_process_group()
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(0)  # a thread of gloo that drops its last tensors while an interpreter ends would abort it
"""
# Half a batch is summed in another order, and rounded in bfloat16, which has eight bits.
TOLERANCE = {"plain": 1e-5, "accumulate": 1e-5, "compile": 1e-5, "scaler": 0.03}


def run(how: str, folder: Path, processes: int) -> list[dict[str, Any]]:
    """Return what every process read."""
    script = folder / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    runner = [sys.executable]
    if processes > 1:
        runner += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*runner, str(script), how, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{how}-{rank}.json").read_text(encoding="utf-8")) for rank in range(processes)]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_two_processes_are_watched_as_one(how: str, tmp_path: Path) -> None:
    """Every column and loss is that of one process: plain, accumulated, under a GradScaler in bfloat16, and compiled."""
    (alone,), both = run("one", tmp_path, 1), run(how, tmp_path, 2)

    for what, expected in alone.items():
        plain = alone["plain"]["readings"] if what == "accumulate" else expected["readings"]
        for process in both:
            found, close = process[what], TOLERANCE[what]
            assert (found["hooks"], found["told"]) == (0, 0)
            assert [one["step"] for one in found["readings"]] == [1, 2, 4, 6]
            assert [loss for _, loss in found["losses"]] == pytest.approx([loss for _, loss in expected["losses"]], rel=close)
            for one, wanted in zip(found["readings"], plain, strict=True):
                assert one["facts"]["batch_size"] == wanted["facts"]["batch_size"] == 64
                assert one["facts"]["gradient_norm"] == pytest.approx(wanted["facts"]["gradient_norm"], rel=close), what
                assert set(one["columns"]) == set(wanted["columns"])
                for name, series in wanted["columns"].items():
                    assert one["columns"][name] == pytest.approx(series, rel=close), (how, what, one["step"], name)
        assert (tmp_path / f"{how}-{what}" / "watch.jsonl").exists()
