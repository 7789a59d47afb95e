"""Find the smallest remedy that is proved to work, and paste it."""

import torch
from torch import nn

import fathometer as fm
from fathometer.data import digits
from fathometer.records import Asked

torch.manual_seed(0)
layers: list[nn.Module] = []
for _ in range(25):
    layers += [nn.Linear(64, 64), nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(64, 10))

data = digits()
batches = list(zip(data.train_inputs.split(64), data.train_targets.split(64), strict=True))
fix = fm.mend(model, batches[0], data=batches, asked=Asked(steps=60))
print(fix.evidence)

namespace = {"model": model, "inputs": batches[0][0]}
exec(fix.code, namespace)  # what a reader would paste; it needs torch alone
print("verdict after pasting:", fm.preflight(namespace["model"], batches[0]).verdict)
