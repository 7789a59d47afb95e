"""A residual convnet, CIFAR or ImageNet shaped, and its plain twin."""

from dataclasses import dataclass

from fathometer.activations import Activation, find_activation
from fathometer.errors import SpecError, shown
from fathometer.parametrizations import PARAMETRIZATIONS, VECTOR_ROLES, Scale, Tensor, branch_multiplier, scale_of
from fathometer.parametrizations.roles import Role
from fathometer.spec.checks import check_count, check_flag, check_known, check_size, check_word

CONV_KINDS: dict[str, str] = {
    "post-activation": "x ← φ(shortcut(x) + α f(x)), f = conv norm φ conv norm (He et al. 2016)",
    "none": "x ← φ(f(x)): the plain twin, with the same layers and no shortcuts",
}
CONV_NORMS: dict[str, str] = {
    "batch": "each channel over the samples and places of a batch",
    "layer": "each sample over all its channels and places (GroupNorm with one group)",
}
LAYOUTS: dict[str, str] = {
    "cifar": "3×3 stem, three stages of widths w, 2w, 4w, 32×32 images",
    "imagenet": "7×7 stem and a 3×3 max-pool, four stages of widths w, 2w, 4w, 8w, 224×224 images",
}
SHORTCUTS: dict[str, str] = {
    "A": "where shapes change: every second place, and zeros for the new channels; no parameters",
    "B": "where shapes change: a 1×1 convolution (and a norm)",
}
EXPANSION = {"basic": 1, "bottleneck": 4}  # a block's output channels over its stage's width
_IMAGENET_STAGES = {
    ("basic", 18): (2, 2, 2, 2),
    ("basic", 34): (3, 4, 6, 3),
    ("bottleneck", 50): (3, 4, 6, 3),
    ("bottleneck", 101): (3, 4, 23, 3),
    ("bottleneck", 152): (3, 8, 36, 3),
}
_CONVS = {"basic": 2, "bottleneck": 3}
_EXAMPLES = {"layout": "cifar", "block": "basic", "activation": "relu", "residual": "post-activation", "norm": "batch"}
_OPTIONAL = ("block", "norm", "shortcut", "width", "image_size", "base_width", "base_depth")


@dataclass(frozen=True)
class ConvNet:
    """A convnet of `depth` weighted layers on one path: stem, blocks in stages, average pool, readout.

    `layout` is a key of `LAYOUTS`. `depth` is 6n + 2 for "cifar" (n basic blocks in each stage); for "imagenet" 18, 34
    (basic blocks), 50, 101 or 152 (bottlenecks), or anything with `stages`, the number of blocks in each. `width` is the
    first stage's number of channels (None: 16 or 64); each further stage has twice as many and halves the image. `residual`
    is a key of `CONV_KINDS`, `norm` of `CONV_NORMS` (None: no norm, and convolutions have biases), `shortcut` of `SHORTCUTS`
    (None: A for "cifar", B for "imagenet"). `zero_init_last`: the gain of each block's last norm starts at 0. A bottleneck
    strides in its 3×3 convolution. init="he" is √2/√fan_out for convolutions with fan_out = channels out × k × k, and He's
    usual fan_in for the readout. `base_width` and `base_depth` are what μP and CompleteP scale from (None: this one).

    Raises `SpecError` for a network that cannot exist.

    >>> ConvNet(depth=56).num_blocks, ConvNet(layout="imagenet", depth=50).block_counts
    (27, (3, 4, 6, 3))
    """

    layout: str = "cifar"
    depth: int = 20
    stages: tuple[int, ...] | None = None
    block: str | None = None
    width: int | None = None
    classes: int = 10
    image_size: int | None = None
    channels: int = 3
    activation: str = "relu"
    residual: str = "post-activation"
    norm: str | None = "batch"
    shortcut: str | None = None
    zero_init_last: bool = False
    branch_scale: float = 1.0
    init: str = "he"
    base_width: int | None = None
    base_depth: int | None = None

    def __post_init__(self) -> None:
        for name in ("depth", "width", "classes", "image_size", "channels", "base_width", "base_depth"):
            check_count(name, getattr(self, name), optional=name in _OPTIONAL)
        check_flag("zero_init_last", self.zero_init_last)
        check_size("branch_scale", self.branch_scale)
        for name, example in {**_EXAMPLES, "shortcut": "B", "init": "he"}.items():
            check_word(name, getattr(self, name), example, optional=name in _OPTIONAL)
        find_activation(self.activation)
        for kind, value, names in (
            ("layout", self.layout, LAYOUTS),
            ("kind of block", self.block, EXPANSION),
            ("residual kind of a convnet", self.residual, CONV_KINDS),
            ("norm of a convnet", self.norm, CONV_NORMS),
            ("shortcut", self.shortcut, SHORTCUTS),
            ("initialisation", self.init, PARAMETRIZATIONS),
        ):
            check_known(kind, value, names)
        _check_stages(self)
        _check_last_norm(self)
        if self.base_depth is not None and self.base_depth < 3:
            raise SpecError(f"`base_depth` is {self.base_depth}", "A base has at least one block", "Try base_depth = 8")

    @property
    def block_kind(self) -> str:
        """Return "basic" or "bottleneck": the one that was named, or the one of that depth (bottleneck from 50 on)."""
        return self.block or ("bottleneck" if self.layout == "imagenet" and self.depth >= 50 else "basic")

    @property
    def block_counts(self) -> tuple[int, ...]:
        """Return the number of blocks in each stage."""
        if self.stages is not None:
            return self.stages
        if self.layout == "imagenet":
            return _IMAGENET_STAGES[self.block_kind, self.depth]
        return ((self.depth - 2) // (3 * _CONVS[self.block_kind]),) * 3

    @property
    def num_blocks(self) -> int:
        """Return the number of depth points: one for each block."""
        return sum(self.block_counts)

    @property
    def first_width(self) -> int:
        """Return the channels of the first stage, before a bottleneck's expansion."""
        return self.width or (16 if self.layout == "cifar" else 64)

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Return the width of each stage, before a bottleneck's expansion."""
        return tuple(self.first_width * 2**stage for stage in range(len(self.block_counts)))

    @property
    def expansion(self) -> int:
        """Return a block's output channels over its stage's width."""
        return EXPANSION[self.block_kind]

    @property
    def side(self) -> int:
        """Return the height and width of an image."""
        return self.image_size or (32 if self.layout == "cifar" else 224)

    @property
    def shortcut_kind(self) -> str | None:
        """Return "A" or "B"; None for a plain twin."""
        if self.residual == "none":
            return None
        return self.shortcut or ("A" if self.layout == "cifar" else "B")

    @property
    def phi(self) -> Activation:
        """Return the activation itself."""
        return find_activation(self.activation)

    @property
    def norm_kind(self) -> str | None:
        """Return the norm that is used."""
        return self.norm

    @property
    def width_ratio(self) -> float:
        """Return the width over the base's width."""
        return self.first_width / (self.base_width or self.first_width)

    @property
    def depth_ratio(self) -> float:
        """Return the layers in blocks over the base's; 1 without shortcuts, where there are no branches to scale."""
        return 1.0 if self.residual == "none" else (self.depth - 2) / ((self.base_depth or self.depth) - 2)

    @property
    def branch_multiplier(self) -> float:
        """Return the number that multiplies each branch, behind its last norm."""
        return self.branch_scale * branch_multiplier(self.init, self.depth_ratio)

    @property
    def stream_multiplier(self) -> float:
        """Return the number that multiplies the stream in each block: 1."""
        return 1.0

    @property
    def output_multiplier(self) -> float:
        """Return the number that multiplies the readout's output: 1, but 1/`width_ratio` under μP and its kin."""
        return self.scale("output", self.stage_widths[-1] * self.expansion, self.classes).multiplier

    def scale(self, role: Role, fan_in: int, fan_out: int) -> Scale:
        """Return how one tensor starts and moves: the one table that building, optimizing and forecasting read.

        Of a convolution `fan_in` is channels in × k × k and `fan_out` channels out × k × k. The stem is "input", the last
        convolution of a block "branch_last" (with or without shortcuts), all others and projections "hidden".
        """
        gain = 1.0 if role in (*VECTOR_ROLES, "output") else self.phi.classic_gain or 1.0
        if self.init == "he" and role != "output":
            fan_in = fan_out
        ratios = {"width_ratio": self.width_ratio, "depth_ratio": self.depth_ratio}
        tensor = Tensor(role, fan_in, fan_out, self.num_blocks, _CONVS[self.block_kind], gain, **ratios)
        return scale_of(self.init, tensor)


def _check_stages(spec: ConvNet) -> None:
    if spec.stages is not None:
        _check_given_stages(spec)
    elif spec.layout == "imagenet":
        if (spec.block_kind, spec.depth) not in _IMAGENET_STAGES:
            known = [str(depth) for block, depth in _IMAGENET_STAGES if spec.block in (None, block)]
            raise _wrong_depth(spec, f"without `stages` it is {', '.join(known[:-1])} or {known[-1]}", list(map(int, known)))
    else:
        step = 3 * _CONVS[spec.block_kind]
        if spec.depth < step + 2 or (spec.depth - 2) % step:
            nearest = max(1, (spec.depth - 2) // step) * step + 2
            raise _wrong_depth(spec, f"three equal stages make it {step}n + 2", [nearest, nearest + step])


def _wrong_depth(spec: ConvNet, expected: str, near: list[int]) -> SpecError:
    nearest = sorted(sorted(near, key=lambda depth: abs(depth - spec.depth))[:2])
    tried = " or ".join(map(str, nearest))
    return SpecError(f"`depth` is {spec.depth}", f'For layout "{spec.layout}" {expected}', f"Try depth = {tried}")


def _check_given_stages(spec: ConvNet) -> None:
    stages, count = spec.stages, 3 if spec.layout == "cifar" else 4
    whole = isinstance(stages, tuple) and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in stages)
    if not whole or len(stages) != count:
        example = [2] * count
        raise SpecError(
            f"`stages` is {shown(stages)}", f"It must be {count} whole numbers of at least 1", f"Try stages = {example}"
        )
    depth = _CONVS[spec.block_kind] * sum(stages) + 2
    if depth != spec.depth:
        raise SpecError(
            f"`depth` is {spec.depth} and `stages` {list(stages)}",
            f"Those stages of {spec.block_kind} blocks make {depth} weighted layers",
            f"Say depth = {depth}",
        )


def _check_last_norm(spec: ConvNet) -> None:
    if spec.zero_init_last and (spec.norm is None or spec.residual == "none"):
        raise SpecError(
            "`zero_init_last` is on",
            "It needs a norm at the end of each branch and a shortcut around it",
            "Leave `zero_init_last` out",
        )
