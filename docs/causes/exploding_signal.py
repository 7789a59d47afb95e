"""Fifteen ReLU layers with weights four times He's, and with He's own."""

import fathometer as fm

model = fm.Mlp(depth=15, init="he", gain=4.0)
twin = fm.Mlp(depth=15, init="he")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
