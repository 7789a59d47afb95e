"""What mends a network: before, after, and what was tried."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from fathometer import json_text
from fathometer.diagnosis.preflight import GARBLED, Preflight
from fathometer.diagnosis.trial import Trial
from fathometer.errors import RecordError
from fathometer.finding import Outcome, Remedy
from fathometer.records import check_schema, read_json

SCHEMA = "fathometer.mend/1"


@dataclass(frozen=True)
class Attempt:
    """One remedy and what came of it: the profile after it, the short runs (None where it was not trained)."""

    remedy: Remedy
    outcome: Outcome
    why: str
    after: Preflight | None = None
    trial: Trial | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, as `from_dict` reads it."""
        parts = {"after": self.after, "trial": self.trial}
        written = {name: None if part is None else part.to_dict() for name, part in parts.items()}
        return {"remedy": self.remedy.to_dict(), "outcome": self.outcome, "why": self.why, **written}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Attempt":
        """Return the attempt that `to_dict` wrote."""
        after = None if table["after"] is None else Preflight.from_dict(table["after"])
        trial = None if table["trial"] is None else Trial.from_dict(table["trial"])
        return cls(Remedy.from_dict(table["remedy"]), table["outcome"], table["why"], after, trial)


@dataclass(frozen=True, repr=False)
class Fix:
    """What mends a network, and the proof: profiles and short training runs before and after.

    `model` is a mended copy, not trained yet (the given one, copied, if nothing had to or could be mended; None when read
    from JSON). `proved` is the attempt that worked, or None; `tried` are all attempts in the order of their invasiveness.
    """

    before: Preflight
    trial_before: Trial
    tried: tuple[Attempt, ...]
    model: nn.Module | None = None

    @property
    def proved(self) -> Attempt | None:
        """Return the attempt that was proved to work, or None."""
        return next((attempt for attempt in self.tried if attempt.outcome == "proved"), None)

    @property
    def code(self) -> str:
        """Return the proved remedy as Python to paste, or an empty text."""
        return self.proved.remedy.code if self.proved is not None else ""

    @property
    def needed(self) -> bool:
        """Return whether there was anything to mend: the network did not train, or a remedy was proved to do better."""
        return not self.trial_before.trains or self.proved is not None

    def named(self, name: str) -> "Fix":
        """Return the same fix for a network that is called otherwise."""
        return replace(self, before=self.before.named(name))

    def __repr__(self) -> str:
        return f"Fix({self.evidence!r})"

    @property
    def evidence(self) -> str:
        """Return the proof in one sentence."""
        from fathometer.diagnosis.words import evidence_sentence

        return evidence_sentence(self)

    def __str__(self) -> str:
        from fathometer.diagnosis.words import fix_text

        return fix_text(self)

    def to_json(self) -> str:
        """Return strict JSON with its schema, as `from_json` reads it."""
        table = {"schema": SCHEMA, "before": self.before.to_dict(), "trial_before": self.trial_before.to_dict()}
        return json_text.dump({**table, "tried": [attempt.to_dict() for attempt in self.tried]})

    @classmethod
    def from_json(cls, text: str) -> "Fix":
        """Return the fix that `to_json` wrote, without the model; raise `RecordError` for anything else."""
        table = read_json(text)
        check_schema(table, SCHEMA)
        try:
            tried = tuple(Attempt.from_dict(attempt) for attempt in table["tried"])
            return cls(Preflight.from_dict(table["before"]), Trial.from_dict(table["trial_before"]), tried)
        except GARBLED as problem:
            raise RecordError(f"The result lacks or garbles {problem}", "All parts must be there", "Write it anew") from None

    def save_html(self, path: str | Path) -> Path:
        """Write the report, one file that opens offline, and return its path."""
        from fathometer.diagnosis.pages import fix_page
        from fathometer.report import save

        return save(fix_page(self), path)


def is_sick(check: Preflight) -> bool:
    """Return whether something was found that should be mended; "unknown" is not known to be wrong."""
    return check.verdict in ("will not train", "at risk")
