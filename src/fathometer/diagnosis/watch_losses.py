"""The loss against its own past: spikes, and a climb that lasts."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from statistics import median

# OLMo 2 (2024): the share of points at least seven standard deviations from the mean of the last thousand.
SPIKE_DEVIATIONS, SPIKE_WINDOW = 7.0, 1000
SHORT_WINDOW, FEWEST = 48, 12  # steps that a sudden jump is held against, and how many of them there must be
JUMP_DEVIATIONS, JUMP = 6.0, 1.3  # a jump is this many deviations off, and this many times the middle of the last losses
MOST_IN_A_ROW = 6  # jumps; after so many this is how the run is
NOTABLE, NOTABLE_JUMP = 0.05, 0.1  # of the first losses: a climb or a jump of less is noise of a task that is learnt
NOISE = 0.02  # log units: less noise than this is taken as this much
CLIMB, CLIMB_STEPS, CLIMB_DEVIATIONS = 1.25, 16, 4.0  # the mean of so many steps over the least such mean so far


def spike_score(losses: Sequence[float], window: int = SPIKE_WINDOW, deviations: float = SPIKE_DEVIATIONS) -> float:
    """Return OLMo's spike score: the share of losses at least `deviations` standard deviations from the mean before them.

    Mean and standard deviation are those of the last `window` losses before each, of which there must be two.

    >>> spike_score([1.0, 1.1] * 20 + [9.0] + [1.0, 1.1] * 19)
    0.012658227848101266
    """
    counter = SpikeCounter(window, deviations)
    for loss in losses:
        counter.add(loss)
    return counter.score


class SpikeCounter:
    """OLMo's spike score of losses that come one by one, in the same time for each."""

    def __init__(self, window: int = SPIKE_WINDOW, deviations: float = SPIKE_DEVIATIONS) -> None:
        self.window, self.deviations = window, deviations
        self.count, self.spikes = 0, 0
        self._last = deque[float]()
        self._shift, self._sum, self._squares = 0.0, 0.0, 0.0  # of the last losses, each less the shift

    @property
    def score(self) -> float:
        """Return the share of spikes."""
        return self.spikes / self.count if self.count else 0.0

    def add(self, loss: float) -> bool:
        """Add a loss; return whether it is a spike. One that is not finite is, and is not remembered."""
        is_spike = not isfinite(loss) or self._deviates(loss)
        self.count += 1
        self.spikes += is_spike
        if isfinite(loss):
            self._remember(loss)
        return is_spike

    def _deviates(self, loss: float) -> bool:
        size = len(self._last)
        if size < 2:
            return False
        mean = self._sum / size
        variance = self._squares / size - mean * mean
        return variance > 0 and abs(loss - self._shift - mean) >= self.deviations * sqrt(variance)

    def _remember(self, loss: float) -> None:
        self._last.append(loss)
        if len(self._last) > self.window:
            gone = self._last.popleft() - self._shift
            self._sum, self._squares = self._sum - gone, self._squares - gone * gone
        come = loss - self._shift
        self._sum, self._squares = self._sum + come, self._squares + come * come
        if self.count % self.window == 1:  # so that rounding does not pile up
            self._shift = self._last[-1]
            self._sum = sum(one - self._shift for one in self._last)
            self._squares = sum((one - self._shift) ** 2 for one in self._last)


@dataclass(frozen=True)
class Jump:
    """A loss far out of the last ones: the loss, their middle, and how many of their deviations it is off."""

    loss: float
    usual: float
    deviations: float


class LossHistory:
    """The losses of a run as they come: the spike score, sudden jumps, and a climb that does not come back.

    Jumps and climbs are judged in logs, so that they do not depend on the scale of the loss; a loss that is not positive has
    none. What has jumped is not remembered as usual unless it stays.
    """

    def __init__(self) -> None:
        self.spikes = SpikeCounter()
        self.last: float | None = None
        self._usual = deque[float](maxlen=SHORT_WINDOW)  # logs
        self._recent = deque[float](maxlen=CLIMB_STEPS)
        self._least: tuple[float, float] | None = None  # mean and deviation of the logs of the best steps so far
        self._jumps_in_a_row = 0
        self._firsts = list[float]()

    def add(self, loss: float) -> Jump | None:
        """Add a loss; return the jump if it is one."""
        self.spikes.add(loss)
        self.last = loss
        if not isfinite(loss) or loss <= 0:
            return None
        if len(self._firsts) < FEWEST:
            self._firsts.append(loss)
        value, jump = log(loss), None
        if len(self._usual) >= FEWEST:
            jump = self._jump(value)
        self._jumps_in_a_row = self._jumps_in_a_row + 1 if jump else 0
        if jump is None or self._jumps_in_a_row > MOST_IN_A_ROW:
            self._usual.append(value)
            self._recent.append(value)
            self._note_least()
        return jump

    def _jump(self, value: float) -> Jump | None:
        if value <= max(self._usual) or value - self._usual[-1] < log(JUMP) / 2:
            return None
        middle = median(self._usual)
        deviation = max(1.4826 * median(abs(one - middle) for one in self._usual), NOISE)  # as a Gaussian's, by its quartiles
        off = (value - middle) / deviation
        is_notable = exp(value) - exp(middle) > NOTABLE_JUMP * max(self._firsts)
        is_jump = off >= JUMP_DEVIATIONS and value - middle > log(JUMP) and is_notable
        return Jump(exp(value), exp(middle), off) if is_jump else None

    def _note_least(self) -> None:
        if len(self._recent) == CLIMB_STEPS:
            mean = sum(self._recent) / CLIMB_STEPS
            if self._least is None or mean < self._least[0]:
                spread = sqrt(sum((one - mean) ** 2 for one in self._recent) / CLIMB_STEPS)
                self._least = (mean, max(spread, NOISE))

    @property
    def climb(self) -> float | None:
        """Return how many times the best stretch of steps the last stretch is, if that is a climb; None if it is none."""
        if self._least is None or len(self._recent) < CLIMB_STEPS:
            return None
        rise = sum(self._recent) / CLIMB_STEPS - self._least[0]
        is_climb = rise > log(CLIMB) and rise > CLIMB_DEVIATIONS * self._least[1] / sqrt(CLIMB_STEPS)
        is_notable = exp(self._least[0]) * (exp(rise) - 1) > NOTABLE * max(self._firsts)
        return exp(rise) if is_climb and is_notable else None
