"""How sharp attention is, from some of its rows, without its matrices."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from fathometer.instruments.geometry import stride
from fathometer.instruments.taps import Hearer

MAX_ROWS = 512  # rows of scores that are looked at in one call of attention, over all heads …
MIN_ROWS_PER_HEAD = 16  # … but at least so many of each head, of …
MAX_SAMPLES = 2  # … so many samples
HIDDEN = -1e8  # no score is as low: a key that has this added to its score is masked, as one with -inf
CLIFF = 30.0  # below the largest score by this much a key has no weight (e⁻³⁰); it may be masked by a finite number …
CLIFF_RATIO = 4.0  # … and is, if the gap to the rest is this many times what either side of it spans

Scores = Float[Tensor, "sample head row key"]


@dataclass(frozen=True)
class Sharpness:
    """How far some rows of one call of attention are from looking at all keys alike.

    `entropy` is that of a row over the log of the number of its visible keys (1 = all alike, 0 = one key), averaged over
    the rows of a head, in the head where it is least. `logits` is the root mean square of the scores around their mean in
    the row, over visible keys, in the head where it is largest. Rows with fewer than two visible keys do not count.
    """

    entropy: float
    logits: float


def sharpness(scores: Scores) -> Sharpness | None:
    """Return how sharp attention with these scores is; None if no row has two visible keys.

    A score of -inf, or lower than any real one, is a masked key. So is one at the foot of a cliff: masks of -10,000 are known
    by the gap they leave (those of -100 while scores span less than 20), which scores that have grown themselves do not show
    in rows of more than a few keys.
    """
    visible = (scores > HIDDEN).to(scores.dtype)  # as numbers: torch multiplies them five times faster than booleans
    centred, num_keys = _centred(scores, visible)
    highest = centred.amax(-1)
    doubtful = centred.amin(-1) < highest - CLIFF
    if bool(doubtful.any()):
        visible[doubtful] *= scores[doubtful] >= _edge(scores[doubtful], visible[doubtful] > 0)
        centred, num_keys = _centred(scores, visible)
        highest = centred.amax(-1)
    weights = (centred - highest.unsqueeze(-1)).exp_() * visible
    size = weights.sum(-1)
    # -Σ p log p = log Σe^s - Σ p s, here with s less the row's mean
    entropy = (size.log() + highest - (weights * centred).sum(-1) / size) / num_keys.clamp(min=2).log()
    table = torch.stack([torch.ones_like(entropy), entropy, num_keys, centred.square().sum(-1)])
    rows, entropies, keys, energy = table.where(num_keys > 1, 0).sum((1, 3), dtype=torch.float64)
    heads = rows > 0
    if not bool(heads.any()) or not bool(torch.isfinite(energy).all()):
        return None
    return Sharpness(float((entropies / rows)[heads].min().clamp(0, 1)), float((energy / keys)[heads].max().sqrt()))


def _centred(scores: Scores, visible: Scores) -> tuple[Scores, Float[Tensor, "sample head row"]]:
    """Return the scores less their mean over the visible keys of a row, 0 where hidden, and the number of those."""
    num_keys, shown = visible.sum(-1), scores.clamp(min=HIDDEN) * visible
    mean = shown.sum(-1) / num_keys.clamp(min=1)
    return (shown - mean.unsqueeze(-1)) * visible, num_keys


def _edge(rows: Float[Tensor, "row key"], visible: Bool[Tensor, "row key"]) -> Float[Tensor, "row 1"]:
    """Return, for each row, the least score above its widest gap, if that is a cliff; else -inf."""
    ordered = rows.where(visible, torch.inf).sort(-1).values
    gaps = (ordered[:, 1:] - ordered[:, :-1]).nan_to_num(0, 0, 0)  # between two that are hidden, and above the largest
    gap, below = gaps.max(-1)
    at = below.unsqueeze(-1)
    above, foot = ordered.gather(-1, at + 1).squeeze(-1), ordered.gather(-1, at).squeeze(-1)
    highest = ordered.where(ordered < torch.inf, -torch.inf).amax(-1)
    span = torch.maximum(highest - above, foot - ordered[:, 0])
    is_cliff = (gap > CLIFF) & (gap > CLIFF_RATIO * span)
    return above.where(is_cliff, -torch.inf).unsqueeze(-1)


def attention_hearers(on_attention: Callable[[Sharpness], None], num_samples: int | None = None) -> dict[Any, Hearer]:
    """Return what an `Ear` needs to measure every attention: see `score_hearers`."""

    def measure(scores: Scores) -> None:
        measured = sharpness(scores)
        if measured is not None:
            on_attention(measured)

    return score_hearers(measure, num_samples)


def score_hearers(
    on_scores: Callable[[Scores], None], num_samples: int | None = None, most_rows: int = MAX_ROWS
) -> dict[Any, Hearer]:
    """Return what an `Ear` needs to be given scores of every attention: fused, of nn.MultiheadAttention, or before a softmax.

    A softmax is that of an attention if it runs over the last axis of the product of two activations, which autograd's
    graph remembers, whatever scaled, masked or capped them on the way: the scores of a classifier or of a router are the
    product of an activation and a weight. Where there is no graph (nothing before it is trained), four axes are taken for
    (batch, head, query, key), and three for something else. With `num_samples` the heads are found also in scores
    (batch × head, query, key).
    """
    heads_ahead: list[int] = []  # of the nn.MultiheadAttention that is running

    def tell(scores: Scores | None) -> None:
        heads_ahead.clear()
        if scores is not None:
            on_scores(scores)

    def hear_many_heads(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        heads_ahead[:] = [args[4] if len(args) > 4 else kwargs["num_heads"]]

    def hear_fused(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        tell(_some_scores(most_rows, **(dict(zip(names, args, strict=False)) | kwargs)))

    def hear_softmax(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        scores = args[0] if args else kwargs.get("input")
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        if not isinstance(scores, Tensor) or scores.ndim < 3 or dim not in (-1, scores.ndim - 1):
            return
        if heads_ahead or _are_scores(scores):
            flat = scores.shape[0] // num_samples if num_samples and scores.shape[0] % num_samples == 0 else 1
            tell(_some_of(scores.detach(), heads_ahead[0] if heads_ahead else max(flat, 1), most_rows))

    softmaxes = dict.fromkeys((F.softmax, torch.softmax, torch.special.softmax, Tensor.softmax), hear_softmax)
    return {F.scaled_dot_product_attention: hear_fused, F.multi_head_attention_forward: hear_many_heads, **softmaxes}


def _some_scores(
    most_rows: int,
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    **rest: Any,
) -> Scores | None:
    """Return the scores of some rows, which alone are made; arguments are those of torch's function."""
    queries, keys = _by_sample(query.detach()), _by_sample(key.detach())
    if not queries.numel() or not keys.numel():
        return None
    samples, step = _choice(queries, most_rows)
    some, theirs = _wide(queries[samples, :, ::step]), _wide(keys[samples if len(keys) > 1 else slice(None)])
    theirs = theirs.repeat_interleave(some.shape[1] // theirs.shape[1], 1)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    with torch.autocast(query.device.type, enabled=False), torch.no_grad():
        scores = (some * scale) @ theirs.mT
    if attn_mask is not None:
        batch = torch.broadcast_shapes(query.shape[:-2], attn_mask.shape[:-2])
        mask = _by_sample(attn_mask.detach().expand(*batch, query.shape[-2], key.shape[-2]))[samples, :, ::step]
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    if is_causal:
        queries_at, keys_at = (torch.arange(size.shape[-2], device=query.device) for size in (query, key))
        scores = scores.masked_fill(queries_at[::step, None] < keys_at, -torch.inf)
    return scores


def _some_of(scores: Tensor, heads: int, most_rows: int) -> Scores | None:
    """Return some rows of some samples of scores `(batch, head, query, key)` or `(batch × head, query, key)`."""
    if not scores.numel():
        return None
    scores = _by_sample(scores.unflatten(0, (-1, heads)) if scores.ndim == 3 else scores)
    samples, step = _choice(scores, most_rows)
    return _wide(scores[samples, :, ::step])


def _by_sample(tensor: Tensor) -> Shaped[Tensor, "sample head row column"]:
    """Return a tensor with one axis of heads, behind all others: three axes are samples of one head, two one sample."""
    return tensor.flatten(0, -4) if tensor.ndim > 3 else tensor.reshape(-1, 1, *tensor.shape[-2:])


def _choice(tensor: Float[Tensor, "sample head row column"], most_rows: int) -> tuple[slice, int]:
    """Return which samples to look at, and the step from row to row."""
    num_samples, num_heads, num_rows, _ = tensor.shape
    samples = slice(None, None, stride(num_samples, MAX_SAMPLES))
    most = max(most_rows // num_heads, MIN_ROWS_PER_HEAD) // min(num_samples, MAX_SAMPLES)
    return samples, stride(num_rows, max(most, 1))


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


_PASSED = (
    "Add", "Sub", "Mul", "Div", "Neg", "Tanh", "Where", "MaskedFill", "MaskedScatter", "Clamp", "Minimum", "Maximum", "ToCopy",
    "Clone", "Alias", "View", "UnsafeView", "ReshapeAlias", "Permute", "Transpose", "T", "Expand", "Unsqueeze", "Squeeze",
    "Slice", "Select", "Index", "Cat", "ConstantPadNd", "Copy", "CopySlices", "AsStrided", "Detach",
)  # fmt: skip
_VIEWS = ("View", "UnsafeView", "ReshapeAlias", "Permute", "Transpose", "T", "Expand", "Unsqueeze", "Squeeze", "ToCopy", "Clone")
_MOST_STEPS = 100  # back through the graph; a few dozen are usual


def _are_scores(scores: Tensor) -> bool:
    """Return whether a tensor is made from the product of two activations, by what autograd remembers of it."""
    if scores.grad_fn is None:
        return scores.ndim > 3
    ways: list[Any] = [scores.grad_fn]
    for node in ways:  # grows on the way: a breadth-first walk
        if _kind(node) in ("Bmm", "Baddbmm") and not any(_is_weight(way) for way, _ in node.next_functions[-2:]):
            return True
        if _kind(node) in _PASSED and len(ways) < _MOST_STEPS:
            ways += [way for way, _ in node.next_functions if way is not None]
    return False


def _is_weight(node: Any) -> bool:
    """Return whether what autograd has here is a parameter, turned or stretched."""
    while node is not None and _kind(node) in _VIEWS:
        node = node.next_functions[0][0]
    return node is not None and _kind(node) == "torch::autograd::AccumulateGrad"


def _kind(node: Any) -> str:
    return node.name().partition("Backward")[0]
