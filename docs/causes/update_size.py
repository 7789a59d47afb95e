"""Adam at a learning rate of 1, and at 0.001."""

import torch

import fathometer as fm
from fathometer.data import digits

data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
model, twin = fm.build("mlp-5"), fm.build("mlp-5")
optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
other = torch.optim.Adam(twin.parameters(), lr=1e-3)
faulty = fm.preflight(model, batch, optimizer=optimizer)
healthy = fm.preflight(twin, batch, optimizer=other)
