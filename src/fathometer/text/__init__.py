"""How do numbers look in text?"""

from fathometer.text.heatmap import heat_colour, heat_levels, heat_text
from fathometer.text.numbers import number_text, power_text
from fathometer.text.sparkline import sparkline

__all__ = ["heat_colour", "heat_levels", "heat_text", "number_text", "power_text", "sparkline"]
