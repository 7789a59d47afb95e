"""Dropout is silent inside the block, wherever it hides, and back afterwards."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments.quiet import WithoutDropout

WIDTH = 8


class Attention(nn.Module):
    def __init__(self, by_position: bool) -> None:
        super().__init__()
        self.by_position = by_position

    def forward(self, x: Tensor) -> Tensor:
        share = 0.5 if self.training else 0.0
        if self.by_position:
            return F.scaled_dot_product_attention(x, x, x, None, share)
        return F.scaled_dot_product_attention(x, x, x, dropout_p=share, is_causal=True)


class Function(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.dropout(F.dropout(x, 0.5, self.training), 0.5, self.training)


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.MultiheadAttention(WIDTH, 2, dropout=0.5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x, x, x, need_weights=False)[0]


PARTS: dict[str, Callable[[], nn.Module]] = {
    "module": lambda: nn.Dropout(0.5),
    "in place": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.5, inplace=True)),
    "alpha": lambda: nn.AlphaDropout(0.5),
    "channels": lambda: nn.Dropout1d(0.5),
    "function": Function,
    "attention": lambda: Attention(by_position=False),
    "attention by position": lambda: Attention(by_position=True),
    "heads": Heads,
    "encoder layer": lambda: nn.TransformerEncoderLayer(WIDTH, 2, 16, dropout=0.5, batch_first=True),
}


@pytest.mark.parametrize("part", PARTS)
def test_training_gives_what_rest_gives(part: str) -> None:
    """In training mode, inside the block, the output is that of eval mode; outside of it, the control, it is not."""
    torch.manual_seed(0)
    model, x = PARTS[part]().train(), torch.randn(4, 5, WIDTH, requires_grad=True)
    with WithoutDropout():
        quiet = model(x)
    loud = model(x)

    # Attention at rest may be computed by another kernel.
    torch.testing.assert_close(quiet, model.eval()(x), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(loud, quiet, rtol=1e-2)


def test_batch_norm_goes_on_as_in_training() -> None:
    """Modes are not touched: the statistics are those of the batch."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(WIDTH)), 5 + torch.randn(16, WIDTH)
    with WithoutDropout():
        output = model(x)

    assert output.mean().item() == pytest.approx(0, abs=1e-5)
    assert all(module.training for module in model.modules())
