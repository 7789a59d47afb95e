"""What is wrong, how do we know, and what mends it?"""

from fathometer.finding.causes import CAUSES, Cause
from fathometer.finding.citations import CITATIONS
from fathometer.finding.finding import Finding, Severity, Verdict, decide
from fathometer.finding.remedy import Outcome, Remedy

__all__ = ["CAUSES", "CITATIONS", "Cause", "Finding", "Outcome", "Remedy", "Severity", "Verdict", "decide"]
