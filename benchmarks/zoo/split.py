"""Which families are developed on and which are only scored; fixed before any verdict was looked at."""

from collections.abc import Callable

from benchmarks.zoo.entry import Entry
from benchmarks.zoo.families import (
    deeper,
    grids,
    languages,
    memories,
    perceptrons,
    pictures,
    sights,
    smooth,
    spans,
    streams,
    tongues,
)

Family = Callable[[], list[Entry]]

DEVELOP: dict[str, Family] = {
    "ReLU perceptron": perceptrons.relu,
    "ReLU perceptron, wired wrong": perceptrons.around,
    "tanh perceptron": perceptrons.tanh,
    "GELU perceptron": perceptrons.gelu,
    "perceptron with batch norm": perceptrons.batch_normed,
    "residual perceptron": streams.streams,
    "post-norm perceptron": streams.normed_streams,
    "own residual perceptron": streams.own_streams,
    "autoencoder": streams.autoencoders,
    "plain convnet": pictures.plain_convnets,
    "ResNet": pictures.resnets,
    "plain convnet with batch norm": pictures.deep_batch_norm,
    "GPT": languages.gpts,
    "encoder of rows": languages.row_readers,
    "post-norm encoder of rows": languages.post_norm_readers,
    "recurrent tanh network": memories.tanh_memories,
    "LSTM": memories.gated_memories,
}
SCORED: dict[str, Family] = {
    "SiLU perceptron": smooth.silu,
    "sigmoid perceptron": smooth.sigmoid,
    "SELU perceptron": smooth.selu,
    "ELU perceptron": smooth.elu,
    "leaky ReLU perceptron": smooth.leaky,
    "own arithmetic": smooth.not_finite,
    "deep residual perceptron": deeper.deep_streams,
    "post-norm perceptron, SiLU": deeper.deep_post_norm,
    "own residual perceptron, SiLU": deeper.silent_streams,
    "GELU convnet": grids.gelu_convnets,
    "DenseNet": grids.dense,
    "U-Net": grids.u_nets,
    "zero-started language model": tongues.zero_started,
    "peri-norm language model": tongues.peri_normed,
    "gated language model": tongues.gated,
    "mixture of experts": tongues.experts,
    "torch's encoder": sights.torch_encoders,
    "vision transformer": sights.vision,
    "mixer": sights.mixers,
    "state space": spans.state_spaces,
    "GRU": spans.gru,
    "encoder-decoder": spans.pairs,
    "Hugging Face": spans.hub,
}
PARTS: dict[str, dict[str, Family]] = {"develop": DEVELOP, "scored": SCORED}


def entries(part: str) -> list[Entry]:
    """Return the networks of a part: "develop" or "scored"."""
    return [entry for family in PARTS[part].values() for entry in family()]
