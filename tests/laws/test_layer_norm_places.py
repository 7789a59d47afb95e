"""Xiong et al. 2020: where the norm stands decides how the stream grows and what the last layer learns from.

Their setting, written out here: one head that looks at all places alike, matrices of variance 1/width, a ReLU MLP as wide
as the stream, inputs of second moment 1. The forecast's attention is not quite uniform: its logits have variance 1.
"""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fathometer.spec import Transformer
from fathometer.theory import forecast
from fathometer.theory.places import group_places, mean_moment
from fathometer.theory.profile import Start
from fathometer.theory.transformer import cross_blocks, embed

WIDTH, TIMES, BATCH, SEEDS, CLASSES = 128, 8, 16, 8, 50
DEPTHS = (2, 4, 8, 16, 32, 64)


def norm(x: Tensor) -> Tensor:
    """Return a LayerNorm over units."""
    return F.layer_norm(x, x.shape[-1:])


def simplified(kind: str, depth: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return what the last block hands to its last norm, `(batch, time, unit)`, and its hidden units behind the ReLU."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    x, hidden = draw(BATCH, TIMES, WIDTH), torch.empty(0)
    for _ in range(depth):
        value, first, last = (draw(WIDTH, WIDTH) / WIDTH**0.5 for _ in range(3))
        if kind == "pre-norm":
            x = x + norm(x).mean(1, keepdim=True) @ value
            hidden = torch.relu(norm(x) @ first)
        else:
            x = norm(x) if hidden.numel() else x  # the norm behind the block before
            x = norm(x + x.mean(1, keepdim=True) @ value)
            hidden = torch.relu(x @ first)
        x = x + hidden @ last
    return x, hidden


def spec_of(kind: str, depth: int) -> Transformer:
    """Return the nearest network that can be asked for."""
    sizes = {"width": WIDTH, "mlp_width": WIDTH, "heads": 1, "context": TIMES, "vocabulary": 100_000, "depth": depth}
    return Transformer(**sizes, residual=kind, activation="relu", init="lecun", positions="none", causal=False)


def last_layer_gradient(kind: str, depth: int) -> float:
    """Return the norm of the gradient of one place's loss at the last MLP's last matrix: |δ||h|, averaged."""
    norms = []
    for seed in range(SEEDS):
        generator = torch.Generator().manual_seed(seed)
        x, hidden = simplified(kind, depth, generator)
        x = x[:, 0].clone().requires_grad_()
        logits = norm(x) @ torch.randn(WIDTH, CLASSES, generator=generator) / WIDTH**0.5
        targets = torch.randint(0, CLASSES, (BATCH,), generator=generator)
        (delta,) = torch.autograd.grad(F.cross_entropy(logits, targets, reduction="sum"), x)
        norms.append(float((delta.norm(dim=1) * hidden[:, 0].norm(dim=1)).mean()))
    return float(np.mean(norms))


def slope_over_depth(values: list[float]) -> float:
    """Return the log-log slope against depth."""
    return float(np.polyfit(np.log(DEPTHS), np.log(values), 1)[0])


@pytest.mark.parametrize("depth", [2, 8, 32])
def test_the_pre_norm_stream_stays_inside_its_bracket(depth: int) -> None:
    """Lemma 2: after l blocks the second moment is from 1 + l/2 to 1 + 3l/2, measured and forecast."""
    moments = [
        float(simplified("pre-norm", depth, torch.Generator().manual_seed(seed))[0].pow(2).mean()) for seed in range(SEEDS)
    ]
    expected = forecast(spec_of("pre-norm", depth)).values["signal"]
    lower, upper = 1 + depth / 2, 1 + 3 * depth / 2

    assert lower < np.mean(moments) < upper
    assert all(1 + block / 2 < moment < 1 + 3 * block / 2 for block, moment in enumerate(expected, 1))
    # Without the norm, x + f(x) doubles it at every branch: far above, so the bracket is not just wide.
    assert forecast(spec_of("plain", depth)).values["signal"][-1] > (upper if depth > 2 else lower)


@pytest.mark.parametrize("depth", [2, 8, 32])
def test_the_post_norm_sum_is_three_halves(depth: int) -> None:
    """Lemma 2: in front of a post-norm block's last norm the second moment is 3/2 at any depth, measured and forecast."""
    moments = [
        float(simplified("post-norm", depth, torch.Generator().manual_seed(seed))[0].pow(2).mean()) for seed in range(SEEDS)
    ]
    places, spec = group_places(TIMES, causal=False), spec_of("post-norm", depth)
    sums = [mean_moment(steps[-1].total, places) for steps in cross_blocks(embed(spec, Start(), places), spec, places)]

    assert np.mean(moments) == pytest.approx(1.5, rel=0.1)  # width 128, tokens that become alike: they scatter together
    assert sums == pytest.approx([1.5] * depth, rel=1e-4)  # the ε of the norms


def test_the_last_layer_learns_from_less_in_deep_pre_norm_networks() -> None:
    """Theorem 1: from 2 to 64 blocks its gradient falls like depth^-½ with pre-norm, and does not with post-norm."""
    slopes = {
        kind: slope_over_depth([last_layer_gradient(kind, depth) for depth in DEPTHS]) for kind in ("pre-norm", "post-norm")
    }

    # 0.08 is asked for by the project: the stream is 1 + cl and not cl, and c grows as tokens become alike.
    assert slopes["pre-norm"] == pytest.approx(-0.5, abs=0.08)
    assert slopes["post-norm"] == pytest.approx(0.0, abs=0.08)


def test_theory_says_so_too() -> None:
    """The forecast's stream, of which the last norm passes back the root of the inverse, has the same slope."""
    signals = [forecast(spec_of("pre-norm", depth)).values["signal"][-1] for depth in DEPTHS]

    assert slope_over_depth([signal**-0.5 for signal in signals]) == pytest.approx(-0.5, abs=0.08)
