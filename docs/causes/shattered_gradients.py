"""Forty chaotic tanh layers, and the same with orthogonal matrices."""

import fathometer as fm

model = fm.Mlp(depth=40, activation="tanh", init="lecun", gain=2.5)
twin = fm.Mlp(depth=40, activation="tanh", init="orthogonal")
faulty = fm.preflight(model, thorough=True)
healthy = fm.preflight(twin, thorough=True)
