"""A transformer of any depth and shape: GPT-2, GPT-3, Llama and kin."""

from dataclasses import dataclass, replace

from fathometer.activations import Activation, find_activation
from fathometer.errors import SpecError
from fathometer.parametrizations import (
    GPT2_STD,
    PARAMETRIZATIONS,
    VECTOR_ROLES,
    WIDTH_AWARE,
    Scale,
    Tensor,
    branch_multiplier,
    scale_of,
)
from fathometer.parametrizations.roles import Role
from fathometer.spec.checks import (
    check_count,
    check_divisor,
    check_flag,
    check_known,
    check_multiple,
    check_positive,
    check_size,
    check_word,
    largest_divisor,
)
from fathometer.spec.mlp import NORM_KINDS
from fathometer.spec.residual import NORM_BEFORE, NORMED, RESIDUAL_KINDS, branch_start, branch_std_factor, stream_start

TRANSFORMER_KINDS = {kind: formula for kind, formula in RESIDUAL_KINDS.items() if kind not in ("none", "highway")}
TRANSFORMER_NORMS = {kind: NORM_KINDS[kind] for kind in ("layer", "rms")}
POSITIONS: dict[str, str] = {
    "learned": "one learned vector for each position, added to the embedding",
    "rope": "queries and keys are turned by an angle that grows with the position (Su et al. 2021)",
    "none": "no positions: only the causal mask tells them apart",
}
_COUNTS = ("depth", "width", "vocabulary", "context")
_OPTIONAL_COUNTS = ("heads", "kv_heads", "mlp_width", "base_width", "base_depth")
_FLAGS = ("gated", "norm_scaling", "causal", "qk_norm", "tied", "bias")
_EXAMPLES = {"activation": "gelu", "norm": "layer", "residual": "pre-norm", "positions": "learned", "init": "gpt2"}
_KNOWN = {
    "norm": ("norm", TRANSFORMER_NORMS),
    "residual": ("residual kind", TRANSFORMER_KINDS),
    "positions": ("kind of positions", POSITIONS),
    "init": ("initialisation", PARAMETRIZATIONS),
}


@dataclass(frozen=True)
class Transformer:
    """A stack of `depth` blocks, each an attention branch and then an MLP branch, over a stream `width` wide.

    `heads` None: the largest divisor of the width up to width // 64. `kv_heads` None: as many as `heads` (fewer: grouped
    queries). `mlp_width` None: 4·width. `gated`: φ(W₁x) ⊙ W₃x in place of φ(W₁x). `residual` is one of `TRANSFORMER_KINDS`,
    `norm` ("layer", "rms") is used where that kind has a place for one, `norm_scaling` multiplies the norms of block l by
    1/√l (Sun et al. 2025). `positions` is a key of `POSITIONS`. `qk_norm`: RMSNorm over each head's queries and keys.
    Soft-caps: c·tanh(x/c), None is off. `bias`: of every linear layer in a block and of LayerNorm (the readout has none).
    `init` is a key of `PARAMETRIZATIONS`; norm_scaling and DeepNorm have their own rule for depth, so "gpt2" then leaves its
    1/√(2·depth) out. `base_width` and `base_depth` are what μP, depth-μP and CompleteP scale from (None: this network).

    Raises `SpecError` for a network that cannot exist.

    >>> Transformer(width=100).num_heads, Transformer(width=12288, depth=96).head_width
    (1, 64)
    """

    depth: int = 12
    width: int = 768
    heads: int | None = None
    kv_heads: int | None = None
    mlp_width: int | None = None
    vocabulary: int = 50257
    context: int = 1024
    activation: str = "gelu"
    gated: bool = False
    norm: str = "layer"
    residual: str = "pre-norm"
    norm_scaling: bool = False
    positions: str = "learned"
    rope_base: float = 10_000.0
    causal: bool = True
    qk_norm: bool = False
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    tied: bool = True
    bias: bool = True
    dropout: float = 0.0
    branch_scale: float = 1.0
    init: str = "gpt2"
    base_width: int | None = None
    base_depth: int | None = None

    def __post_init__(self) -> None:
        for name in (*_COUNTS, *_OPTIONAL_COUNTS):
            check_count(name, getattr(self, name), optional=name in _OPTIONAL_COUNTS)
        for name in _FLAGS:
            check_flag(name, getattr(self, name))
        check_size("branch_scale", self.branch_scale)
        check_size("dropout", self.dropout, below=1.0)
        check_positive("rope_base", self.rope_base, 10_000.0)
        check_positive("attention_softcap", self.attention_softcap, 50.0, optional=True)
        check_positive("logit_softcap", self.logit_softcap, 30.0, optional=True)
        for name, example in _EXAMPLES.items():
            check_word(name, getattr(self, name), example)
        find_activation(self.activation)
        for name, (kind, names) in _KNOWN.items():
            check_known(kind, getattr(self, name), names)
        _check_heads(self)
        _check_norm_scaling(self)

    @property
    def num_blocks(self) -> int:
        """Return the number of depth points: one for each block of attention and MLP."""
        return self.depth

    @property
    def num_branches(self) -> int:
        """Return how often something is added to the stream: twice in each block."""
        return 2 * self.depth

    @property
    def phi(self) -> Activation:
        """Return the activation itself."""
        return find_activation(self.activation)

    @property
    def num_heads(self) -> int:
        """Return the number of query heads."""
        return self.heads or _default_heads(self.width, self.positions)

    @property
    def num_kv_heads(self) -> int:
        """Return the number of key and value heads."""
        return self.kv_heads or self.num_heads

    @property
    def head_width(self) -> int:
        """Return the width of one head."""
        return self.width // self.num_heads

    @property
    def hidden_width(self) -> int:
        """Return the width of the MLP's hidden layer."""
        return self.mlp_width or 4 * self.width

    @property
    def norm_kind(self) -> str | None:
        """Return the norm that is used; None where the residual kind has no place for one."""
        return self.norm if self.residual in NORMED else None

    @property
    def ends_in_norm(self) -> bool:
        """Return whether a norm stands before the readout."""
        return self.residual in NORM_BEFORE

    def norm_multiplier(self, block: int) -> float:
        """Return what multiplies the norms of a block, counted from 0: 1, or 1/√(block + 1) with `norm_scaling`."""
        return (block + 1) ** -0.5 if self.norm_scaling else 1.0

    @property
    def width_ratio(self) -> float:
        """Return the width over the base's width."""
        return self.width / (self.base_width or self.width)

    @property
    def depth_ratio(self) -> float:
        """Return the depth over the base's depth."""
        return self.depth / (self.base_depth or self.depth)

    @property
    def branch_multiplier(self) -> float:
        """Return the number that multiplies each branch at initialisation (learned for ReZero and LayerScale)."""
        by_depth = branch_multiplier(self.init, self.depth_ratio)
        return branch_start(
            self.residual, num_branches=self.num_branches, num_blocks=self.depth, free=self.branch_scale, by_depth=by_depth
        )

    @property
    def stream_multiplier(self) -> float:
        """Return the number that multiplies the stream at each branch: 1, but (2·depth)^¼ under DeepNorm."""
        return stream_start(self.residual, self.num_branches)

    @property
    def attention_scale(self) -> float:
        """Return what multiplies queries · keys: 1/√head_width, but 1/head_width under μP and its kin."""
        return 1 / self.head_width if self.init in WIDTH_AWARE else self.head_width**-0.5

    @property
    def output_multiplier(self) -> float:
        """Return the number that multiplies the logits (before a soft-cap): 1, but 1/`width_ratio` under μP and its kin."""
        return self.scale("output", self.width, self.vocabulary).multiplier

    def scale(self, role: Role, fan_in: int, fan_out: int) -> Scale:
        """Return how one tensor starts and moves: the one table that building, optimizing and forecasting read.

        Embeddings of words and positions have fan_in 1. No gain of the activation is used: "he" is 1/√fan_in here.
        A tied readout is the embedding, and starts and moves as that; only its `multiplier` is the readout's.
        """
        own_rule = self.norm_scaling or self.residual == "deepnorm"
        asked = "hidden" if role == "branch_last" and self.init == "gpt2" and own_rule else role
        ratios = {"width_ratio": self.width_ratio, "depth_ratio": self.depth_ratio}
        tensor = Tensor(asked, fan_in, fan_out, self.num_branches, branch_layers=2, base_std=GPT2_STD, **ratios)
        scale = scale_of(self.init, tensor)
        if role in VECTOR_ROLES or role not in ("hidden", "branch_last"):
            return scale
        return replace(scale, weight_std=scale.weight_std * branch_std_factor(self.residual, self.num_branches))


def _default_heads(width: int, positions: str) -> int:
    if positions == "rope" and width % 2 == 0:
        return largest_divisor(width // 2, max(1, width // 64))
    return largest_divisor(width, max(1, width // 64))


def _check_heads(spec: Transformer) -> None:
    if spec.heads is not None:
        check_multiple("width", spec.width, spec.heads, f"With {_heads(spec.heads)}")
    if spec.positions == "rope":
        check_multiple("width", spec.width, 2 * spec.num_heads, f"With {_heads(spec.num_heads)} and RoPE, which turns pairs,")
    if spec.kv_heads is not None:
        check_divisor("kv_heads", spec.kv_heads, spec.num_heads, f"With {_heads(spec.num_heads)}")


def _check_norm_scaling(spec: Transformer) -> None:
    if spec.norm_scaling and spec.residual != "pre-norm":
        raise SpecError(
            f'`norm_scaling` is on with `residual` "{spec.residual}"',
            "It divides the norms of pre-norm blocks by √l",
            'Say residual = "pre-norm", or leave `norm_scaling` out',
        )


def _heads(number: int) -> str:
    return "1 head" if number == 1 else f"{number} heads"
