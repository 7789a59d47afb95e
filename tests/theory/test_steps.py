"""Single steps: how responses combine, and the scatter known by hand."""

import pytest

from fathometer.activations import find_activation
from fathometer.theory.steps import IDENTITY, Linear, Response, Signal, activate, add, linear, normalise, quiet, then

SIGNAL = Signal(1.0, 0.3)
RELU = find_activation("relu")
WIDTH = 50.0


def relu_layer(kept: float = 0.0) -> tuple[Signal, Response]:
    """Return a He layer and its ReLU."""
    after, weighted = linear(SIGNAL, Linear(2.0, 2.0, 0.0, WIDTH, kept))
    after, activated, _ = activate(after, RELU, WIDTH)
    return after, then(weighted, activated)


def test_responses_combine_in_any_grouping() -> None:
    """(a then b) then c equals a then (b then c), and the identity changes nothing; the order does matter."""
    a, b, c = (
        Response(2.0, 0.5, 0.1, 0.3, 0.2, 0.05),
        Response(3.0, 0.7, 0.2, -0.4, 0.1, -0.02),
        Response(0.5, 1.2, 0.3, 0.6, 0.4, 0.1),
    )
    left, right = then(then(a, b), c), then(a, then(b, c))

    assert vars(left) == pytest.approx(vars(right))
    assert then(a, IDENTITY) == then(IDENTITY, a) == a
    assert then(a, b).noise != pytest.approx(then(b, a).noise)


def test_a_relu_layer_scatters_by_five_over_width() -> None:
    """Forward and backward, the variance of a He ReLU layer is 5/n; with orthogonal weights 3/n (by hand)."""
    after, independent = relu_layer()
    _, orthogonal = relu_layer(kept=1.0)

    assert after.moment == pytest.approx(1.0)
    assert (independent.growth, independent.slope) == pytest.approx((1.0, 1.0))
    assert (independent.noise * WIDTH, independent.slope_noise * WIDTH) == pytest.approx((5.0, 5.0))
    assert (orthogonal.noise * WIDTH, orthogonal.slope_noise * WIDTH) == pytest.approx((3.0, 3.0))


def test_a_bias_draws_samples_together() -> None:
    """A shared bias adds the same to both samples: (σ_w² q c + σ_b²)/(σ_w² q + σ_b²)."""
    after, response = linear(SIGNAL, Linear(2.0, 2.0, 1.0, WIDTH))

    assert (after.moment, after.correlation) == pytest.approx((3.0, 1.6 / 3))
    assert response.growth == pytest.approx(2 / 3)


def test_layer_norm_forgets_the_length_and_batch_norm_the_common_part() -> None:
    """LayerNorm keeps the correlation, BatchNorm takes it out and divides by what is left."""
    layer, response = normalise(Signal(4.0, 0.3), "layer", WIDTH)
    batch, batch_response = normalise(Signal(4.0, 0.3), "batch", WIDTH, num_inputs=11)

    assert (layer.moment, layer.correlation) == pytest.approx((1.0, 0.3), rel=1e-4)  # ε of the norm
    assert (batch.moment, batch.correlation) == pytest.approx((1.0, -0.1), rel=1e-4)
    assert response.growth == pytest.approx(0.0, abs=1e-4)
    assert (response.slope, batch_response.slope) == pytest.approx((1 / 4, 1 / 2.8), rel=1e-4)


def test_a_branch_of_nothing_leaves_the_stream_alone() -> None:
    """α = 0 is the identity whatever the branch does; α = 1 is not."""
    branch, inside = relu_layer()
    nothing, response = add(SIGNAL, branch, (inside, inside), (1.0, 0.0), width=WIDTH, depth=10)
    something, _ = add(SIGNAL, branch, (inside, inside), (1.0, 1.0), width=WIDTH, depth=10)

    assert nothing == SIGNAL
    assert response == IDENTITY
    assert something.moment == pytest.approx(2.0)


def test_quiet_keeps_the_growths_and_drops_the_noise() -> None:
    """A quiet response passes scatter on and adds none."""
    _, response = relu_layer()

    assert (quiet(response).growth, quiet(response).slope) == (response.growth, response.slope)
    assert quiet(response).noise == quiet(response).slope_noise == 0.0 < response.noise
