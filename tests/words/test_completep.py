"""μP, depth-μP and CompleteP multiply as their table says, in every family."""

from collections.abc import Callable

import pytest

from fathometer.parametrizations import PARAMETRIZATIONS, Scale, Tensor, branch_multiplier, scale_of
from fathometer.spec import ConvNet, Mlp, Spec, Transformer, preset

ROOT8, RATIOS = 8**-0.5, {"width_ratio": 4.0, "depth_ratio": 8.0}
# Four times as wide and eight times as deep as its base, in each family; (depth - 2) counts for a convnet.
FAMILIES: dict[str, Callable[[str], Spec]] = {
    "mlp": lambda init: Mlp(depth=16, width=256, residual="pre-norm", init=init, base_depth=2, base_width=64),
    "convnet": lambda init: ConvNet(depth=50, width=64, init=init, base_depth=8, base_width=16),
    "transformer": lambda init: Transformer(depth=16, width=256, init=init, base_depth=2, base_width=64),
}
MATRICES = ("query_key", "hidden", "branch_last")
VECTORS = ("bias", "norm_gain")
OUTSIDE = ("input", "embedding", "output", "final_norm")
EVERY = pytest.mark.parametrize("family", FAMILIES)


def multipliers(scale: Scale) -> tuple[float, float, float, float]:
    """Return the multipliers of learning rate, weight decay, Adam's ε and the forward pass."""
    return (
        scale.learning_rate_multiplier,
        scale.weight_decay_multiplier,
        scale.epsilon_multiplier,
        scale.multiplier,
    )


@EVERY
@pytest.mark.parametrize(
    ("init", "matrix", "vector", "branch"),
    [
        # learning rate, weight decay, ε, forward
        ("gpt2", (1, 1, 1, 1), (1, 1, 1, 1), 1),
        ("he", (1, 1, 1, 1), (1, 1, 1, 1), 1),
        ("mup", (0.25, 4, 0.25, 1), (1, 1, 0.25, 1), 1),
        ("depth-mup", (0.25 * ROOT8, 4, 0.25 * ROOT8, 1), (ROOT8, 1, 0.25 * ROOT8, 1), ROOT8),
        ("completep", (0.25, 4, 0.03125, 1), (1, 1, 0.03125, 1), 0.125),
    ],
)
def test_the_table_of_completep(
    family: str, init: str, matrix: tuple[float, ...], vector: tuple[float, ...], branch: float
) -> None:
    """At m_N = 4 and m_L = 8 every multiplier is that of Dey et al. 2025, table 1; standard ones are all 1."""
    spec = FAMILIES[family](init)

    # Products of a few powers, each rounded in its last bit.
    for role in MATRICES:
        assert multipliers(spec.scale(role, 256, 256)) == pytest.approx(matrix, rel=1e-12)
    for role in VECTORS:
        assert multipliers(spec.scale(role, 256, 256)) == pytest.approx(vector, rel=1e-12)
    assert spec.branch_multiplier == pytest.approx(branch, rel=1e-12)


@EVERY
@pytest.mark.parametrize("init", ["mup", "depth-mup", "completep"])
def test_outside_the_blocks_only_the_readout_is_divided(family: str, init: str) -> None:
    """Stem, embedding, readout and final norm move as ever; the readout's output is divided by m_N."""
    spec = FAMILIES[family](init)

    for role in OUTSIDE:
        assert multipliers(spec.scale(role, 256, 256)) == (1, 1, 1, 0.25 if role == "output" else 1)
    assert spec.output_multiplier == 0.25


@pytest.mark.parametrize(
    ("init", "exact"), [("depth-mup", (0.08839, 0.08839, 0.35355, 0.35355)), ("completep", (0.25, 0.03125, 0.125, 1))]
)
def test_the_numbers_of_one_case(init: str, exact: tuple[float, ...]) -> None:
    """The learning rate, ε, branch and norm gain of a 4 × wider and 8 × deeper network, in digits."""
    hidden, gain = (scale_of(init, Tensor(role, 256, 256, **RATIOS)) for role in ("hidden", "norm_gain"))
    got = (
        hidden.learning_rate_multiplier,
        hidden.epsilon_multiplier,
        branch_multiplier(init, 8.0),
        gain.learning_rate_multiplier,
    )

    assert got == pytest.approx(exact, abs=5e-6)  # five digits are printed


@pytest.mark.parametrize("init", ["mup", "depth-mup", "completep"])
@pytest.mark.parametrize(
    ("role", "std"), [("hidden", 0.01), ("query_key", 0.01), ("branch_last", 0.01), ("embedding", 0.02), ("output", 0.02)]
)
def test_the_variance_of_a_transformer(init: str, role: str, std: float) -> None:
    """Inside blocks the variance is divided by m_N = 4, so .02 becomes .01; embedding and readout keep .02."""
    assert FAMILIES["transformer"](init).scale(role, 256, 256).weight_std == std


@pytest.mark.parametrize("role", ["input", "hidden", "branch_last"])
def test_a_perceptron_under_mup_starts_as_under_he(role: str) -> None:
    """Without a std of its own, σ² is He's at the base width, and σ²/m_N is He's at this one; not so for the readout."""
    mup, he = (Mlp(width=256, base_width=64, residual="plain", init=init) for init in ("mup", "he"))

    assert mup.scale(role, 256, 256).weight_std == pytest.approx(he.scale(role, 256, 256).weight_std, rel=1e-12)
    assert mup.scale("output", 256, 10).weight_std == pytest.approx(2 * he.scale("output", 256, 10).weight_std, rel=1e-12)


@EVERY
@pytest.mark.parametrize("init", ["mup", "depth-mup", "completep"])
def test_a_network_that_is_its_own_base_is_standard(family: str, init: str) -> None:
    """Without a base nothing is multiplied: learning rates found there are those of the standard parametrization."""
    spec = {"mlp": Mlp(residual="pre-norm", init=init), "convnet": ConvNet(init=init), "transformer": Transformer(init=init)}[
        family
    ]

    assert {multipliers(spec.scale(role, 64, 64)) for role in (*MATRICES, *VECTORS, *OUTSIDE)} == {(1, 1, 1, 1)}
    assert spec.branch_multiplier == 1


def test_depth_says_nothing_where_there_are_no_branches() -> None:
    """A plain network's learning rates do not depend on its depth under depth-μP: that rule is about residual branches."""
    plain, plain_convnet = Mlp(depth=64, base_depth=2, init="depth-mup"), ConvNet(residual="none", base_depth=8, init="depth-mup")

    assert (plain.depth_ratio, plain_convnet.depth_ratio) == (1, 1)
    assert plain.scale("hidden", 64, 64).learning_rate_multiplier == 1


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_a_vector_starts_at_its_constant(name: str) -> None:
    """No parametrization draws a gain or a bias by its role: those of a matrix come with the matrix."""
    for role in (*VECTORS, "final_norm"):
        scale = scale_of(name, Tensor(role, 8, 8))
        assert (scale.weight_std, scale.bias_std) == (0, 0)


def test_attention_is_divided_by_the_head_width_under_mup() -> None:
    """Queries times keys are multiplied with 1/d under μP and its kin, and with 1/√d otherwise."""
    scales = {init: preset(f"gpt2@init={init}").attention_scale for init in ("gpt2", "he", "mup", "depth-mup", "completep")}

    assert scales == {"gpt2": 1 / 8, "he": 1 / 8, "mup": 1 / 64, "depth-mup": 1 / 64, "completep": 1 / 64}


def test_gpt2_divides_what_is_added_by_the_number_of_branches() -> None:
    """The last matrix of each of 2L branches starts with .02/√(2L), the others with .02."""
    spec = preset("gpt2")
    stds = {role: spec.scale(role, 768, 768).weight_std for role in ("embedding", *MATRICES)}

    assert stds == pytest.approx({"embedding": 0.02, "query_key": 0.02, "hidden": 0.02, "branch_last": 0.02 * 24**-0.5})
