"""The grid of 216 networks on a GPU: as stacks, against a loop; run with `python -m benchmarks.many_gpu`."""

import sys
from time import perf_counter

import torch

from benchmarks.__main__ import table
from benchmarks.many import DEPTHS, WIDTHS, Row, by_hand, grid, quiet
from fathometer.runs import many

STEPS, TARGET = 100, 20.0


def many_gpu() -> list[Row]:
    """Return the wall seconds of both, width by width and in all; each way has run once before, to load its kernels."""
    torch.set_default_device("cuda")
    rows = []
    for widths in (*((width,) for width in WIDTHS), WIDTHS):
        runs = grid(DEPTHS, widths, STEPS)
        many(grid(DEPTHS, widths, 2), progress=quiet)
        by_hand(grid((2,), widths, 2))
        start = perf_counter()
        many(runs, progress=quiet)
        between = perf_counter()
        by_hand(runs)
        stacked, loop = between - start, perf_counter() - between
        rows.append({"widths": str(widths), "runs": len(runs), "by_hand": loop, "many": stacked, "times": loop / stacked})
    return [{**row, "target": TARGET, "kept": row["times"] >= TARGET} for row in rows]


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here. Run this where `torch.cuda.is_available()` is true.")
    print(table(many_gpu()))
