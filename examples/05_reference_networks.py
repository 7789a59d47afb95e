"""From one layer to the 96 of GPT-3: theory at full size, measured at 64 units, grown by a third."""

import torch

import fathometer as fm
from fathometer.scaling import num_parameters

full = fm.preset("gpt3-175b")
theory = fm.forecast(full)
print(f"gpt3-175b: {num_parameters(full):,} parameters in {full.depth} blocks")
print("theory, full size: the gradient changes by", theory.gain_per_block("gradient"), "per block")

check = fm.preflight("gpt2@width=64,vocabulary=500")
print(check.verdict, "| measured", check.profile.gain_per_block("gradient"), "theory", check.forecast.gain_per_block("gradient"))

model = fm.build("gpt2@width=64,vocabulary=500")
grown = fm.deepen(model, to=16)
tokens = torch.randint(0, 500, (2, 32))
difference = (grown.model(tokens) - model(tokens)).abs().max().item()
print("12 blocks grown to", grown.model.spec.depth, "and the output moved by", difference)
