"""Twelve layers of attention whose queries and keys start 40 times too large, and as torch starts them."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits


class Reader(nn.Module):
    def __init__(self, factor):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.head = nn.Linear(8, 32), nn.Linear(32, 10)
        self.layers = nn.ModuleList(nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(12))
        for layer in self.layers:
            layer.in_proj_weight.data[:64] *= factor  # the rows of queries and keys

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x, x, x)[0]
        return self.head(x[:, 0])


data = digits()
batch = data.train_inputs[:64].reshape(64, 8, 8), data.train_targets[:64]  # the rows of a digit are tokens
model, twin = Reader(factor=40), Reader(factor=1)
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
