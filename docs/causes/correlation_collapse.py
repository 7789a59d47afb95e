"""Sixty ReLU layers with LayerNorm and no residual stream, and the same with one."""

import fathometer as fm

model = fm.Mlp(depth=60, norm="layer")
twin = fm.Mlp(depth=60, residual="pre-norm")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
