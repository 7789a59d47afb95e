"""A multilayer perceptron of any depth: plain, or with a stream."""

from dataclasses import dataclass, replace

from fathometer.activations import Activation, find_activation
from fathometer.errors import SpecError
from fathometer.parametrizations import PARAMETRIZATIONS, VECTOR_ROLES, Scale, Tensor, branch_multiplier, scale_of
from fathometer.parametrizations.roles import Role
from fathometer.spec.checks import check_count, check_known, check_size, check_word
from fathometer.spec.residual import NORMED, RESIDUAL_KINDS, branch_start, branch_std_factor, stream_start

NORM_KINDS: dict[str, str] = {
    "layer": "each sample over its units, then a gain and a bias for each unit",
    "rms": "each sample over its units, without taking the mean away, then a gain for each unit",
    "batch": "each unit over the samples of a batch, then a gain and a bias for each unit",
}
_EXAMPLES = {"activation": "relu", "residual": "pre-norm", "init": "he", "norm": "layer"}


@dataclass(frozen=True)
class Mlp:
    """A stack of `depth` blocks, each `width` wide, from `inputs` numbers to `outputs` numbers.

    Without a residual stream, block 1 maps `inputs` to `width`. With one, a linear stem does, and each block adds
    f(x) = W_m φ(… W_1 φ(x)), m = `branch_layers`. `residual` is a key of `RESIDUAL_KINDS`; `norm` is None, "layer",
    "rms" or "batch"; `init` a key of `PARAMETRIZATIONS`. `gain` multiplies the std of every weight but the readout's
    (with init="lecun" it is the σ_w of mean-field theory, and `bias_std` is σ_b; None leaves the biases to `init`).
    `base_width` and `base_depth` are the network that μP, depth-μP and CompleteP scale from (None: this one).

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
    base_width: int | None = None
    base_depth: int | None = None

    def __post_init__(self) -> None:
        for name in ("depth", "width", "inputs", "outputs", "branch_layers"):
            check_count(name, getattr(self, name))
        for name in ("base_width", "base_depth"):
            check_count(name, getattr(self, name), optional=True)
        for name in ("branch_scale", "gain", "bias_std"):
            check_size(name, getattr(self, name), optional=name == "bias_std")
        for name, example in _EXAMPLES.items():
            check_word(name, getattr(self, name), example, optional=name == "norm")
        find_activation(self.activation)
        check_known("residual kind", self.residual, RESIDUAL_KINDS)
        check_known("initialisation", self.init, PARAMETRIZATIONS)
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
        return self.norm or ("layer" if self.residual in NORMED else None)

    @property
    def width_ratio(self) -> float:
        """Return the width over the base's width."""
        return self.width / (self.base_width or self.width)

    @property
    def depth_ratio(self) -> float:
        """Return the depth over the base's depth; 1 without a residual stream, where there are no branches to scale."""
        return 1.0 if self.residual == "none" else self.depth / (self.base_depth or self.depth)

    @property
    def branch_multiplier(self) -> float:
        """Return the number that multiplies each branch at initialisation (ReZero: 0; a highway block has a gate instead)."""
        by_depth = branch_multiplier(self.init, self.depth_ratio)
        return branch_start(
            self.residual, num_branches=self.depth, num_blocks=self.depth, free=self.branch_scale, by_depth=by_depth
        )

    @property
    def stream_multiplier(self) -> float:
        """Return the number that multiplies the stream in each block: 1, but depth^¼ under DeepNorm."""
        return stream_start(self.residual, self.depth)

    @property
    def output_multiplier(self) -> float:
        """Return the number that multiplies the readout's output: 1, but 1/`width_ratio` under μP and its kin."""
        return self.scale("output", self.width, self.outputs).multiplier

    def scale(self, role: Role, fan_in: int, fan_out: int) -> Scale:
        """Return how one tensor starts and moves: the one table that building, optimizing and forecasting read."""
        ratios = {"width_ratio": self.width_ratio, "depth_ratio": self.depth_ratio}
        tensor = Tensor(role, fan_in, fan_out, self.depth, self.branch_layers, self._gain_before(role), **ratios)
        scale = scale_of(self.init, tensor)
        if role in VECTOR_ROLES:
            return scale
        gain = 1.0 if role == "output" else self.gain
        if role in ("hidden", "branch_last"):
            gain *= branch_std_factor(self.residual, self.depth)
        bias_std = scale.bias_std if self.bias_std is None or role == "output" else self.bias_std
        return replace(scale, weight_std=scale.weight_std * gain, bias_std=bias_std)

    def _gain_before(self, role: Role) -> float:
        has_activation = role in ("hidden", "branch_last") or (role == "input" and self.residual == "none")
        return (self.phi.classic_gain or 1.0) if has_activation else 1.0


def _check_norm(spec: Mlp) -> None:
    check_known("norm", spec.norm, NORM_KINDS)
    if spec.norm and spec.residual not in (*NORMED, "none"):
        raise SpecError(
            f'`norm` is "{spec.norm}" with `residual` "{spec.residual}", which has no place for a norm',
            f"The kinds with one are: none, {', '.join(NORMED)}",
            'Say residual = "pre-norm", or leave `norm` out',
        )


def _check_branch(spec: Mlp) -> None:
    if spec.residual == "none" and spec.branch_layers > 1:
        raise SpecError(
            f'`branch_layers` is {spec.branch_layers} with `residual` "none"',
            "A network without a residual stream has no branches",
            f"Say depth = {spec.depth * spec.branch_layers} instead",
        )
