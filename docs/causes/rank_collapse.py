"""A hundred and fifty tanh layers with Gaussian weights of gain 1, and as many with orthogonal ones."""

import fathometer as fm

model = fm.Mlp(depth=150, activation="tanh", init="lecun")
twin = fm.preset("orthogonal-tanh-50@depth=150")
faulty, healthy = fm.preflight(model), fm.preflight(twin)
