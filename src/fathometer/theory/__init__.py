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
from fathometer.theory.expressivity import (
    least_error,
    most_pieces_on_a_line,
    most_regions_of_one_layer,
    regions_within_reach,
    units_for_parity,
    units_for_sawtooth,
    width_that_fails,
)
from fathometer.theory.expressivity_networks import (
    ReluStack,
    folding_network,
    parity_network,
    shallow_sawtooth,
    shallow_twin,
    square_network,
    tent_network,
)
from fathometer.theory.forecast import forecast
from fathometer.theory.maps import correlation_map, length_map, slope
from fathometer.theory.mlp import forecast_stack

__all__ = [
    "DepthScales",
    "FixedPoint",
    "ReluStack",
    "correlation_map",
    "critical_gain",
    "depth_scales",
    "edge_of_chaos",
    "fixed_point",
    "folding_network",
    "forecast",
    "forecast_stack",
    "least_error",
    "length_map",
    "most_pieces_on_a_line",
    "most_regions_of_one_layer",
    "parity_network",
    "regions_within_reach",
    "shallow_sawtooth",
    "shallow_twin",
    "signal_keeping_gain",
    "slope",
    "square_network",
    "tent_network",
    "units_for_parity",
    "units_for_sawtooth",
    "width_that_fails",
]
