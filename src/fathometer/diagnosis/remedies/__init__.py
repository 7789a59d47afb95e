"""What could mend it? Changes from least to most invasive, each as code that runs."""

from fathometer.diagnosis.remedies.propose import Candidate, propose

__all__ = ["Candidate", "propose"]
