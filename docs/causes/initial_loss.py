"""A readout whose weights are 3,000 times too large, and as they should be."""

import fathometer as fm
from fathometer.data import digits


def network(factor):
    """Return six good layers under a readout whose weights are multiplied."""
    model = fm.build(fm.Mlp(depth=6))
    model.readout.weight.data *= factor
    return model


data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
model, twin = network(factor=3000), network(factor=1)
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
