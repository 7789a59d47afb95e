"""What could mend it? Changes from least to most invasive, as code."""

from fathometer.diagnosis.remedies.candidate import Candidate
from fathometer.diagnosis.remedies.propose import propose

__all__ = ["Candidate", "propose"]
