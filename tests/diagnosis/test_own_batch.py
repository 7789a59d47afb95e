"""Data for a spec that comes without any."""

import pytest
import torch

from fathometer.data import digits
from fathometer.diagnosis.own_batch import NUM_SAMPLES, own_batch, own_data
from fathometer.spec import Mlp


def test_the_digits_serve_where_they_fit() -> None:
    """64 inputs and 10 outputs are handwriting, each image once."""
    inputs, targets = own_batch(Mlp())
    whole = torch.cat([each for each, _ in own_data(Mlp())])

    assert torch.equal(inputs, digits().train_inputs[:NUM_SAMPLES])
    assert torch.equal(targets, digits().train_targets[:NUM_SAMPLES])
    assert torch.equal(whole, digits().train_inputs[: len(whole)])
    assert len(digits().train_inputs) - len(whole) < NUM_SAMPLES


@pytest.mark.parametrize(("outputs", "kind"), [(3, torch.int64), (1, torch.float32)])
def test_elsewhere_a_teacher_serves(outputs: int, kind: torch.dtype) -> None:
    """Noise of second moment 1, labelled by a linear teacher, so that there is something to learn; the seed decides it."""
    spec = Mlp(inputs=20, outputs=outputs)
    data = own_data(spec, seed=1)
    inputs, targets = (torch.cat(part) for part in zip(*data, strict=True))

    assert targets.dtype is kind
    assert float(inputs.square().mean()) == pytest.approx(1.0, abs=0.05)  # 25,600 draws: 0.009 is one standard deviation
    solution = torch.linalg.lstsq(inputs, targets if outputs == 1 else torch.nn.functional.one_hot(targets).float()).solution
    found = inputs @ solution
    hit = (found - targets).abs().max() < 1e-3 if outputs == 1 else (found.argmax(1) == targets).double().mean() > 0.9
    assert bool(hit)
    assert torch.equal(own_batch(spec, seed=1)[0], data[0][0])
    assert not torch.equal(own_batch(spec, seed=2)[0], data[0][0])
