"""Twelve layers of attention alone, and the same with a residual stream."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits


class Reader(nn.Module):
    def __init__(self, stream):
        super().__init__()
        torch.manual_seed(0)
        self.stream, self.stem, self.head = stream, nn.Linear(8, 32), nn.Linear(32, 10)
        self.layers = nn.ModuleList(nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(12))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = self.stream * x + layer(x, x, x)[0]
        return self.head(x[:, 0])


data = digits()
batch = data.train_inputs[:64].reshape(64, 8, 8), data.train_targets[:64]  # the rows of a digit are tokens
model, twin = Reader(stream=0), Reader(stream=1)
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
