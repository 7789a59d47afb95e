"""Is it healthy, what mends it, and did it?"""

from fathometer.diagnosis.assertion import assert_trains
from fathometer.diagnosis.fix import Attempt, Fix
from fathometer.diagnosis.mend import mend
from fathometer.diagnosis.preflight import Preflight, preflight
from fathometer.diagnosis.targets import Target, load_target
from fathometer.diagnosis.trial import Trial
from fathometer.diagnosis.watch import watch
from fathometer.diagnosis.watch_alerts import ALERTS, Alert
from fathometer.diagnosis.watch_run import Watch

__all__ = [
    "ALERTS",
    "Alert",
    "Attempt",
    "Fix",
    "Preflight",
    "Target",
    "Trial",
    "Watch",
    "assert_trains",
    "load_target",
    "mend",
    "preflight",
    "watch",
]
