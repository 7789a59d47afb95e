"""Data for a spec without any: digits where they fit, else a teacher's."""

import torch
from torch import Tensor

from fathometer.data import digits
from fathometer.spec import ConvNet, Mlp, Spec, Transformer

NUM_SAMPLES, NUM_BATCHES = 64, 20
NUM_IMAGES, NUM_SEQUENCES, NUM_TOKENS = 16, 16, 64
Batch = tuple[Tensor, Tensor]


def own_batch(spec: Spec, seed: int = 0) -> Batch:
    """Return inputs that a network of this spec takes, and targets: the first batch of `own_data`.

    A perceptron gets `(64, inputs)`, a convnet images `(16, channels, height, width)`, a transformer tokens `(16, time)`,
    time 64 or its context, whose targets are the tokens that follow.
    """
    return own_data(spec, seed)[0]


def own_data(spec: Spec, seed: int = 0) -> list[Batch]:
    """Return batches to train on, in which there is something to learn.

    Handwritten digits where they fit; else noise of second moment 1 as a random linear teacher labels it, and for a
    transformer tokens in which each decides the next one nine times out of ten.
    """
    if isinstance(spec, Transformer):
        return _sequences(spec, seed)
    if isinstance(spec, Mlp) and (spec.inputs, spec.outputs) == (64, 10):
        data = digits(seed)
        return _cut(data.train_inputs, data.train_targets, NUM_SAMPLES)
    generator = torch.Generator().manual_seed(seed)
    if isinstance(spec, Mlp):
        inputs = torch.randn(NUM_BATCHES * NUM_SAMPLES, spec.inputs, generator=generator, device="cpu")
        return _cut(inputs, _taught(inputs, spec.outputs, generator), NUM_SAMPLES)
    return _images(spec, generator)


def _images(spec: ConvNet, generator: torch.Generator) -> list[Batch]:
    inputs = torch.randn(NUM_BATCHES * NUM_IMAGES, spec.channels, spec.side, spec.side, generator=generator, device="cpu")
    corner = inputs[:, :, :4, :4].flatten(1)  # what decides is local, as a convolution sees it
    return _cut(inputs, _taught(corner, spec.classes, generator), NUM_IMAGES)


def _sequences(spec: Transformer, seed: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    time, count = min(NUM_TOKENS, spec.context), NUM_BATCHES * NUM_SEQUENCES
    follows = torch.randperm(spec.vocabulary, generator=generator, device="cpu")
    fresh = torch.randint(0, spec.vocabulary, (count, time + 1), generator=generator, device="cpu")
    surprises = torch.rand(count, time + 1, generator=generator, device="cpu") < 0.1
    tokens = fresh.clone()
    for place in range(1, time + 1):
        tokens[:, place] = torch.where(surprises[:, place], fresh[:, place], follows[tokens[:, place - 1]])
    return _cut(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), NUM_SEQUENCES)


def _taught(inputs: Tensor, outputs: int, generator: torch.Generator) -> Tensor:
    values = inputs @ torch.randn(inputs.shape[1], outputs, generator=generator, device="cpu") / inputs.shape[1] ** 0.5
    return values if outputs == 1 else values.argmax(dim=1)


def _cut(inputs: Tensor, targets: Tensor, size: int) -> list[Batch]:
    starts = range(0, len(inputs) - size + 1, size)
    return [(inputs[start : start + size], targets[start : start + size]) for start in starts]
