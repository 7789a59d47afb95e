"""What a simple classifier reads off each layer, along depth."""

from collections.abc import Sequence

import altair as alt

from fathometer.figures.axes import depth_x, linear_y
from fathometer.figures.by_depth import lines_over
from fathometer.figures.lines import Numbers
from fathometer.figures.reference import reference_layers
from fathometer.figures.theme import finished


def probe_chart(
    networks: Sequence[tuple[str, Numbers]], chance: float, *, blocks: Sequence[str] = (), first: int = 1
) -> alt.LayerChart:
    """Draw probe accuracy (0 to 1) by depth for labelled networks, at most four, over the line of guessing.

    `blocks` are the names along depth (by default their numbers); `first` is the depth of the first number, 0 where
    the input itself was probed.
    """
    length = max((len(numbers) for _, numbers in networks), default=0)
    depths = range(first, first + length)
    names = list(blocks) or ["input" if depth == 0 else str(depth) for depth in depths]
    x, y = depth_x(first, first + length - 1), linear_y("value", [], percent=True, whole=True)
    behind = reference_layers(chance, f"guessing: {chance:.0%}", below=True)
    chart = lines_over(behind, networks, x, y, depths=depths, names=names, say=_percent)
    subtitle = "accuracy of a linear probe on held-out samples"
    return finished(chart, "What each layer knows", subtitle, _describe(networks, chance))


def _percent(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.1%}"


def _describe(networks: Sequence[tuple[str, Numbers]], chance: float) -> str:
    ends = []
    for label, numbers in networks:
        known = [number for number in numbers if number is not None]
        if known:
            ends.append(f"{label} goes from {known[0]:.1%} to {known[-1]:.1%}")
    return f"Probe accuracy by depth (guessing gives {chance:.1%}): {'; '.join(ends) or 'not measured'}."
