"""A transformer spec: its shapes, its defaults, and what follows from its residual kind."""

import pytest

from fathometer.spec import Transformer, deepnorm_constants
from fathometer.spec.transformer import TRANSFORMER_KINDS

NORMED = ("pre-norm", "post-norm", "peri-norm", "deepnorm")


@pytest.mark.parametrize(
    ("width", "positions", "heads"),
    [
        (768, "learned", 12),
        (64, "learned", 1),
        (10, "learned", 1),
        (200, "learned", 2),
        (320, "rope", 5),
        (194, "rope", 1),
        (192, "rope", 3),
    ],
)
def test_heads_that_are_not_given_divide_the_width(width: int, positions: str, heads: int) -> None:
    """Heads are the largest divisor of the width up to width // 64, and of even width under RoPE."""
    spec = Transformer(width=width, positions=positions)

    assert spec.num_heads == heads
    assert spec.num_heads * spec.head_width == width


def test_shapes_that_are_not_given_follow_the_width() -> None:
    """The MLP is four times as wide, and there are as many keys as queries, unless it is said otherwise."""
    plain, asked = Transformer(width=128, heads=4), Transformer(width=128, heads=4, kv_heads=2, mlp_width=344)

    assert (plain.hidden_width, plain.num_kv_heads) == (512, 4)
    assert (asked.hidden_width, asked.num_kv_heads) == (344, 2)


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ({"encoder": 24}, {"encoder": (2.6321, 0.2686)}),
        ({"decoder": 12}, {"decoder": (2.2134, 0.3195)}),
        ({"encoder": 6, "decoder": 6}, {"encoder": (1.4179, 0.4970), "decoder": (2.0598, 0.3433)}),
    ],
    ids=str,
)
def test_the_constants_of_deepnorm(blocks: dict[str, int], expected: dict[str, tuple[float, float]]) -> None:
    """α and β of Wang et al. 2022 for one stack, and for an encoder with a decoder."""
    constants = deepnorm_constants(**blocks)

    assert list(constants) == list(expected)
    for stack, numbers in expected.items():
        assert constants[stack] == pytest.approx(numbers, abs=5e-5)  # four digits are printed


def test_deepnorm_leaves_queries_and_keys_alone() -> None:
    """β multiplies values, output and MLP, and not queries, keys, embedding and readout; α the stream."""
    deep, post = (Transformer(depth=24, init="xavier", residual=kind) for kind in ("deepnorm", "post-norm"))
    roles = ("embedding", "query_key", "hidden", "branch_last", "output")
    ratios = [deep.scale(role, 768, 768).weight_std / post.scale(role, 768, 768).weight_std for role in roles]
    ((stream, branch),) = deepnorm_constants(decoder=24).values()

    assert ratios == pytest.approx([1, 1, branch, branch, 1])
    assert (deep.stream_multiplier, post.stream_multiplier) == (stream, 1)


@pytest.mark.parametrize("change", [{"norm_scaling": True}, {"residual": "deepnorm"}], ids=str)
def test_two_rules_for_depth_are_not_multiplied(change: dict[str, object]) -> None:
    """Where the norms or DeepNorm already scale by depth, "gpt2" leaves its 1/√(2·depth) out."""
    spec, plain = Transformer(**change), Transformer()

    assert spec.scale("branch_last", 768, 768) == spec.scale("hidden", 768, 768)
    assert plain.scale("branch_last", 768, 768) != plain.scale("hidden", 768, 768)


def test_norm_scaling_divides_by_the_root_of_the_block() -> None:
    """The norms of block l are multiplied with 1/√l, l from 1; without it with 1."""
    assert [Transformer(norm_scaling=True).norm_multiplier(block) for block in (0, 3, 8)] == [1, 1 / 2, 1 / 3]
    assert Transformer().norm_multiplier(8) == 1


@pytest.mark.parametrize("residual", TRANSFORMER_KINDS)
def test_a_norm_is_where_the_kind_has_a_place(residual: str) -> None:
    """Normed kinds have the norm that was asked for, and the final one only where the stream itself is never normed."""
    spec = Transformer(residual=residual, norm="rms")

    assert spec.norm_kind == ("rms" if residual in NORMED else None)
    assert spec.ends_in_norm == (residual in ("pre-norm", "peri-norm"))


@pytest.mark.parametrize(
    ("residual", "depth", "branch"),
    [
        ("plain", 8, 0.5),
        ("scaled", 8, 0.25),
        ("rezero", 8, 0.0),
        ("layerscale", 18, 0.1),
        ("layerscale", 24, 1e-5),
        ("layerscale", 36, 1e-6),
    ],
)
def test_what_multiplies_a_branch(residual: str, depth: int, branch: float) -> None:
    """A block has two branches: "scaled" divides by √(2·depth), while LayerScale counts blocks."""
    assert Transformer(depth=depth, residual=residual, branch_scale=0.5).branch_multiplier == branch


def test_an_embedding_reads_one_row() -> None:
    """With fan_in 1 an embedding starts with std 1 where a linear layer would keep the second moment, as torch's does."""
    for init in ("pytorch", "lecun", "he", "orthogonal"):
        scale = Transformer(init=init).scale("embedding", 1, 768)
        assert (scale.weight_std, scale.distribution) == (1.0, "normal")
