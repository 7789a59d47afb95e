"""What does a learner turn, break, mend and watch? The lab, on one page."""

from fathometer.lab.serving import serve

__all__ = ["serve"]
