"""How do the numbers look?"""

from fathometer.figures.bands import band_chart
from fathometer.figures.beside import beside
from fathometer.figures.by_depth import by_depth_chart
from fathometer.figures.curves import loss_chart
from fathometer.figures.depth import depth_chart
from fathometer.figures.heat import heat_chart
from fathometer.figures.levels import LevelRow, level_chart
from fathometer.figures.probes import probe_chart
from fathometer.figures.save import save
from fathometer.figures.small_multiples import small_multiples
from fathometer.figures.specification import spec

__all__ = [
    "LevelRow",
    "band_chart",
    "beside",
    "by_depth_chart",
    "depth_chart",
    "heat_chart",
    "level_chart",
    "loss_chart",
    "probe_chart",
    "save",
    "small_multiples",
    "spec",
]
