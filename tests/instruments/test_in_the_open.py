"""No fast path and no compiled graph hides a layer."""

import logging
import warnings
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

from fathometer.instruments import listen
from fathometer.instruments.in_the_open import in_the_open
from fathometer.instruments.trace import trace_of

WIDTH = 8


def encoder() -> nn.TransformerEncoder:
    """Return torch's encoder, frozen and in eval mode: the conditions of its fast path."""
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True, dropout=0.0)
    return nn.TransformerEncoder(layer, 2).eval().requires_grad_(False)


def heard(model: nn.Module, names: list[str], *inputs: Tensor, **more: Tensor) -> list[tuple[str, bool]]:
    """Return which modules answer when only these are listened to, and whether with a nested tensor."""
    calls: list[tuple[str, bool]] = []
    with (
        warnings.catch_warnings(),
        listen(model, names, on_call=lambda call: calls.append((call.name, call.output.is_nested))),
    ):
        warnings.simplefilter("ignore")  # torch warns of its nested tensors
        model(*inputs, **more)
    return calls


def test_without_it_layers_hand_on_nested_tensors() -> None:
    """The negative control: with a mask for padding, torch's encoder packs the batch, and nobody could measure it."""
    mask = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    assert (True in dict(heard(encoder(), ["layers.0"], torch.randn(2, 5, WIDTH), src_key_padding_mask=mask)).values()) is True


def test_parts_of_attention_run_in_the_open() -> None:
    """In eval mode each layer runs as written: plain tensors, and every part that is a module is heard."""
    model, names = encoder(), ["layers.0", "layers.0.norm1", "layers.0.linear1", "layers.1"]
    mask = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with in_the_open(model):
        calls = heard(model, names, torch.randn(2, 5, WIDTH), src_key_padding_mask=mask)

    assert calls == [("layers.0.norm1", False), ("layers.0.linear1", False), ("layers.0", False), ("layers.1", False)]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_switch_is_as_it_was(enabled: bool) -> None:
    """Also after an exception torch's switch for the fast path stands where it stood."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        with suppress(KeyError), in_the_open(nn.Linear(2, 2)):
            assert not torch.backends.mha.get_fastpath_enabled()
            raise KeyError
        assert torch.backends.mha.get_fastpath_enabled() is enabled
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class Block(nn.Module):
    """A residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.relu(self.first(x)))


def compiled(way: str) -> nn.Module:
    """Return blocks, each compiled, as a wrapper or in place."""
    blocks = [Block() for _ in range(3)]
    if way == "in place":
        for block in blocks:
            block.compile(backend="eager")
        return nn.Sequential(*blocks)
    return nn.Sequential(*[torch.compile(block, backend="eager") for block in blocks])


@pytest.mark.parametrize("way", ["in place", "wrapped"])
def test_compiled_blocks_run_as_written(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """Every part is heard, nothing is compiled, and the compiler says nothing."""
    model, x = compiled(way), torch.randn(4, WIDTH)
    inner = "" if way == "in place" else "._orig_mod"
    torch._dynamo.utils.counters.clear()
    with caplog.at_level(logging.WARNING), in_the_open(model):
        names = [step.name for step in trace_of(model, lambda: model(x))]

    assert {f"{index}{inner}.{part}" for index in range(3) for part in ("first", "second")} < set(names)
    assert caplog.records == []
    assert sum(torch._dynamo.utils.counters["frames"].values()) == 0


def test_after_it_modules_are_compiled_again() -> None:
    """The negative control: outside of the block the compiler sees its frames."""
    model, x = compiled("in place"), torch.randn(4, WIDTH)
    torch._dynamo.utils.counters.clear()
    with in_the_open(model):
        model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler reads gradients of tensors that have none
        model(x)

    assert torch._dynamo.utils.counters["frames"]["total"] > 0
