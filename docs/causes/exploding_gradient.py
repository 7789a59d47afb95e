"""Thirty tanh layers with weights 2.5 times too large, and with orthogonal matrices."""

import fathometer as fm

model = fm.Mlp(depth=30, activation="tanh", init="lecun", gain=2.5)
twin = fm.Mlp(depth=30, activation="tanh", init="orthogonal", gain=0.6)
faulty, healthy = fm.preflight(model), fm.preflight(twin)
