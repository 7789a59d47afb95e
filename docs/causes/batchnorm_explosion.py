"""Forty ReLU layers with BatchNorm, and the same on a residual stream."""

import fathometer as fm

model = fm.Mlp(depth=40, norm="batch")
twin = fm.Mlp(depth=40, norm="batch", residual="pre-norm")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
