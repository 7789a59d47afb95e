"""Thirty residual blocks whose branches count twice, and the same with branches times 1/√depth."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits


class Block(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale, self.layer = scale, nn.Linear(64, 64)
        nn.init.kaiming_normal_(self.layer.weight)

    def forward(self, x):
        return x + self.scale * self.layer(x.relu())


data = digits()
batch = data.train_inputs[:64], data.train_targets[:64]
torch.manual_seed(0)
model, twin = (nn.Sequential(*(Block(scale) for _ in range(30)), nn.Linear(64, 10)) for scale in (2.0, 30**-0.5))
faulty = fm.preflight(model, batch)
healthy = fm.preflight(twin, batch)
