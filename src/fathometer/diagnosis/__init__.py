"""Is it healthy, what mends it, and did it?"""

from fathometer.diagnosis.assertion import assert_trains
from fathometer.diagnosis.fix import Attempt, Fix
from fathometer.diagnosis.mend import mend
from fathometer.diagnosis.preflight import Preflight, preflight
from fathometer.diagnosis.targets import Target, load_target
from fathometer.diagnosis.trial import Trial

__all__ = ["Attempt", "Fix", "Preflight", "Target", "Trial", "assert_trains", "load_target", "mend", "preflight"]
