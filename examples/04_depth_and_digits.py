"""Train 1, 5 and 50 layers on real digits, and see what each layer of the deepest knows."""

import fathometer as fm
from fathometer.data import digits
from fathometer.records import Asked

for name in ("shallow-1", "mlp-5", "residual-50"):
    trained = fm.train(name, Asked(steps=150))
    print(f"{name:>12}: {trained.record.held_out_accuracy:.1%} of the test digits")

probes = fm.probe(trained.model, digits())
for point, accuracy in list(zip(probes.points, probes.accuracy, strict=True))[::10]:
    print(f"{point:>12}: a linear probe reads {accuracy:.1%}")
