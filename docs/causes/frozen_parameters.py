"""Five layers of which only the readout may move, and all of them free."""

import fathometer as fm
from fathometer.data import digits

data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
model, twin = fm.build(fm.Mlp(depth=5)), fm.build(fm.Mlp(depth=5))
model.blocks.requires_grad_(False)
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
