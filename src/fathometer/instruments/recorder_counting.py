"""From the samples of one step to its numbers, on the device."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from fathometer.depth_profile import Series
from fathometer.instruments.activity import FLAT_BEYOND
from fathometer.instruments.attention import HIDDEN
from fathometer.instruments.recorder_listener import RecorderListener, Slot
from fathometer.instruments.recorder_price import Price
from fathometer.instruments.recorder_ranks import Ranks
from fathometer.instruments.recorder_sample import row_samples
from fathometer.instruments.recorder_statistics import Tray, directions, flat_share, moments, silent_share

LARGEST_HALF = 65504.0
MASKED = 5e3  # a score that is lower than the largest of its row by this much is masked: no score that trains is
Columns = dict[str, Series]
Taken = Mapping[int, list[Tensor]]  # samples by place along depth, one for each pass
Counted = Callable[[Tensor], Mapping[str, Tensor]]
Groups = list[tuple[tuple[int, ...], Tensor]]  # places along depth, and their samples, stacked


def count(heard: RecorderListener, slots: Sequence[Slot], price: Price, ranks: Ranks) -> Tray:
    """Return a tray with everything that a step's samples say, under (what, places, kind)."""
    tray = Tray()
    groups = []
    for taken, whole in ((heard.signals, heard.whole_signals), (heard.gradients, heard.whole_gradients)):
        here = {place: taken[slot] for place, slot in enumerate(slots) if slot in taken} if taken else {}
        groups.append(_of_one_shape(here) + _sampled(whole, price, heard.batch_size))
    _put_rows(tray, groups[0], groups[1], ranks, price.rank)
    for name in dict.fromkeys(name for _, name in heard.activations):
        here = {place: parts for (place, given), parts in heard.activations.items() if given == name}
        _put(tray, "dead" if name == "relu" else "saturated", _of_one_shape(here), _of_activations(ranks, name))
    _put(tray, "attention", _of_one_shape(heard.scores), lambda scores: _of_scores(scores, ranks))
    peaks = {place: heard.peaks[slot] for place, slot in enumerate(slots) if slot in heard.peaks}
    if peaks:
        tray.put(("headroom", tuple(peaks), "share"), torch.stack(list(peaks.values())) / LARGEST_HALF)
    return tray


def columns_of(numbers: Mapping[tuple[str, tuple[int, ...], str], list[float]], size: int) -> tuple[Columns, Columns]:
    """Return the columns and the relative errors that such numbers hold; the gradient is over that of the last point."""
    unknown: Series = (None,) * size
    found: dict[tuple[str, str], list[float | None]] = {}
    for (what, places, kind), values in numbers.items():
        series = found.setdefault((what, kind), list(unknown))
        for place, value in zip(places, values, strict=True):
            series[place] = value

    def column(what: str, kind: str) -> list[float | None]:
        return found.get((what, kind), list(unknown))

    gradient, spread = column("gradient", "mean"), _known(column("signal", "spread"))
    last = next((value for value in reversed(gradient) if value), None)
    columns = {
        "signal": tuple(column("signal", "mean")),
        "gradient": tuple(None if value is None or last is None else value / last for value in gradient),
        "spread": spread,
        "correlation": tuple(None if value is None else 1 - value for value in spread),
        "rank": _known(column("signal", "rank")),
        "dead": tuple(column("dead", "share")),
        "saturated": tuple(column("saturated", "share")),
        "attention_entropy": _known(column("attention", "entropy")),
        "attention_logits": _known(column("attention", "logits")),
        "headroom": tuple(column("headroom", "share")),
    }
    return columns, {what: tuple(column(what, "error")) for what in ("signal", "gradient")}


def sharpness_by_head(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for scores (…, sample, head, row, key), entropy over its largest and mean square around the mean, by head.

    As `attention.sharpness`, without asking the device anything: what is lower than the largest score of its row by more than
    `MASKED` counts as masked. NaN for a head of which no row has two visible keys.
    """
    visible = scores > (scores.amax(-1, keepdim=True) - MASKED).clamp(min=HIDDEN)
    num_keys = visible.sum(-1).to(scores.dtype)
    shown = scores.masked_fill(~visible, 0.0)
    centred = (shown - (shown.sum(-1) / num_keys.clamp(min=1)).unsqueeze(-1)).masked_fill_(~visible, 0.0)
    weights = centred.masked_fill(~visible, -torch.inf)
    size = torch.logsumexp(weights, -1)
    mean = ((weights - size.unsqueeze(-1)).exp_() * centred).sum(-1)  # -Σ p log p = log Σe^s - Σ p s
    entropy = (size - mean) / num_keys.clamp(min=2).log()
    counted = (num_keys > 1).to(scores.dtype)
    rows, keys = counted.sum((-3, -1)), (num_keys * counted).sum((-3, -1))
    energy = (centred.square().sum(-1) * counted).sum((-3, -1))
    return entropy.masked_fill(counted == 0, 0.0).sum((-3, -1)) / rows, energy / keys


def _put(tray: Tray, what: str, groups: Groups, counted: Counted) -> None:
    """Count the samples of all places, those of one shape together."""
    for places, samples in groups:
        for kind, vector in counted(samples.float()).items():
            tray.put((what, places, kind), vector)


def _of_one_shape(taken: Taken) -> Groups:
    """Return samples stacked with those of the same shape; of several passes they lie one after the other."""
    groups: dict[tuple[int, ...], dict[int, Tensor]] = {}
    for place, parts in taken.items():
        units = min(part.shape[-1] for part in parts)
        whole = parts[0] if len(parts) == 1 else torch.cat([part[..., :units] for part in parts])
        groups.setdefault(tuple(whole.shape), {})[place] = whole
    return [(tuple(members), torch.stack(list(members.values()))) for members in groups.values()]


def _sampled(taken: Taken, price: Price, batch_size: int) -> Groups:
    """Return the same for small tensors that were kept whole."""
    alike: dict[tuple[torch.Size, ...], list[int]] = {}
    for place, parts in sorted(taken.items()):
        alike.setdefault((parts[0].shape,) if len(parts) == 1 else tuple([part.shape for part in parts]), []).append(place)
    found = []
    for shapes, places in alike.items():
        passes = [[taken[place][at] for place in places] for at in range(len(shapes))]
        each = [row_samples(tensors, price.rows, price.numbers, batch_size) for tensors in passes]
        units = min(samples.shape[-1] for samples in each)
        found.append((tuple(places), each[0] if len(each) == 1 else torch.cat([one[..., :units] for one in each], dim=1)))
    return found


def _put_rows(tray: Tray, signals: Groups, gradients: Groups, ranks: Ranks, asks_rank: bool) -> None:
    """Count signals and gradients, those of one shape in one go."""
    left = list(gradients)
    for places, samples in signals:
        twin = next((one for one in left if one[1].shape[1:] == samples.shape[1:]), None)
        left = [one for one in left if one is not twin]
        parts = [("signal", places, samples), *([("gradient", *twin)] if twin else [])]
        rows = _put_moments(tray, parts, ranks)
        for kind, vector in (directions(rows[: len(places)]) if asks_rank else {}).items():
            tray.put(("signal", places, kind), vector)
    for places, samples in left:
        _put_moments(tray, [("gradient", places, samples)], ranks)


def _put_moments(tray: Tray, parts: Sequence[tuple[str, tuple[int, ...], Tensor]], ranks: Ranks) -> Tensor:
    """Put the moments of some samples on the tray, and return the samples of all processes, stacked."""
    rows = ranks.all_rows(parts[0][2].float() if len(parts) == 1 else torch.cat([one.float() for *_, one in parts]))
    sizes = [len(places) for _, places, _ in parts]
    for kind, vector in moments(rows).items():
        for (what, places, _), own in zip(parts, vector.split(sizes), strict=True):
            tray.put((what, places, kind), own)
    return rows


def _of_activations(ranks: Ranks, name: str) -> Counted:
    def counted(samples: Tensor) -> Mapping[str, Tensor]:
        rows = ranks.all_rows(samples)
        return {"share": silent_share(rows) if name == "relu" else flat_share(rows, FLAT_BEYOND[name])}

    return counted


def _of_scores(scores: Tensor, ranks: Ranks) -> Mapping[str, Tensor]:
    entropy, energy = sharpness_by_head(scores)
    entropy, energy = ranks.mean(entropy), ranks.mean(energy)
    unknown = entropy.isnan().all(-1)
    least, most = entropy.nan_to_num(2.0).amin(-1), energy.nan_to_num(0.0).amax(-1)
    return {
        "entropy": least.clamp(0, 1).masked_fill(unknown, torch.nan),
        "logits": most.sqrt().masked_fill(unknown, torch.nan),
    }


def _known(series: Sequence[float | None]) -> Series:
    return tuple(None if value is None or value != value else value for value in series)
