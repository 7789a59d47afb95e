"""What should happen? Signal and gradient before a network exists."""

from fathometer.theory.criticality import (
    DepthScales,
    FixedPoint,
    critical_gain,
    depth_scales,
    edge_of_chaos,
    fixed_point,
    signal_keeping_gain,
)
from fathometer.theory.forecast import forecast
from fathometer.theory.maps import correlation_map, length_map, slope
from fathometer.theory.mlp import forecast_stack

__all__ = [
    "DepthScales",
    "FixedPoint",
    "correlation_map",
    "critical_gain",
    "depth_scales",
    "edge_of_chaos",
    "fixed_point",
    "forecast",
    "forecast_stack",
    "length_map",
    "signal_keeping_gain",
    "slope",
]
