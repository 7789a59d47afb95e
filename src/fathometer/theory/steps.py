"""What each step of a network does to signal, gradient and scatter.

A step maps a `Signal` forward and answers with a `Response`: how the gradient grows through it on the way back, and how
the second moments of one network of finite width scatter around those of an infinite one (variances of their logarithms).

Letters: q second moment of the signal, c correlation, d = log(measured q/q) the deviation of one network, n width,
V = E φ², D = E φ′², shares s and t of stream and branch in a sum.
"""

from dataclasses import dataclass, replace

from fathometer.activations import Activation
from fathometer.theory.maps import activation_moments, pair_moment

EPSILON = 1e-5  # added to the variance by the norms that `networks` builds
LARGEST, SMALLEST = 1e120, 1e-120  # beyond these no float32 follows, and fourth moments would leave float64


@dataclass(frozen=True)
class Signal:
    """The second moment of a vector's entries, and the mean cosine of two samples."""

    moment: float
    correlation: float


@dataclass(frozen=True)
class Linear:
    """One weight matrix as theory sees it.

    `forward_variance` is fan_in times the variance of one weight, `backward_variance` fan_out times it;
    `kept` is the share of the length that an orthogonal matrix keeps exactly (0 for independent weights).
    """

    forward_variance: float
    backward_variance: float
    bias_variance: float
    width: float
    kept: float = 0.0


@dataclass(frozen=True)
class Response:
    """How gradient and scatter pass through a step: d′ = growth·d + ε forward, log gain = log slope + slope_growth·d + η back.

    `noise` = Var ε, `slope_noise` = Var η, `shared_noise` = Cov(ε, η); all are of order 1/n.
    """

    slope: float = 1.0
    growth: float = 1.0
    noise: float = 0.0
    slope_growth: float = 0.0
    slope_noise: float = 0.0
    shared_noise: float = 0.0


IDENTITY = Response()


def then(first: Response, second: Response) -> Response:
    """Return the response of two steps in a row."""
    A, J = second.slope_growth, second.growth
    return Response(
        slope=first.slope * second.slope,
        growth=J * first.growth,
        noise=J**2 * first.noise + second.noise,
        slope_growth=first.slope_growth + A * first.growth,
        slope_noise=first.slope_noise + A**2 * first.noise + 2 * A * first.shared_noise + second.slope_noise,
        shared_noise=J * first.shared_noise + J * A * first.noise + second.shared_noise,
    )


def quiet(response: Response) -> Response:
    """Return the response without noise of its own."""
    return replace(response, noise=0.0, slope_noise=0.0, shared_noise=0.0)


def linear(signal: Signal, layer: Linear) -> tuple[Signal, Response]:
    """Return W x + b: each unit is Gaussian, so its mean square over n units scatters by 2/n."""
    weighted = layer.forward_variance * signal.moment
    moment = weighted + layer.bias_variance
    share = weighted / moment if moment > 0 else 1.0
    correlation = share * signal.correlation + (1 - share)
    noise = 2 * (1 - layer.kept * share**2) / layer.width
    response = Response(layer.backward_variance, share, noise, slope_noise=2 * (1 - layer.kept) / layer.width)
    return Signal(_clip(moment), correlation), response


def activate(signal: Signal, activation: Activation, width: float, *, centred: bool = False) -> tuple[Signal, Response, Response]:
    """Return φ(u) for Gaussian u, its response, and of that the part that lasts as long as u stays the same.

    What of the scatter of φ² and φ′² the length of u does not explain is noise; nor does its mean where a LayerNorm has
    `centred` it. The gradient weighs units unequally, with a fourth moment of 3, by weights that do not last.
    """
    at = activation_moments(activation, signal.moment)
    J, A = at.signal_growth, at.slope_growth
    tilts = (at.signal_tilt, at.slope_tilt) if centred else (0.0, 0.0)
    slope_noise = max(at.slope_spread - 2 * A**2 - tilts[1] ** 2, 0.0) / width
    lasting = Response(
        slope=at.slope,
        growth=J,
        noise=max(at.signal_spread - 2 * J**2 - tilts[0] ** 2, 0.0) / width,
        slope_growth=A,
        slope_noise=slope_noise,
        shared_noise=(at.shared_spread - 2 * J * A - tilts[0] * tilts[1]) / width,
    )
    response = replace(lasting, slope_noise=slope_noise + 2 * at.slope_spread / width)
    correlation = float(pair_moment(activation, signal.moment, signal.correlation)) / at.signal
    return Signal(_clip(at.signal), min(correlation, 1.0)), response, lasting


def normalise(signal: Signal, kind: str, width: float, num_inputs: int | None = None) -> tuple[Signal, Response]:
    """Return a LayerNorm or RMSNorm of a vector of mean 0, or a BatchNorm over inputs that are alike in pairs.

    BatchNorm takes out what all samples share: from variance q(1 − c) over the batch, and two samples of B end with
    correlation −1/(B − 1). The gradient that it takes out of the batch's mean is left aside, as for a large batch.
    Yang et al. 2019, "A mean field theory of batch normalization".
    """
    is_batch = kind == "batch"
    variance = max(signal.moment * (1 - signal.correlation if is_batch else 1.0), 0.0)
    moment = variance / (variance + EPSILON)
    apart = 0.0 if num_inputs is None or num_inputs < 2 else -1 / (num_inputs - 1)
    response = Response(
        slope=1 / (variance + EPSILON),
        growth=1 - moment,  # only ε lets a deviation through
        noise=2 / width if is_batch else 0.0,
        slope_growth=-moment,
    )
    return Signal(_clip(moment), apart if is_batch else signal.correlation), response


def add(
    stream: Signal, branch: Signal, responses: tuple[Response, Response], scales: tuple[float, float], *, width: float, depth: int
) -> tuple[Signal, Response]:
    """Return a·x + α·f(x) for (a, α) = `scales`; `responses` are that of f, and the part of it that lasts.

    The cross term 2aα x·f/n scatters anew in each block. What lasts repeats from block to block as long as the stream
    stays the same: about (1+ρ)/(1−ρ) times, ρ² the stream's share, and at most `depth` times.
    """
    (a, alpha), (inside, lasting) = scales, responses
    kept, added = a * a * stream.moment, alpha * alpha * branch.moment
    moment = kept + added
    back = a * a + alpha * alpha * inside.slope
    s, t = kept / moment, added / moment
    s_back, t_back = a * a / back, alpha * alpha * inside.slope / back
    rho = s**0.5
    repeats = min((1 + rho) / (1 - rho), depth) - 1 if rho < 1 else depth - 1
    response = Response(
        slope=back,
        growth=s + t * inside.growth,
        noise=t * t * (inside.noise + lasting.noise * repeats) + 4 * s * t / width,
        slope_growth=t_back * inside.slope_growth,
        slope_noise=t_back * t_back * (inside.slope_noise + lasting.slope_noise * repeats) + 4 * s_back * t_back / width,
        shared_noise=t * t_back * (inside.shared_noise + lasting.shared_noise * repeats),
    )
    return Signal(_clip(moment), s * stream.correlation + t * branch.correlation), response


def _clip(moment: float) -> float:
    return min(max(moment, SMALLEST), LARGEST)
