"""A multilayer perceptron of any depth: plain, or with a stream."""

from dataclasses import dataclass, replace

from fathometer.activations import Activation, find_activation
from fathometer.errors import SpecError, unknown_name
from fathometer.parametrizations import PARAMETRIZATIONS, Scale, Tensor, find_parametrization
from fathometer.parametrizations.roles import Role

RESIDUAL_KINDS: dict[str, str] = {
    "none": "h ← φ(W h + b), with the norm before φ when there is one",
    "plain": "x ← x + α f(x)",
    "scaled": "x ← x + f(x)/√depth",
    "pre-norm": "x ← x + α f(norm(x)), and a norm before the readout",
    "post-norm": "x ← norm(x + α f(x))",
    "peri-norm": "x ← x + α norm(f(norm(x))), and a norm before the readout",
    "rezero": "x ← x + α f(x), α learned and 0 at first (Bachlechner et al. 2021)",
    "layerscale": "x ← x + λ ⊙ f(x), λ learned and tiny at first (Touvron et al. 2021)",
    "deepnorm": "x ← norm(α x + f(x)), α = depth^¼, branch std × (4 depth)^-¼ (Wang et al. 2022)",
    "highway": "x ← (1 - T) x + T f(x), T = σ(V x - 2) (Srivastava et al. 2015)",
}
NORM_KINDS = ("layer", "rms", "batch")
_WORDS = {"activation": "relu", "residual": "pre-norm", "init": "he", "norm": "layer"}
_NORMED = ("pre-norm", "post-norm", "peri-norm", "deepnorm")


@dataclass(frozen=True)
class Mlp:
    """A stack of `depth` blocks, each `width` wide, from `inputs` numbers to `outputs` numbers.

    Without a residual stream, block 1 maps `inputs` to `width`. With one, a linear stem does, and each block adds
    f(x) = W_m φ(… W_1 φ(x)), m = `branch_layers`. `residual` is a key of `RESIDUAL_KINDS`; `norm` is None, "layer",
    "rms" or "batch"; `init` a key of `PARAMETRIZATIONS`. `gain` multiplies the std of every weight but the readout's
    (with init="lecun" it is the σ_w of mean-field theory, and `bias_std` is σ_b; None leaves the biases to `init`).

    Raises `SpecError` for a network that cannot exist.

    >>> Mlp(depth=50, activation="tanh").num_blocks
    50
    """

    depth: int = 5
    width: int = 64
    inputs: int = 64
    outputs: int = 10
    activation: str = "relu"
    residual: str = "none"
    norm: str | None = None
    branch_scale: float = 1.0
    branch_layers: int = 1
    init: str = "he"
    gain: float = 1.0
    bias_std: float | None = None

    def __post_init__(self) -> None:
        for name in ("depth", "width", "inputs", "outputs", "branch_layers"):
            _check_count(name, getattr(self, name))
        for name in ("branch_scale", "gain", "bias_std"):
            _check_size(name, getattr(self, name))
        for name in ("activation", "residual", "init", "norm"):
            _check_word(name, getattr(self, name))
        find_activation(self.activation)
        if self.residual not in RESIDUAL_KINDS:
            raise unknown_name("residual kind", self.residual, RESIDUAL_KINDS)
        if self.init not in PARAMETRIZATIONS:
            raise unknown_name("initialisation", self.init, PARAMETRIZATIONS)
        _check_norm(self)
        _check_branch(self)

    @property
    def num_blocks(self) -> int:
        """Return the number of depth points: one for each block."""
        return self.depth

    @property
    def phi(self) -> Activation:
        """Return the activation itself."""
        return find_activation(self.activation)

    @property
    def norm_kind(self) -> str | None:
        """Return the norm that is used: LayerNorm where the residual kind needs one and none was named."""
        return self.norm or ("layer" if self.residual in _NORMED else None)

    @property
    def branch_multiplier(self) -> float:
        """Return the number that multiplies each branch at initialisation (ReZero: 0; a highway block has a gate instead)."""
        if self.residual == "scaled":
            return self.depth**-0.5
        if self.residual == "rezero":
            return 0.0
        return layerscale_start(self.depth) if self.residual == "layerscale" else self.branch_scale

    @property
    def stream_multiplier(self) -> float:
        """Return the number that multiplies the stream in each block: 1, but depth^¼ under DeepNorm."""
        return self.depth**0.25 if self.residual == "deepnorm" else 1.0

    def scale(self, role: Role, fan_in: int, fan_out: int) -> Scale:
        """Return how one weight matrix starts: the one table that building and forecasting both read."""
        tensor = Tensor(role, fan_in, fan_out, self.depth, self.branch_layers, self._gain_before(role))
        scale = find_parametrization(self.init)(tensor)
        gain = 1.0 if role == "output" else self.gain
        if self.residual == "deepnorm" and role in ("hidden", "branch_last"):
            gain *= (4 * self.depth) ** -0.25
        bias_std = scale.bias_std if self.bias_std is None or role == "output" else self.bias_std
        return replace(scale, weight_std=scale.weight_std * gain, bias_std=bias_std)

    def _gain_before(self, role: Role) -> float:
        has_activation = role in ("hidden", "branch_last") or (role == "input" and self.residual == "none")
        return (self.phi.classic_gain or 1.0) if has_activation else 1.0


def layerscale_start(depth: int) -> float:
    """Return LayerScale's first value: 0.1 up to 18 blocks, 1e-5 up to 24, then 1e-6. Touvron et al. 2021."""
    return 0.1 if depth <= 18 else 1e-5 if depth <= 24 else 1e-6


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpecError(f"`{name}` is {value!r}", "It must be a whole number of at least 1", f"Try {name} = {_nearest(value)}")


def _nearest(value: object) -> int:
    return max(1, round(value)) if isinstance(value, float) and abs(value) < 1e9 else 1


def _check_size(name: str, value: object) -> None:
    if name == "bias_std" and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise SpecError(f"`{name}` is {value!r}", "It must be a finite number of at least 0", f"Try {name} = 1.0")


def _check_word(name: str, value: object) -> None:
    if not isinstance(value, str) and not (name == "norm" and value is None):
        raise SpecError(
            f"`{name}` is {value!r}", "It must be a word in quotation marks", f'For example {name} = "{_WORDS[name]}"'
        )


def _check_norm(spec: Mlp) -> None:
    if spec.norm is not None and spec.norm not in NORM_KINDS:
        raise unknown_name("norm", spec.norm, NORM_KINDS)
    if spec.norm and spec.residual not in (*_NORMED, "none"):
        raise SpecError(
            f'`norm` is "{spec.norm}" with `residual` "{spec.residual}", which has no place for a norm',
            f"The kinds with one are: none, {', '.join(_NORMED)}",
            'Say residual = "pre-norm", or leave `norm` out',
        )


def _check_branch(spec: Mlp) -> None:
    if spec.residual == "none" and spec.branch_layers > 1:
        raise SpecError(
            f'`branch_layers` is {spec.branch_layers} with `residual` "none"',
            "A network without a residual stream has no branches",
            f"Say depth = {spec.depth * spec.branch_layers} instead",
        )
