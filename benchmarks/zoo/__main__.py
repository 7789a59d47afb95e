"""Measure the zoo: `python -m benchmarks.zoo develop scored`, `table`, `anew`."""

import sys

import torch

from benchmarks.zoo.mending import forget, zoo_mend
from benchmarks.zoo.split import PARTS, entries
from benchmarks.zoo.table import all_known, counted, noise
from benchmarks.zoo.truth import run


def main(words: list[str]) -> int:
    """Train what is not yet known of the named parts, with one thread.

    "table" trains nothing and counts what is known; "anew" mends again what was mended by other code than today's.
    """
    torch.set_num_threads(1)
    unknown = [word for word in words if word not in (*PARTS, "table", "anew")]
    if unknown:
        print(f"There is no part named {unknown[0]}. The parts are: {', '.join(PARTS)}; or table, or anew.", file=sys.stderr)
        return 2
    if words == ["anew"]:
        print(f"{forget()} networks were mended by other code")
        zoo_mend()
        return 0
    for part in words or PARTS:
        if part in PARTS:
            run(entries(part), say=lambda line: print(line, flush=True))
    print(counted(all_known()), noise(all_known()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
