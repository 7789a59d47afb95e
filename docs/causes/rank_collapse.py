"""Sixty ReLU layers as He starts them, and the same as branches on a residual stream."""

import fathometer as fm

model = fm.Mlp(depth=60)
twin = fm.Mlp(depth=60, residual="scaled")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
