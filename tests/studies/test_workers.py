"""Workers that die, a study that is killed, and a cluster: nothing is lost, and nothing is done twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

import fathometer

SCRIPT = """
    import os, sys, time
    from pathlib import Path
    from fathometer.studies.cells import Finished
    from fathometer.studies.conduct import conduct
    from fathometer.studies.question import Question, Reading

    HERE = Path(__file__).parent

    def measure(group):
        for cell in group:
            with (HERE / "measured.txt").open("a") as file:
                file.write(f"{cell['number']}\\n")
            if cell["number"] == 3 and {kills} and not (HERE / "died").exists():
                (HERE / "died").touch()
                os.kill(os.getpid(), 9)
            time.sleep({pause})
            yield {"square": cell["number"] ** 2}

    QUESTION = Question("t", "c", {}, {}, lambda options: [], measure, lambda options, rows: None, (), ())

    if __name__ == "__main__":
        groups = [[{"number": number}] for number in range(8)]
        rows = conduct("toy", QUESTION, groups, Finished("toy", HERE / "kept"), workers={workers}, progress=lambda *facts: None)
        print([row["square"] for row in rows])
"""
DASK = """
    from distributed import Client, LocalCluster
    from fathometer.studies import study

    def ask(**settings):
        options = {"depths": (3, 9), "weight_variances": (1.0, 1.76, 3.0), "steps": 12, "width": 16}
        return study("trainability", options=options, progress=lambda *facts: None, **settings)

    if __name__ == "__main__":
        own = ask()
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            found = ask(executor=client.get_executor())
        without_time = lambda rows: [{k: v for k, v in row.items() if k != "cpu_seconds"} for row in rows]
        print(len(found.rows), without_time(found.rows) == without_time(own.rows), found.answer == own.answer)
"""


def script(folder: Path, text: str = SCRIPT, **values: object) -> Path:
    """Write a script with its values put in."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    path = folder / "toy.py"
    path.write_text(dedent(text))
    return path


def start(path: Path) -> "subprocess.Popen[str]":
    """Start a script in a new Python that finds the package."""
    environment = {**os.environ, "PYTHONPATH": str(Path(fathometer.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(path: Path) -> str:
    """Run a script to its end, and return what it printed."""
    process = start(path)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


def measured(folder: Path) -> list[int]:
    """Return the cells that were begun, in order."""
    return [int(line) for line in (folder / "measured.txt").read_text().split()]


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_its_own_cell_alone(tmp_path: Path) -> None:
    """Of two workers one is killed in the middle of cell 3: that cell is begun twice, every other once, and all are done."""
    printed = finish(script(tmp_path, kills=True, workers=2, pause=0.05))

    assert printed == str([number**2 for number in range(8)])
    assert sorted(measured(tmp_path)) == sorted([*range(8), 3])


@pytest.mark.slow
def test_a_study_that_is_killed_goes_on_where_it_stood(tmp_path: Path) -> None:
    """Killed after some cells, the same script measures the others, and the one that it was at again, no other."""
    process = start(script(tmp_path, kills=False, workers=None, pause=0.4))
    kept = tmp_path / "kept" / "cells.jsonl"
    deadline = time.monotonic() + 200
    while (not kept.exists() or kept.read_text().count("\n") < 3) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    done = kept.read_text().count("\n")
    begun = len(measured(tmp_path))

    assert finish(tmp_path / "toy.py") == str([number**2 for number in range(8)])
    assert 3 <= done < 8
    assert len(measured(tmp_path)) == begun + 8 - done
    assert len(measured(tmp_path)) - 8 <= 1


@pytest.mark.slow
def test_a_cluster_of_two_workers_gives_what_this_process_gives(tmp_path: Path) -> None:
    """A study on a real local Dask cluster equals the local one, number by number: its stacks are the same stacks."""
    pytest.importorskip("distributed")
    path = tmp_path / "cluster.py"
    path.write_text(dedent(DASK))

    assert finish(path) == "12 True True"
