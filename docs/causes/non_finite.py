"""The logarithm of a probability that may be 0, and `log_softmax`, which never takes it."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits


class Log(nn.Module):
    def forward(self, x):
        return torch.log(torch.softmax(1000 * x, dim=-1))


def network(end):
    """Return two ReLU layers, a readout and what comes last."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10), end)


data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
model, twin = network(Log()), network(nn.LogSoftmax(dim=-1))
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
