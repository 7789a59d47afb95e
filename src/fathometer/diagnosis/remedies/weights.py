"""Other numbers in the same weights: code that runs, shown to paste."""

from collections.abc import Callable, Sequence

import torch
from torch import nn


def draws_of(module: nn.Module, gain: float, orthogonal: bool) -> list[tuple[torch.Tensor, float, bool]]:
    """Return the matrices that a module owns and that may move, each with its gain and whether it is to be orthogonal.

    A recurrent state's matrices are orthogonal, gate by gate, its inputs as small as torch draws them; what makes queries, keys
    and values, and embeddings have gain 1; an output of a transposed convolution meets every stride-th tap.
    """
    own = dict(module.named_parameters(recurse=False))
    matrices = {name: each for name, each in own.items() if each.ndim > 1 and each.requires_grad}
    if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return [(weight, gain, orthogonal) for weight in matrices.values()]
    if isinstance(module, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        taps = module.groups * torch.tensor(module.stride).prod().item()
        return [(each, gain * (taps * each.shape[1] / each.shape[0]) ** 0.5, False) for each in matrices.values()]
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        gates = [(name, gate) for name, weight in matrices.items() for gate in weight.split(module.hidden_size)]
        small = (3 * module.hidden_size) ** -0.5
        return [(g, 1.0, True) if "weight_hh" in name else (g, small * g.shape[1] ** 0.5, False) for name, g in gates]
    if isinstance(module, nn.MultiheadAttention):
        return [(part, 1.0, orthogonal) for weight in matrices.values() for part in weight.split(module.embed_dim)]
    if isinstance(module, nn.Embedding) and module.padding_idx is None:
        return [(weight, 1.0, False) for weight in matrices.values()]
    return []


def initialise(model: nn.Module, gain: float, orthogonal: bool = False, readout: float = 1.0, seed: int = 0) -> nn.Module:
    """Draw every weight matrix anew with std gain/sqrt(fan_in) (or orthogonal times gain), and set the biases to 0.

    The last layer is multiplied by `readout`, so that the first outputs are near a fair guess, unless it is an embedding as
    well; an LSTM remembers (forget bias 1). What is frozen stays as it is.
    """
    tied = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    generator, last = torch.Generator("cpu").manual_seed(seed), None
    with torch.no_grad():
        for module in model.modules():
            draws = draws_of(module, gain, orthogonal)
            for weight, size, is_orthogonal in draws:
                rows = torch.empty(weight.shape[0], weight[0].numel(), dtype=torch.float32, device="cpu")
                if is_orthogonal:
                    nn.init.orthogonal_(rows, gain=size, generator=generator)
                else:
                    rows.normal_(0.0, size / rows.shape[1] ** 0.5, generator=generator)
                weight.copy_(rows.reshape(weight.shape))
            for name, bias in module.named_parameters(recurse=False) if draws else ():
                if "bias" in name and bias.requires_grad:
                    bias.zero_()
                    if isinstance(module, (nn.LSTM, nn.LSTMCell)) and "bias_ih" in name:
                        bias[module.hidden_size : 2 * module.hidden_size] = 1.0
            is_layer = isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))
            last = module if draws and is_layer else last
        if last is not None and id(last.weight) not in tied:
            last.weight.mul_(readout)
    return model


INITIALISE = (draws_of, initialise)  # what is shown to paste


def initialise_by_measurement(model: nn.Module, run: Callable[[nn.Module], object], seed: int = 0) -> nn.Module:
    """Start orthogonal, then scale each layer, in the order they run, until its outputs have variance 1 on a batch.

    Layer-sequential unit variance: Mishkin & Matas 2016. `run(model)` calls the model on that batch. What is frozen stays.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    layers = [module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))]
    layers = [layer for layer in layers if layer.weight.requires_grad]
    for layer in layers:
        rows = torch.empty(layer.weight.shape[0], layer.weight[0].numel(), dtype=torch.float32, device="cpu")
        nn.init.orthogonal_(rows, generator=generator)
        with torch.no_grad():
            layer.weight.copy_(rows.reshape(layer.weight.shape))
            if layer.bias is not None:
                layer.bias.zero_()

    def rescale(layer: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        std = float(output.std())
        if 0 < std < float("inf"):
            next(layer.parameters()).div_(std)  # the weight: a layer's first parameter
            output = output / std
        return output

    hooks = [layer.register_forward_hook(rescale) for layer in layers]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # for dropout and the like
            run(model)
    finally:
        for hook in hooks:
            hook.remove()
    return model


def shrink_readout(model: nn.Module, factor: float) -> nn.Module:
    """Scale the last layer with weights, so that the first outputs are near a fair guess."""
    layers = [module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))]
    with torch.no_grad():
        for parameter in layers[-1].parameters():
            parameter.mul_(factor)
    return model


def shrink_queries(model: nn.Module, layers: Sequence[str], factor: float) -> nn.Module:
    """Make attention logits smaller by a factor: the query and key weights of each named layer by its square root."""
    for name in layers:
        layer = model.get_submodule(name)
        with torch.no_grad():
            if isinstance(layer, nn.MultiheadAttention) and layer.in_proj_weight is not None:
                layer.in_proj_weight[: 2 * layer.embed_dim].mul_(factor**0.5)
            elif isinstance(layer, nn.MultiheadAttention):
                layer.q_proj_weight.mul_(factor**0.5)
                layer.k_proj_weight.mul_(factor**0.5)
            else:
                next(layer.parameters()).mul_(factor**0.5)
    return model


def scale_layers(model: nn.Module, layers: Sequence[str], factor: float) -> nn.Module:
    """Multiply the weights and biases of each named layer."""
    with torch.no_grad():
        for name in layers:
            for parameter in model.get_submodule(name).parameters():
                parameter.mul_(factor)
    return model


def zero_branches(model: nn.Module, layers: Sequence[str]) -> nn.Module:
    """Set the last layer of each residual branch to 0, so that every block starts as the identity."""
    with torch.no_grad():
        for name in layers:
            for parameter in model.get_submodule(name).parameters():
                parameter.zero_()
    return model
