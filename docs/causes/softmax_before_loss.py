"""A softmax at the end of a network that cross-entropy is asked to train, and none."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits


def network(*end):
    """Return two ReLU layers, a readout and what comes last."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10), *end)


data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
model, twin = network(nn.Softmax(dim=-1)), network()
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
