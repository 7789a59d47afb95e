"""What the rules read: profile, forecast and ratios along depth."""

from dataclasses import dataclass, replace
from math import inf, isfinite, log10

from fathometer.depth_profile import DepthProfile

FEW_FOR_BATCH_NORM = 8
LEARNS = 0.9  # share of the best constant answer's loss that is left after a few steps on a bred batch


@dataclass(frozen=True)
class Evidence:
    """The measured profile with, where theory reaches, the forecast.

    `broken_at` names the module where a number first was not finite, `broken_by` what made it; causes that are `ignored`
    count for nothing.
    """

    profile: DepthProfile
    forecast: DepthProfile | None = None
    broken_at: str | None = None
    broken_by: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """Return the number of depth points."""
        return len(self.profile)

    def fact(self, name: str) -> float | None:
        """Return a number of the whole network, or None."""
        value = self.profile.facts.get(name)
        return float(value) if isinstance(value, int | float) else None

    def decades(self, column: str) -> float | None:
        """Return log10 of first over last along depth; infinite where one of them is 0, None if not known."""
        ends = self.ends(column)
        return None if ends is None else log10_ratio(*ends)

    def ends(self, column: str) -> tuple[float, float] | None:
        """Return the first and the last known number of a column, if there are two."""
        known = self.profile.known(column)
        return (known[0][1], known[-1][1]) if len(known) > 1 else None

    @property
    def relative_gradient_decades(self) -> float | None:
        """Return log10 of first over last of (gradient × signal): how the pull on the relative size of the activations changes.

        A stream that doubles while the gradient halves is no trouble: the weights' relative pull is the same.
        """
        gradient, signal = self.decades("gradient"), self.decades("signal")
        if gradient is None:
            return None
        return gradient + signal if signal is not None and abs(signal) < inf and abs(gradient) < inf else gradient

    @property
    def kind(self) -> str:
        """Return what the depth points are: "steps" through time, "layers" where no blocks repeat, else "blocks"."""
        found = str(self.profile.facts.get("depth_points"))
        return found if found in ("layers", "steps") else "blocks"

    @property
    def is_through_time(self) -> bool:
        """Return whether depth is time: one module that runs again and again."""
        return bool(self.fact("through_time"))

    @property
    def is_post_norm(self) -> bool:
        """Return whether there is a stream, and it leaves the middle block normalised."""
        return has_stream(self.profile) and (self.middle("normalised") or 0.0) > 0.9

    @property
    def has_batch_norm(self) -> bool:
        """Return whether half of the blocks or more normalise over the batch."""
        return (self.middle("batch_norm") or 0.0) > 0

    @property
    def batch_norm_is_blind(self) -> bool:
        """Return whether a BatchNorm saw so few samples that its gradients say nothing of a usual batch."""
        return self.has_batch_norm and (self.fact("batch_size") or 0) < FEW_FOR_BATCH_NORM

    @property
    def learns(self) -> bool:
        """Return whether a few steps on a copy brought the loss well under that of the best constant answer."""
        left = self.fact("ahead_left")
        return left is not None and left < LEARNS

    def middle(self, column: str) -> float | None:
        """Return the median of the known numbers of a column."""
        known = sorted(value for _, value in self.profile.known(column))
        return known[len(known) // 2] if known else None

    def worst(self, column: str, least: bool = False) -> tuple[str, float] | None:
        """Return the block with the largest number of a column (or the least), and that number."""
        known = self.profile.known(column)
        if not known:
            return None
        index, value = (min if least else max)(known, key=lambda item: item[1])
        return self.profile.points[index], value

    def last(self, column: str) -> float | None:
        """Return the last known number of a column."""
        known = self.profile.known(column)
        return known[-1][1] if known else None

    @property
    def spread_decades(self) -> float | None:
        """Return log10 of the spread of the samples after the last block over that at the input (or after the first block)."""
        last, correlation = self.last("spread"), self.fact("input_correlation")
        ends = self.ends("spread")
        first = 1 - correlation if correlation is not None and correlation < 1 else (ends[0] if ends else None)
        return None if last is None or not first else log10_ratio(last, first)

    @property
    def spread_lost(self) -> bool:
        """Return whether the samples differ, after the last block, by no more than rounding in the network's own numbers."""
        last, floor = self.last("spread"), self.fact("spread_floor")
        return last is not None and floor is not None and last <= 1.01 * floor

    @property
    def token_decades(self) -> float | None:
        """Return the decades of spread that the tokens of a sample have lost since they entered the first block."""
        last, first = self.last("token_spread"), self.fact("entering_token_spread")
        ends = self.ends("token_spread")
        first = ends[0] if first is None and ends else first
        if last is None or not first or not self.profile.known("attention_entropy"):
            return None
        return log10_ratio(first, last)

    @property
    def excess_decades(self) -> float | None:
        """Return log10 of the first loss over that of the best constant answer, where that is known."""
        for loss, least in (("cross_entropy", "chance_cross_entropy"), ("squared_error", "least_squared_error")):
            first, best = self.fact(loss), self.fact(least)
            if first is not None and isfinite(first) and best:
                return log10_ratio(first, best)
        return None

    @property
    def rank_decades(self) -> float | None:
        """Return log10 of the effective number of directions after the first block over that after the last, or None."""
        column = self.profile.column("rank")
        return self.decades("rank") if column and column[-1] is not None else None

    @property
    def plain_depth(self) -> float:
        """Return the number of blocks that keep nothing of their input: the sum of 1 - shared², the part that is new.

        A block whose shapes differ counts as the average of the others; where none is known every block counts in full.
        """
        new = [1 - min(max(value, 0.0), 1.0) ** 2 for _, value in self.profile.known("shared")]
        return self.depth * sum(new) / len(new) if new else float(self.depth)


def without_readout(profile: DepthProfile) -> DepthProfile:
    """Return what is judged of a profile: where each layer is a point, the last one is the readout, as wide as the answer.

    Two outputs differ in at most two directions, and one output in one: that is no collapse.
    """
    if profile.facts.get("depth_points") != "layers" or len(profile) < 2:
        return profile
    values = {name: series[:-1] for name, series in profile.values.items()}
    return replace(profile, points=profile.points[:-1], values=values, low={}, high={})


def has_stream(profile: DepthProfile) -> bool:
    """Return whether the blocks pass their input on: the middle one of them shares more than 0.3 with it.

    Branches that drown their stream leave little of it to be seen: there a way past all weights, in most blocks, will do.
    """
    shared, passes = (sorted(value for _, value in profile.known(name)) for name in ("shared", "passes"))
    return bool(shared) and (shared[len(shared) // 2] > 0.3 or (bool(passes) and passes[len(passes) // 2] == 1))


def log10_ratio(first: float, last: float) -> float:
    """Return log10(first/last) of two numbers that are at least 0, without under- or overflow on the way."""
    if first <= 0 or last <= 0:
        return 0.0 if first == last else (-inf if first <= 0 else inf)
    return log10(first) - log10(last)
