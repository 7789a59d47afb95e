"""Six layers, the signal detached in front of the last one, and not detached."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits


class Trunk(nn.Module):
    def __init__(self, cut):
        super().__init__()
        torch.manual_seed(0)
        self.cut, self.head = cut, nn.Linear(64, 10)
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(6))

    def forward(self, x):
        for index, layer in enumerate(self.layers):
            x = layer(x.detach() if self.cut and index == 5 else x).relu()
        return self.head(x)


data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
model, twin = Trunk(cut=True), Trunk(cut=False)
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
