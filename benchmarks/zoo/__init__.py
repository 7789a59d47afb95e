"""Is it right? A zoo of small networks, healthy and sick, with their truth."""

from benchmarks.zoo.entry import Entry
from benchmarks.zoo.split import entries
from benchmarks.zoo.tasks import task
from benchmarks.zoo.truth import known, truth_of

__all__ = ["Entry", "entries", "known", "task", "truth_of"]
