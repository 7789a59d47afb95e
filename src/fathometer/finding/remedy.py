"""A remedy as a fact: what it does, how invasive, code to paste."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["proved", "helped less", "did not help", "not tried"]  # what came of trying a remedy


@dataclass(frozen=True)
class Remedy:
    """A change that may mend a network; applying it is the work of `diagnosis.remedies`.

    `invasiveness` runs from 1 (other numbers in the same weights) to 6 (another architecture).
    `code` is Python that uses torch alone and ends with `model = …`; empty for advice in words.

    >>> Remedy("clip", "Clip the gradient", "One step cannot throw the weights far away.", 3).is_advice
    True
    """

    name: str
    title: str
    why: str
    invasiveness: int
    code: str = ""
    citations: tuple[str, ...] = ()

    @property
    def is_advice(self) -> bool:
        """Return whether this is words without code."""
        return not self.code

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, as `from_dict` reads it."""
        return {**asdict(self), "citations": list(self.citations)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Remedy":
        """Return the remedy that `to_dict` wrote."""
        words = (table["name"], table["title"], table["why"], table["invasiveness"], table["code"])
        return cls(*words, tuple(table["citations"]))
