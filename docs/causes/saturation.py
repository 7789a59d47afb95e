"""Five tanh layers with weights ten times too large, and with a gain of 1.1."""

import fathometer as fm

model = fm.Mlp(depth=5, activation="tanh", init="lecun", gain=10.0)
twin = fm.Mlp(depth=5, activation="tanh", init="lecun", gain=1.1)
faulty, healthy = fm.preflight(model), fm.preflight(twin)
