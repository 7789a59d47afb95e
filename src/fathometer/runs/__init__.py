"""What comes of one network, trained as a run asks?"""

from fathometer.runs.run import Trained, train

__all__ = ["Trained", "train"]
