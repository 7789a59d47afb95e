"""What `python -m benchmarks gpu` does, with a choice: `--tiny` rehearses on a CPU, `--out FOLDER` keeps the rows there."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.__main__ import result, table
from benchmarks.gpu.sizes import FULL, TINY
from benchmarks.gpu.table import JOBS, KEPT, gpu
from fathometer.json_text import dump

REHEARSED = "A rehearsal at tiny sizes on this CPU: that each row runs is all that it says; its numbers mean nothing."


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it where rows are kept; return 1 where a row failed, or there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="try the code of every row on this CPU, at tiny sizes")
    parser.add_argument("--out", type=Path, help="where rows are kept; by default benchmarks/results, a rehearsal's nowhere else")
    parser.add_argument("--only", nargs="*", choices=list(JOBS), help="these rows alone")
    asked = parser.parse_args(arguments)
    if asked.tiny and asked.out is None:
        parser.error("a rehearsal is never kept among the results: give it a folder, --out FOLDER")
    folder = asked.out or KEPT.parent
    rows = gpu(TINY if asked.tiny else FULL, folder / KEPT.name, tuple(asked.only or JOBS))
    print(REHEARSED if asked.tiny else torch.cuda.get_device_name(), table(rows), sep="\n")
    if not asked.tiny:
        (folder / "gpu.json").write_text(dump(result("gpu", rows)) + "\n", encoding="utf-8")
    return int(any(row["verdict"] == "failed" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
