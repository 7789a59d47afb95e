"""One preset: a spec, its lesson, its source."""

from dataclasses import dataclass

from fathometer.spec.families import Spec


@dataclass(frozen=True)
class Preset:
    """A spec with a sentence about it, where its numbers come from, and what the source gets wrong.

    `flag` is a sentence where the source contradicts itself or differs from this network: what it says, and what is used.
    """

    spec: Spec
    summary: str
    source: str
    flag: str | None = None
