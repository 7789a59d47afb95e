"""What comes of one network, trained as a run asks?"""

from fathometer.runs.coordinate_check import CoordinateCheck, coordinate_check
from fathometer.runs.run import Trained, train

__all__ = ["CoordinateCheck", "Trained", "coordinate_check", "train"]
