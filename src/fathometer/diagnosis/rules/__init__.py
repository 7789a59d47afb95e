"""Which numbers mean what? Pure functions from evidence to findings."""

from fathometer.diagnosis.rules.graded import times
from fathometer.diagnosis.rules.judge import MOST_FINDINGS, RULES, enough_is_known, judge, verdict_of

__all__ = ["MOST_FINDINGS", "RULES", "enough_is_known", "judge", "times", "verdict_of"]
