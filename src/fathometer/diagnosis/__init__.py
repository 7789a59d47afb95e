"""Is it healthy, what mends it, and did it?"""

from fathometer.diagnosis.mend import Attempt, Fix, mend
from fathometer.diagnosis.preflight import Preflight, preflight
from fathometer.diagnosis.targets import Target, load_target
from fathometer.diagnosis.trial import Trial

__all__ = ["Attempt", "Fix", "Preflight", "Target", "Trial", "load_target", "mend", "preflight"]
