"""Sixty tanh layers with Gaussian weights of gain 1, and fifty with orthogonal ones."""

import fathometer as fm

model = fm.Mlp(depth=60, activation="tanh", init="lecun")
twin = fm.preset("orthogonal-tanh-50")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
