"""ReLU layers whose biases start at -3, and at 0."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits


def network(bias):
    """Return six ReLU layers as He starts them, but for the biases."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64) for _ in range(6)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.constant_(layer.bias, bias)
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())), nn.Linear(64, 10))


data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
model, twin = network(bias=-3.0), network(bias=0.0)
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
