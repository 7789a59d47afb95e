"""Each formula against the loops that it stands for."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fathometer.instruments.products import FORMULAS, FusedAttention, ProductCounter


def count(function: Any, *tensors: torch.Tensor) -> tuple[int, int]:
    """Return the operations of a function, forward and backward."""
    seen: list[int] = []
    with ProductCounter(lambda flops, _: seen.append(flops)) as counter:
        out = function(*tensors)
        forward = sum(seen)
        if out.requires_grad:
            out.sum().backward()
    assert counter.unknown == set()
    return forward, sum(seen) - forward


def by_loops(convolution: nn.Module, image: torch.Tensor) -> int:
    """Return twice the multiplications of a convolution: how often a weight meets a pixel of an image with its edges."""
    # With weights and pixels of one, each output is the number of products that make it; the image has no edge here.
    with torch.no_grad():
        nn.init.ones_(convolution.weight)
        return 2 * int(convolution(torch.ones_like(image)).double().sum())


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv1d(4, 6, 3, bias=False),
        nn.Conv2d(4, 6, 3, stride=2, bias=False),
        nn.Conv2d(4, 8, 3, groups=2, dilation=2, bias=False),
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.ConvTranspose2d(4, 6, 3, stride=2, bias=False),
        nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False),
        nn.Conv3d(4, 2, 2, bias=False),
    ],
    ids=["one", "stride", "groups", "depthwise", "transposed", "transposed groups", "three"],
)
def test_a_convolution_counts_each_weight_at_each_place(convolution: nn.Module) -> None:
    """Forward is what the loops count; backward is twice that."""
    places = convolution.weight.ndim - 2
    image = torch.ones(2, 4, *[9] * places, requires_grad=True)
    expected = by_loops(convolution, image)

    assert count(convolution, image) == (expected, 2 * expected)


A, B, V = torch.ones(3, 4), torch.ones(4, 5), torch.ones(4)
PRODUCTS = {
    "matrices": (lambda: A @ B, 60),
    "stack": (lambda: A.expand(7, 3, 4) @ B.expand(7, 4, 5), 7 * 60),
    "vector": (lambda: A @ V, 12),
    "dot": (lambda: V @ V, 4),
    "added": (lambda: torch.addmm(torch.ones(5), A, B), 60),
    "added stack": (lambda: torch.baddbmm(torch.ones(5), A.expand(7, 3, 4), B.expand(7, 4, 5)), 7 * 60),
    "summed stack": (lambda: torch.addbmm(torch.ones(5), A.expand(7, 3, 4), B.expand(7, 4, 5)), 7 * 60),
    "added vector": (lambda: torch.addmv(torch.ones(3), A, V), 12),
    "einsum": (lambda: torch.einsum("ij,jk->ik", A, B), 60),
    "linear": (lambda: F.linear(A, B.T), 60),
    "sum": (lambda: A + A, 0),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_counts_its_multiplications(name: str) -> None:
    """Two operations for each multiplication with its addition; a plain sum is none."""
    function, multiplications = PRODUCTS[name]

    assert count(function) == (2 * multiplications, 0)


def test_inference_mode_hides_nothing() -> None:
    """There torch hands a linear layer over as one operation."""
    with torch.inference_mode():
        assert count(lambda: F.linear(A, B.T)) == (120, 0)


def test_a_product_without_a_formula_is_told() -> None:
    """Fused attention on a CPU is one operation: seen outside of the meta device, it is named and not passed over."""
    heads = torch.zeros(1, 2, 8, 4)
    with ProductCounter(lambda flops, _: None) as counter:
        F.scaled_dot_product_attention(heads, heads, heads)

    assert any("attention" in name for name in counter.unknown)
    assert not any("attention" in str(packet) for packet in FORMULAS)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_fused_attention_counts_what_the_plain_one_does(kv_heads: int) -> None:
    """Grouped heads too: the same products, the same shapes and layout as torch's own kernel, and gradients that fit."""
    query = torch.empty(2, 8, 4, 16, device="meta").transpose(1, 2).requires_grad_()
    key, value = (torch.empty(2, kv_heads, 8, 16, device="meta", requires_grad=True) for _ in range(2))

    def attend(*heads: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(*heads, enable_gqa=True)

    plain = count(attend, query, key, value)
    with FusedAttention():
        fused = count(attend, query, key, value)
        out = attend(query, key, value)
    real = F.scaled_dot_product_attention(*(torch.zeros(2, 8, 4, 16).transpose(1, 2) for _ in range(3)))

    assert fused == plain == (2 * 2 * 2 * 4 * 8 * 8 * 16, 4 * 2 * 2 * 4 * 8 * 8 * 16)
    assert (out.shape, out.stride()) == (real.shape, real.stride())
    assert key.grad is not None
    assert key.grad.shape == key.shape


def test_attention_with_a_learned_bias_is_left_as_it_is() -> None:
    """Its gradient needs the scores."""
    heads = torch.empty(1, 2, 8, 4, device="meta", requires_grad=True)
    bias = torch.empty(8, 8, device="meta", requires_grad=True)
    with FusedAttention():
        F.scaled_dot_product_attention(heads, heads, heads, attn_mask=bias).sum().backward()

    assert bias.grad is not None
