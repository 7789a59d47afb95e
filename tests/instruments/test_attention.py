"""Attention is heard however it is called, and its numbers are those of the whole matrices."""

from collections.abc import Callable
from dataclasses import astuple
from math import inf, log

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import Ear
from fathometer.instruments.attention import MAX_ROWS, Sharpness, attention_hearers, sharpness

BATCH, HEADS, TIME, WIDTH = 2, 4, 12, 32


Numbers = tuple[float, float]  # entropy, logits


def heard(run: Callable[[], object], num_samples: int | None = None) -> list[Numbers]:
    """Return what is heard while something runs."""
    told: list[Sharpness] = []
    with Ear(attention_hearers(told.append, num_samples)):
        run()
    return [astuple(one) for one in told]


def measured(scores: Tensor) -> Numbers:
    """Return the numbers of these scores, which must have some."""
    found = sharpness(scores)
    assert found is not None
    return astuple(found)


def twin(scores: Tensor, visible: Tensor) -> Numbers:
    """Return the same numbers of whole matrices (batch, head, query, key), row by row in a plain loop."""
    entropies, sizes = [], []
    for head in range(scores.shape[1]):
        of_rows, deviations = [], []
        for sample in range(scores.shape[0]):
            for row, shown in zip(scores[sample, head], visible[sample, head], strict=True):
                seen = row[shown].double()
                if len(seen) > 1:
                    weights = seen.exp() / seen.exp().sum()
                    of_rows.append(float(-(weights * weights.log()).sum()) / log(len(seen)))
                    deviations += (seen - seen.mean()).tolist()
        entropies.append(sum(of_rows) / len(of_rows))
        sizes.append((sum(value**2 for value in deviations) / len(deviations)) ** 0.5)
    return min(entropies), max(sizes)


def close(expected: Numbers, tolerance: float = 1e-9) -> Numbers:
    """Return what equals them up to a tolerance; by default float64's, some hundred sums long."""
    return pytest.approx(expected, rel=tolerance)


class Attention(nn.Module):
    """One attention, called in any of several ways with the same weights."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.many = way, nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        with torch.no_grad():
            self.many.in_proj_weight.mul_(3)  # so that heads differ

    def parts(self, x: Tensor) -> tuple[Tensor, ...]:
        split = F.linear(x, self.many.in_proj_weight, self.many.in_proj_bias).chunk(3, -1)
        return tuple(part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in split)

    def scores(self, x: Tensor) -> Tensor:
        query, key, _ = self.parts(x)
        return query @ key.mT / (WIDTH // HEADS) ** 0.5

    def forward(self, x: Tensor, mask: Tensor | None, is_causal: bool) -> Tensor:
        query, key, value = self.parts(x)
        if self.way == "fused":
            return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=is_causal, dropout_p=0.1)
        mask = torch.ones(TIME, TIME, dtype=torch.bool).tril() if is_causal else mask
        if self.way.startswith("module"):
            hidden = None if mask is None else (~mask if mask.dtype == torch.bool else mask)
            if hidden is not None and hidden.ndim == 4:
                hidden = hidden.expand(BATCH, HEADS, TIME, TIME).flatten(0, 1)
            need, average = "weights" in self.way, "averaged" in self.way
            return self.many(x, x, x, attn_mask=hidden, need_weights=need, average_attn_weights=average)[0]
        scores = self.scores(x)
        if mask is not None:
            scores = scores.masked_fill(~mask, -inf) if mask.dtype == torch.bool else scores + mask
        return F.dropout(F.softmax(scores, dim=-1), 0.1) @ value


def added(visible: Tensor, number: float) -> Tensor:
    """Return a mask that adds this number to the scores of hidden keys."""
    return torch.zeros(visible.shape, dtype=torch.float64).masked_fill(~visible, number)


EARLIER = torch.ones(TIME, TIME, dtype=torch.bool).tril()
PADDED = (torch.arange(TIME) < torch.tensor([[TIME], [7]]))[:, None, None].expand(BATCH, 1, TIME, TIME)
MASKS: dict[str, tuple[Tensor | None, Tensor]] = {
    "none": (None, torch.ones(1, 1, TIME, TIME, dtype=torch.bool)),
    "causal": (None, EARLIER[None, None]),
    "boolean": (EARLIER, EARLIER[None, None]),
    "of padding": (PADDED, PADDED),
    "added -inf": (added(PADDED & EARLIER, -inf), PADDED & EARLIER),
    "added -1e9": (added(EARLIER, -1e9), EARLIER[None, None]),
    "added least float": (added(PADDED, torch.finfo(torch.float32).min), PADDED),
    "added -10,000": (added(EARLIER, -1e4), EARLIER[None, None]),
    "added position bias": (torch.linspace(-2, 2, TIME**2).double().view(TIME, TIME), torch.ones(1, 1, TIME, TIME).bool()),
}  # fmt: skip


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("way", ["fused", "by hand", "module", "module, weights", "module, weights averaged"])
def test_numbers_are_those_of_the_whole_matrices(way: str, mask: str) -> None:
    """Three implementations and a plain loop give the same entropy and the same size of scores, under every mask."""
    torch.manual_seed(0)
    model, x = Attention(way).double(), torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    given, visible = MASKS[mask]
    bias = given if mask == "added position bias" else 0
    expected = twin(model.scores(x).detach() + bias, visible.expand(BATCH, HEADS, TIME, TIME))

    assert heard(lambda: model(x, given, mask == "causal")) == [close(expected)]
    assert expected[0] < 0.99
    assert expected[1] > 0.1


def test_the_twin_can_disagree() -> None:
    """The control: other weights have other numbers."""
    torch.manual_seed(0)
    model, x = Attention("fused").double(), torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    expected = twin(model.scores(1.01 * x).detach(), MASKS["none"][1].expand(BATCH, HEADS, TIME, TIME))

    assert heard(lambda: model(x, None, False)) != [close(expected, 1e-3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_numbers_are_widened(dtype: torch.dtype) -> None:
    """Scores are made of the network's own numbers, in float32."""
    torch.manual_seed(0)
    query, key = (torch.randn(BATCH, HEADS, TIME, 8).to(dtype) for _ in range(2))
    scores = query.double() @ key.double().mT / 8**0.5
    expected = twin(scores, torch.ones_like(scores, dtype=torch.bool))

    assert heard(lambda: F.scaled_dot_product_attention(query, key, key)) == [close(expected, 1e-5)]  # float32 sums of 8


def test_autocast_does_not_round_what_is_measured() -> None:
    """Inside autocast the scores are still made in float32."""
    torch.manual_seed(0)
    query, key = (torch.randn(BATCH, HEADS, TIME, 8) for _ in range(2))

    def run() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            F.scaled_dot_product_attention(query, key, key)

    (inside,), (outside,) = heard(run), heard(lambda: F.scaled_dot_product_attention(query, key, key))
    assert inside == outside


def test_shared_keys_scales_and_shapes() -> None:
    """Groups of heads may share keys; the scale may be given; queries may be fewer than keys, causal from the first."""
    torch.manual_seed(0)
    query, key = torch.randn(BATCH, HEADS, 5, 8).double(), torch.randn(BATCH, 2, TIME, 8).double()
    scores = 0.7 * query @ key.repeat_interleave(2, 1).mT
    everywhere, earlier = torch.ones(scores.shape, dtype=torch.bool), torch.ones(scores.shape, dtype=torch.bool).tril()
    call = F.scaled_dot_product_attention

    def grouped(**more: object) -> object:
        return call(query=query, key=key, value=key, scale=0.7, enable_gqa=True, **more)

    assert heard(grouped) == [close(twin(scores, everywhere))]
    assert heard(lambda: grouped(is_causal=True)) == [close(twin(scores, earlier))]
    flat, one = query[:, 0], twin(scores[:, :1] / 0.7 / 8**0.5, everywhere[:, :1])
    assert heard(lambda: call(flat, key[:, 0], key[:, 0])) == [close(one)]  # (batch, query, width): one head


SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "torch": lambda q, k: torch.softmax(q @ k.mT, -1),
    "method": lambda q, k: (q @ k.mT).softmax(dim=-1),
    "module": lambda q, k: nn.Softmax(dim=3)(q @ k.mT),
    "special": lambda q, k: torch.special.softmax(q @ k.mT, -1),
    "by name": lambda q, k: F.softmax(input=q @ k.mT, dim=-1, dtype=torch.float64),
    "einsum": lambda q, k: torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1),
    "bmm": lambda q, k: torch.bmm(q.flatten(0, 1), k.flatten(0, 1).mT).softmax(-1),
    "baddbmm": lambda q, k: torch.baddbmm(torch.zeros(1, 1, 1).double(), q.flatten(0, 1), k.flatten(0, 1).mT).softmax(-1),
    "upcast": lambda q, k: (q @ k.mT).to(torch.float64).softmax(-1),
    "capped": lambda q, k: (1e6 * ((q @ k.mT) / 1e6).tanh()).softmax(-1),
    "masked in place": lambda q, k: (q @ k.mT).masked_fill_(torch.zeros(1, 1, 1, 1).bool(), -inf).softmax(-1),
    "with a learned bias": lambda q, k: (q @ k.mT + nn.Embedding(1, HEADS).double().weight.mul(0)[0, :, None, None]).softmax(-1),
}  # fmt: skip


@pytest.mark.parametrize("way", SCORES)
def test_an_attention_by_hand_is_heard(way: str) -> None:
    """However scores are made and their softmax is called, it is one attention; its heads are found by the batch's size."""
    torch.manual_seed(0)
    query, key = (torch.randn(BATCH, HEADS, TIME, 8, dtype=torch.float64, requires_grad=True) * 1 for _ in range(2))
    scores = (query @ key.mT).detach()
    expected = twin(scores, torch.ones_like(scores, dtype=torch.bool))

    assert heard(lambda: SCORES[way](query, key), num_samples=BATCH) == [close(expected)]


WEIGHT = nn.Parameter(torch.randn(5, WIDTH))
OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "classifier": lambda x: nn.Linear(WIDTH, 7)(x).softmax(-1),
    "router": lambda x: F.softmax(F.linear(x, WEIGHT), dim=-1, dtype=torch.float32),
    "router by einsum": lambda x: torch.einsum("btd,ed->bte", x, WEIGHT).softmax(-1),
    "router by product": lambda x: (x @ WEIGHT.T).softmax(-1),
    "router of stretched weights": lambda x: (x @ WEIGHT.T.expand(BATCH, WIDTH, 5)).softmax(-1),
    "router with noise": lambda x: (F.linear(x, WEIGHT) + torch.randn(5)).softmax(-1),
    "over the channels of an image": lambda x: nn.Conv2d(1, 3, 1)(x[:, None]).softmax(1),
    "after an attention": lambda x: nn.Linear(TIME, 3)(x @ x.mT).softmax(-1),
    "over the queries": lambda x: (x @ x.mT).softmax(-2),
    "of two axes": lambda x: (x[0] @ x[0].T).softmax(-1),
    "of a parameter": lambda x: WEIGHT[None].softmax(-1),
    "log": lambda x: nn.Linear(WIDTH, 7)(x).log_softmax(-1),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_softmaxes_are_no_attention(other: str) -> None:
    """A classifier's softmax, a router's, and those over other axes are not taken for an attention."""
    x = torch.randn(BATCH, TIME, WIDTH, requires_grad=True) * 1

    assert heard(lambda: OTHERS[other](x)) == []
    assert len(heard(lambda: (x @ x.mT).softmax(-1))) == 1


def test_without_a_graph_four_axes_are_an_attention() -> None:
    """In a frozen network four axes are taken for (batch, head, query, key), three are not; fused attention is heard anyway."""
    x = torch.randn(BATCH, HEADS, TIME, 8)

    assert len(heard(lambda: (x @ x.mT).softmax(-1))) == 1
    assert heard(lambda: (x[0] @ x[0].mT).softmax(-1)) == []
    assert len(heard(lambda: F.scaled_dot_product_attention(x[0], x[0], x[0]))) == 1


def test_grown_scores_are_not_taken_for_a_mask() -> None:
    """Scores of 10,000 are measured as they are; the same with a mask of -10,000 on scores near 1 is the mask."""
    torch.manual_seed(0)
    scores = torch.randn(1, 3, 40, 40, dtype=torch.float64)
    earlier = torch.ones(40, 40, dtype=torch.bool).tril()

    assert measured(1e4 * scores)[1] == pytest.approx(1e4, rel=0.03)  # the mean of each row takes one part in forty
    assert measured(1e4 * scores)[0] < 0.01
    for number in (-100.0, -1e4, -1e9, torch.finfo(torch.float64).min):
        hidden = scores.masked_fill(~earlier, 0) + torch.zeros(40, 40).double().masked_fill(~earlier, number)
        assert measured(hidden) == close(twin(scores, earlier.expand(scores.shape)))


def test_rows_that_see_nothing_do_not_count() -> None:
    """Rows whose keys are all masked, or all but one, say nothing; with no others, nothing is known; NaN is not known."""
    torch.manual_seed(0)
    scores = torch.randn(BATCH, HEADS, TIME, TIME, dtype=torch.float64)
    for hidden in (-inf, -1e9):
        some = scores.clone()
        some[:, :, 5:] = hidden
        some[:, :, :, 0] = hidden
        assert measured(some) == close(twin(scores[:, :, :5, 1:], torch.ones(BATCH, HEADS, 5, TIME - 1, dtype=torch.bool)))
        some[:, :, :, 2:] = hidden
        assert sharpness(some) is None
    assert sharpness(scores * float("nan")) is None
    assert heard(lambda: F.scaled_dot_product_attention(*[torch.randn(1, 1, 1, 4)] * 3)) == []
    assert heard(lambda: F.scaled_dot_product_attention(*[torch.randn(1, 1, 0, 4)] * 3)) == []


def test_uniform_and_one_key_are_the_ends() -> None:
    """Equal scores have entropy 1 and size 0; one key far above the rest has entropy 0."""
    assert measured(torch.zeros(1, 2, 3, 9).double()) == (pytest.approx(1, abs=1e-12), 0)  # a few roundings of float64
    assert measured(29 * torch.eye(9).double()[None, None])[0] == pytest.approx(0, abs=1e-10)  # by hand: 8 · 29 e⁻²⁹ / log 9


def test_large_attention_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many rows some hundred are made, from everywhere, and give nearly the numbers of all."""
    torch.manual_seed(0)
    query, key = (torch.randn(16, HEADS, 300, 8) for _ in range(2))
    scores, sizes = query @ key.mT / 8**0.5, []
    earlier = torch.ones(300, 300, dtype=torch.bool).tril()
    whole = measured(scores.masked_fill(~earlier, -inf))

    def spy(some: Tensor) -> Sharpness | None:
        sizes.append(some.shape)
        return sharpness(some)

    monkeypatch.setattr("fathometer.instruments.attention.sharpness", spy)
    (told,) = heard(lambda: F.scaled_dot_product_attention(query, key, key, is_causal=True))

    assert sizes[0][0] * sizes[0][1] * sizes[0][2] <= MAX_ROWS
    assert sizes[0][0] > 1
    assert sizes[0][2] > 30
    assert told == close(whole, 0.02)  # a hundred rows of each head, each with a deviation of about a tenth


def test_dropout_and_randomness_are_left_alone() -> None:
    """Listening draws no random numbers, and what attention returns is the same, bit for bit."""
    torch.manual_seed(0)
    x = torch.randn(BATCH, TIME, WIDTH)
    for way in ("fused", "by hand", "module", "module, weights"):
        model, outputs = Attention(way), []
        for listening in (False, True):
            torch.manual_seed(1)
            if listening:
                heard(lambda model=model, outputs=outputs: outputs.append(model(x, None, False)))
            else:
                outputs.append(model(x, None, False))
        assert torch.equal(*outputs)
