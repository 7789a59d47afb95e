"""Thirty tanh layers as torch starts them, and with orthogonal matrices."""

import fathometer as fm

model = fm.Mlp(depth=30, activation="tanh", init="pytorch")
twin = fm.Mlp(depth=30, activation="tanh", init="orthogonal")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
