"""Numbers by depth, forecast or measured: one type serves both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log
from typing import Any, Literal

from fathometer.errors import RecordError, unknown_name

Series = tuple[float | None, ...]
Source = Literal["measured", "forecast"]

COLUMNS: dict[str, str] = {
    "signal": "second moment of the activations that leave the block, averaged over batch and units",
    "correlation": "mean cosine between the activations of two different samples",
    "spread": "1 minus the correlation, exact also where it is tiny",
    "rank": "effective number of directions in which the samples differ (participation ratio, 1 to min(batch - 1, width))",
    "gradient": "second moment of the gradient at the activations that leave the block, over that of the last block",
    "gradient_correlation": "mean cosine between the gradients of two different samples at the block's output",
    "weight": "root mean square of the block's weights",
    "weight_gradient": "root mean square of the gradient of the block's weights, over the largest along depth",
    "update": "root mean square of one optimizer step over that of the weights it moves",
    "dead": "share of the units behind a ReLU-like activation that are 0 for every sample",
    "saturated": "share of the inputs of a saturating activation where its slope is below 1% of the largest",
    "shared": "mean correlation over units between what leaves the block and what enters it",
    "passes": "1 where a way past all weights leads from what enters the block to what leaves it, else 0",
    "branch_ratio": "root mean square of what a residual block adds over that of what it receives",
    "token_spread": "1 minus the mean cosine between two different tokens of one sample, exact also where it is tiny",
    "attention_entropy": "entropy of the weights of attention over the log of the visible keys, in the head where it is least",
    "attention_logits": "root mean square of the scores of attention around their mean, in the head where it is largest",
    "normalised": "how far the length of each token or sample is held constant where the block ends, as by a norm (0 to 1)",
    "batch_norm": "normalisations over the batch in a block for each of its layers with weights, at most 1",
}


@dataclass(frozen=True)
class DepthProfile:
    """Columns of numbers, one for each depth point in the order of execution; None is "not known here".

    `points` are the names of the blocks. `low` and `high` hold, for a forecast, the band in which one network
    of finite width falls with about 95% probability. `facts` are numbers of the whole network (loss, batch size, …).

    >>> profile = DepthProfile("measured", ("block 1", "block 2"), {"signal": (1.0, None)})
    >>> len(profile), profile.known("signal"), profile.column("rank")
    (2, [(0, 1.0)], (None, None))
    """

    source: Source
    points: tuple[str, ...]
    values: Mapping[str, Series]
    low: Mapping[str, Series] = field(default_factory=dict)
    high: Mapping[str, Series] = field(default_factory=dict)
    facts: Mapping[str, float | int | str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for table in (self.values, self.low, self.high):
            for name, series in table.items():
                if name not in COLUMNS:
                    raise unknown_name("column", name, COLUMNS)
                assert len(series) == len(self.points), f"{name}: {len(series)} numbers for {len(self.points)} points"

    def __len__(self) -> int:
        return len(self.points)

    def column(self, name: str) -> Series:
        """Return one column, all None where it was not measured."""
        if name not in COLUMNS:
            raise unknown_name("column", name, COLUMNS)
        return self.values.get(name, (None,) * len(self.points))

    def known(self, name: str) -> list[tuple[int, float]]:
        """Return (index, number) for the points of a column where the number is known and finite."""
        return [
            (index, value) for index, value in enumerate(self.column(name)) if value is not None and abs(value) < float("inf")
        ]

    def gain_per_block(self, name: str) -> float | None:
        """Return the geometric mean of the growth of a positive column from block to block, first to last.

        >>> DepthProfile("forecast", ("1", "2", "3"), {"signal": (1.0, 0.5, 0.25)}).gain_per_block("signal")
        0.5
        """
        known = [(index, value) for index, value in self.known(name) if value > 0]
        if len(known) < 2:
            return None
        (first, start), (last, end) = known[0], known[-1]
        return exp((log(end) - log(start)) / (last - first))  # the difference of logs: a ratio may underflow

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with one row for each depth point (needs the `frames` extra)."""
        try:
            import pandas
        except ImportError:
            raise RecordError("pandas is not installed", "A table needs it", "Run: pip install 'fathometer[frames]'") from None
        columns = {name: list(series) for name, series in self.values.items()}
        return pandas.DataFrame({"depth": range(1, len(self) + 1), "point": self.points, **columns})

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, as `from_dict` reads them."""
        tables = {name: {key: list(series) for key, series in getattr(self, name).items()} for name in ("values", "low", "high")}
        return {"source": self.source, "points": list(self.points), **tables, "facts": dict(self.facts)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "DepthProfile":
        """Return the profile that `to_dict` wrote."""
        columns = {name: {key: tuple(series) for key, series in table[name].items()} for name in ("values", "low", "high")}
        return cls(table["source"], tuple(table["points"]), **columns, facts=dict(table["facts"]))
