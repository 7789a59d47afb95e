"""Which presets are there, and where are they from?"""

from fathometer.spec.presets.entry import Preset
from fathometer.spec.presets.find import PRESETS, preset

__all__ = ["PRESETS", "Preset", "preset"]
