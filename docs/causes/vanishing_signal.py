"""Fifteen ReLU layers with weights a quarter of He's, and with He's own."""

import fathometer as fm

model = fm.Mlp(depth=15, init="he", gain=0.25)
twin = fm.Mlp(depth=15, init="he")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
