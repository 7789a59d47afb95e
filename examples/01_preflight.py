"""Will this network train? Ask before training."""

import torch
from torch import nn

import fathometer as fm

torch.manual_seed(0)
layers: list[nn.Module] = []
for _ in range(40):
    layers += [nn.Linear(64, 64), nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(64, 10))
batch = (torch.randn(64, 64), torch.randint(0, 10, (64,)))

check = fm.preflight(model, batch)
print(check)
print("verdict:", check.verdict)
print("causes:", [finding.cause for finding in check.findings])
check.save_html("preflight.html")
