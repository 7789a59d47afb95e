"""A finding with its evidence, and the verdict that follows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fathometer.finding.causes import CAUSES

Verdict = Literal["healthy", "at risk", "will not train", "unknown"]
Severity = Literal["will not train", "at risk", "note"]
SEVERITIES: tuple[Severity, ...] = ("will not train", "at risk", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its cause, how bad, the number that says so, and where.

    `cause` is a key of `CAUSES`. `number` is what was measured and `limit` the value at which this severity begins,
    in the unit that `sentence` names. `column` is the profile's column to look at, `points` the depth points concerned;
    `remedies` are names, best first.

    >>> found = Finding("saturation", "at risk", "92% of block 3 is flat.", 0.92, 0.5, "saturated", ("block 3",))
    >>> found.title, found.citations
    ('Units are saturated', ('glorot2010',))
    """

    cause: str
    severity: Severity
    sentence: str
    number: float
    limit: float
    column: str | None = None
    points: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return the cause in a few words."""
        return CAUSES[self.cause].title

    @property
    def consequence(self) -> str:
        """Return what follows if nothing is changed."""
        return CAUSES[self.cause].consequence

    @property
    def citations(self) -> tuple[str, ...]:
        """Return the keys of the papers behind the rule."""
        return CAUSES[self.cause].citations

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, as `from_dict` reads it."""
        return {**asdict(self), "points": list(self.points), "remedies": list(self.remedies)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Finding":
        """Return the finding that `to_dict` wrote."""
        words = (table["cause"], table["severity"], table["sentence"], table["number"], table["limit"], table["column"])
        return cls(*words, tuple(table["points"]), tuple(table["remedies"]))


def decide(findings: Sequence[Finding], known: bool = True) -> Verdict:
    """Return the verdict: the worst severity among the findings; "unknown" if nothing is wrong but not enough is known.

    >>> decide([])
    'healthy'
    """
    severities = {finding.severity for finding in findings}
    if "will not train" in severities:
        return "will not train"
    if "at risk" in severities:
        return "at risk"
    return "healthy" if known else "unknown"
