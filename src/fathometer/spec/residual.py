"""The residual kinds, and what follows from each: norms and multipliers."""

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
NORMED = ("pre-norm", "post-norm", "peri-norm", "deepnorm")
NORM_BEFORE = ("pre-norm", "peri-norm")  # these also end in a norm before the readout
NORM_INSIDE = ("peri-norm",)
NORM_AFTER = ("post-norm", "deepnorm")
LEARNED_SCALE = ("rezero", "layerscale")
FREE_SCALE = ("plain", "pre-norm", "post-norm", "peri-norm")  # a parametrization may scale their branches by depth


def branch_start(kind: str, *, num_branches: int, num_blocks: int, free: float, by_depth: float = 1.0) -> float:
    """Return the number that multiplies each branch at initialisation.

    `free` is the spec's own `branch_scale`, `by_depth` what the parametrization multiplies it with where the kind
    leaves the scale open. ReZero starts at 0, LayerScale at `layerscale_start`, "scaled" is 1/√branches.
    """
    if kind == "scaled":
        return num_branches**-0.5
    if kind == "rezero":
        return 0.0
    if kind == "layerscale":
        return layerscale_start(num_blocks)
    return free * by_depth if kind in FREE_SCALE else free


def stream_start(kind: str, num_branches: int) -> float:
    """Return the number that multiplies the stream at each branch: 1, but branches^¼ under DeepNorm."""
    return num_branches**0.25 if kind == "deepnorm" else 1.0


def branch_std_factor(kind: str, num_branches: int) -> float:
    """Return what multiplies the std of a branch's weights (not queries and keys): (4·branches)^-¼ under DeepNorm, else 1."""
    return (4 * num_branches) ** -0.25 if kind == "deepnorm" else 1.0


def layerscale_start(depth: int) -> float:
    """Return LayerScale's first value: 0.1 up to 18 blocks, 1e-5 up to 24, then 1e-6. Touvron et al. 2021."""
    return 0.1 if depth <= 18 else 1e-5 if depth <= 24 else 1e-6


def deepnorm_constants(encoder: int = 0, decoder: int = 0) -> dict[str, tuple[float, float]]:
    """Return (stream multiplier α, branch std factor β) of each stack of `encoder` and `decoder` blocks.

    One stack of N blocks: α = (2N)^¼, β = (8N)^-¼. Both: the encoder has .81(N⁴M)^(1/16) and .87(N⁴M)^(-1/16), the
    decoder (3M)^¼ and (12M)^-¼. Wang et al. 2022, "DeepNet: scaling Transformers to 1,000 layers".

    >>> {stack: round(stream, 4) for stack, (stream, _) in deepnorm_constants(encoder=6, decoder=6).items()}
    {'encoder': 1.4179, 'decoder': 2.0598}
    """
    if encoder and decoder:
        mixed = (encoder**4 * decoder) ** (1 / 16)
        return {"encoder": (0.81 * mixed, 0.87 / mixed), "decoder": ((3 * decoder) ** 0.25, (12 * decoder) ** -0.25)}
    stacks = {"encoder": encoder, "decoder": decoder}
    return {name: (stream_start("deepnorm", 2 * n), branch_std_factor("deepnorm", 2 * n)) for name, n in stacks.items() if n}
