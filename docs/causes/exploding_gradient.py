"""Fifty tanh layers with weights twice too large, and with orthogonal matrices."""

import fathometer as fm

model = fm.Mlp(depth=50, activation="tanh", init="lecun", gain=2.5)
twin = fm.preset("orthogonal-tanh-50")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
