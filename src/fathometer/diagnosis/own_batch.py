"""A batch for a spec that comes without one: real digits where they fit, else noise."""

import torch
from torch import Tensor

from fathometer.data import digits
from fathometer.spec import ConvNet, Mlp, Spec, Transformer

NUM_SAMPLES = 64
NUM_IMAGES = 16
NUM_SEQUENCES, NUM_TOKENS = 4, 64


def own_batch(spec: Spec, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return inputs that a network of this spec takes, and class targets.

    A perceptron gets `(64, inputs)` of second moment 1, a convnet Gaussian images `(16, channels, height, width)`, a
    transformer random tokens `(4, time)`, time 64 or its context, whose targets are the tokens that follow.
    """
    generator = torch.Generator().manual_seed(seed)
    if isinstance(spec, Transformer):
        size = (NUM_SEQUENCES, min(NUM_TOKENS, spec.context) + 1)
        tokens = torch.randint(0, spec.vocabulary, size, generator=generator)
        return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    if isinstance(spec, ConvNet):
        inputs = torch.randn(NUM_IMAGES, spec.channels, spec.side, spec.side, generator=generator)
        return inputs, torch.randint(0, spec.classes, (NUM_IMAGES,), generator=generator)
    return _vectors(spec, seed, generator)


def _vectors(spec: Mlp, seed: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    if (spec.inputs, spec.outputs) == (64, 10):
        data = digits(seed)
        return data.train_inputs[:NUM_SAMPLES], data.train_targets[:NUM_SAMPLES]
    inputs = torch.randn(NUM_SAMPLES, spec.inputs, generator=generator)
    return inputs, torch.randint(0, spec.outputs, (NUM_SAMPLES,), generator=generator)
