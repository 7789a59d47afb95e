"""Many runs on executors: the same records, and clear words when one dies."""

import os
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch

import fathometer
from fathometer.data import digits
from fathometer.errors import BatchError, SpecError, TargetError
from fathometer.records import Asked, Record
from fathometer.runs import RunsError, local_pool, many
from fathometer.runs.chunks import PIECES, cost, cut
from fathometer.runs.stacked_data import source_of
from fathometer.runs.work import Work, pack, unpack_and_work
from fathometer.spec import Mlp

RUNS = [(Mlp(width=width, depth=depth), Asked(8, seed=seed)) for width in (8, 9) for depth in (1, 4) for seed in range(3)]
SCRIPT = """
    from fathometer.records import Asked
    from fathometer.runs import local_pool, many
    from fathometer.spec import Mlp
    {guard}
        with local_pool(1) as pool:
            print(len(many([(Mlp(width=8), Asked(2))], executor=pool, progress=print)), "done")
"""


class Dying(Executor):
    """An executor that does the first piece of work and loses the rest."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is done already."""
        self.count += 1
        future = Future[Any]()
        if self.count > 1:
            future.set_exception(ConnectionError("the line is dead"))
        else:
            future.set_result(function(*args, **kwargs))
        return future


def quiet(*facts: object) -> None:
    """Draw no bar."""


def python(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a new Python that finds the package."""
    source = str(Path(fathometer.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=300, env=environment, check=False)


def test_threads_give_the_same(tmp_path: Path) -> None:
    """An executor of threads gives the records of this process, in order, and tells its progress; a folder works with it."""
    told: list[tuple[int, int]] = []
    with ThreadPoolExecutor(2) as pool:
        found = many(RUNS, executor=pool, folder=tmp_path, progress=lambda done, total, left: told.append((done, total)))
    expected = many(RUNS, progress=quiet)

    for a, b in zip(found, expected, strict=True):
        assert a.asked == b.asked
        assert a.network == b.network
        assert a.losses == pytest.approx(b.losses, rel=1e-6)  # float32: a stack cut finer may add in another order
    assert told[-1] == (len(RUNS), len(RUNS))
    assert many(RUNS, progress=quiet, folder=tmp_path) == found


def test_new_processes_give_the_same() -> None:
    """A local pool gives the records of this process; each worker has one thread."""
    with local_pool(1) as pool:
        found = many(RUNS, executor=pool, progress=quiet)

    for a, b in zip(found, many(RUNS, progress=quiet), strict=True):
        assert a.losses == pytest.approx(b.losses, rel=1e-6)  # float32, see above
        assert a.machine.threads == 1


def test_a_worker_builds_in_the_numbers_of_its_caller() -> None:
    """Work that was packed where torch builds in float64 is done in float64, and leaves the worker as it was."""
    data = (digits().train_inputs.double(), digits().train_targets)
    torch.set_default_dtype(torch.float64)
    try:
        expected = many(RUNS[:3], data=data, progress=quiet)
        packed = pack(Work((0, 1, 2), tuple(RUNS[:3]), data, "auto"))
    finally:
        torch.set_default_dtype(torch.float32)
    found = [record for _, record in unpack_and_work(packed)]

    assert [record.losses for record in found if isinstance(record, Record)] == [record.losses for record in expected]
    assert torch.get_default_dtype() == torch.float32


def test_work_for_several_is_cut_finer() -> None:
    """Shared work comes in stacks of about a twelfth of it at most, the longest first; every run is in one chunk."""
    source = source_of(digits())
    shared, own = (cut(RUNS, source, "auto", is_shared=is_shared) for is_shared in (True, False))
    costs = [sum(cost(*RUNS[place]) for place in chunk) for chunk in shared]

    assert sorted(place for chunk in shared for place in chunk) == list(range(len(RUNS)))
    assert len(own) == 2
    assert max(costs) <= max(sum(costs) / PIECES, *(cost(*run) for run in RUNS))
    assert costs == sorted(costs, reverse=True)


def test_lost_work_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    """When the executor loses work, what was done before is in the error and on disk."""
    with pytest.raises(RunsError, match="the line is dead") as caught:
        many(RUNS, executor=Dying(), progress=quiet, folder=tmp_path)

    kept = [record for record in caught.value.records if record is not None]
    assert 0 < len(kept) < len(RUNS)
    assert len(kept) + len(caught.value.reasons) == len(RUNS)
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == len(kept)


def test_a_stop_calls_off_what_has_not_begun() -> None:
    """Ctrl-C in the middle cancels the work that waits."""
    futures: list[Future[Any]] = []

    class Waiting(Dying):
        """An executor whose later work never begins."""

        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            """Return a future that waits, but for the first."""
            futures.append(Future[Any]() if futures else super().submit(function, *args, **kwargs))
            return futures[-1]

    def interrupt(finished: int, total: int, seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        many(RUNS, executor=Waiting(), progress=interrupt)
    assert len(futures) > 1
    assert all(future.cancelled() for future in futures[1:])


def test_a_pool_that_takes_no_work_is_named() -> None:
    """A pool that is shut down already is said to have lost every run."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RunsError, match=r"12 of 12 runs failed.*after shutdown"):
        many(RUNS, executor=pool, progress=quiet)


def test_data_that_cannot_be_sent_are_refused() -> None:
    """A worker gets copies: what cannot be pickled is said before anything is trained."""

    class Hidden:
        """Batches of a class that no other process can import."""

        def __iter__(self) -> Any:
            """Yield one batch."""
            return iter([(digits().train_inputs, digits().train_targets)])

    with pytest.raises(BatchError, match="cannot be sent to another process"):
        many(RUNS[:1], data=Hidden(), executor=Dying(), progress=quiet)


def test_no_workers_are_refused() -> None:
    """A pool has at least one worker."""
    with pytest.raises(SpecError, match="`workers` is 0"):
        local_pool(0)


def test_a_main_module_that_is_no_file_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script from standard input cannot be imported by a worker: the error says so, and how to mend it."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "<stdin>", raising=False)
    with pytest.raises(TargetError, match="Save it as a file"):
        local_pool(1)


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_of_it(tmp_path: Path) -> None:
    """Workers that import a script which starts workers die: the error names the guard; with it the script works."""
    script = tmp_path / "grid.py"
    script.write_text(dedent(SCRIPT.format(guard="if True:")))
    failed = python(str(script))
    assert failed.returncode != 0
    assert '`if __name__ == "__main__":`' in failed.stderr

    script.write_text(dedent(SCRIPT.format(guard='if __name__ == "__main__":')))
    assert "1 done" in python(str(script)).stdout


@pytest.mark.slow
def test_dask_gives_the_same() -> None:
    """A real local cluster of Dask, through the executor of its client, gives the records of this process."""
    pytest.importorskip("distributed")
    script = """
        from distributed import Client, LocalCluster
        from fathometer.records import Asked
        from fathometer.runs import many
        from fathometer.spec import Mlp

        if __name__ == "__main__":
            runs = [(Mlp(width=8, depth=depth), Asked(8, seed=seed)) for depth in (1, 4) for seed in range(3)]
            own = many(runs, progress=lambda *facts: None)
            with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
                found = many(runs, executor=client.get_executor(), progress=lambda *facts: None)
            off = max(abs(a - b) for x, y in zip(found, own) for a, b in zip(x.losses, y.losses))
            print(len(found), off < 1e-6 * 5, [x.asked for x in found] == [x.asked for x in own])
    """
    result = python("-c", dedent(script))
    assert result.stdout.strip() == "6 True True", result.stderr
