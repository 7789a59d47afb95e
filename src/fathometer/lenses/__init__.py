"""What did each layer learn?"""

from fathometer.lenses.probes import Probes, probe
from fathometer.lenses.representations import Representations, represent

__all__ = ["Probes", "Representations", "probe", "represent"]
