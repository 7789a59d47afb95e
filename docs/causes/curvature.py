"""Plain gradient descent at a learning rate of 0.8, and at 0.1."""

import torch

import fathometer as fm
from fathometer.data import digits

data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
model, twin = fm.build("mlp-5"), fm.build("mlp-5")
optimizer = torch.optim.SGD(model.parameters(), lr=0.8)
other = torch.optim.SGD(twin.parameters(), lr=0.1)
faulty = fm.preflight(model, batch, optimizer=optimizer)
healthy = fm.preflight(twin, batch, optimizer=other)
