"""Thirty of torch's encoder layers with the norm on the stream, and with the norm in the branch."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits


def reader(norm_first):
    """Return an encoder that reads the eight rows of a digit."""
    torch.manual_seed(0)
    layers = [nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=norm_first) for _ in range(30)]
    return nn.Sequential(nn.Linear(8, 32), *layers, nn.Flatten(), nn.Linear(256, 10))


data = digits()
batch = data.train_inputs[:64].reshape(64, 8, 8), data.train_targets[:64]  # the rows of a digit are tokens
model, twin = reader(norm_first=False), reader(norm_first=True)
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
