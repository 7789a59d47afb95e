"""What should happen? Theory in milliseconds, and the measurement beside it."""

import fathometer as fm
from fathometer.figures import save

spec = fm.Mlp(depth=50, activation="tanh", init="lecun", gain=1.33, bias_std=0.05**0.5)
expected = fm.forecast(spec)
print("theory: gradient changes by", expected.gain_per_block("gradient"), "per block")

check = fm.preflight(spec)
print("measured:", check.profile.gain_per_block("gradient"))
save(check.figure("signal"), "signal.svg")
