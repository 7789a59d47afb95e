"""Where in a sequence? Queries and keys are turned by an angle."""

import torch
from jaxtyping import Float
from torch import Tensor


def rotate(heads: Float[Tensor, "*batch time head_width"], base: float) -> Float[Tensor, "*batch time head_width"]:
    """Turn each pair of units at place t by the angle t·base^(-2i/head_width), i = 0, 1, … (RoPE).

    Unit i is paired with unit i + head_width/2, as in the weights of Llama that Hugging Face holds. The product of a turned
    query and a turned key depends on how far apart they are, and not on where. Angles are reckoned in float32 at least.
    Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding".
    """
    time, half = heads.shape[-2], heads.shape[-1] // 2
    precise = torch.promote_types(heads.dtype, torch.float32)
    frequencies = base ** (-torch.arange(half, device=heads.device, dtype=precise) / half)
    angles = torch.arange(time, device=heads.device, dtype=precise)[:, None] * frequencies
    cos, sin = angles.cos().to(heads.dtype), angles.sin().to(heads.dtype)
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
