"""From a spec, or a preset's name, to a network ready to train."""

import torch

from fathometer.errors import OutOfMemoryError, SpecError
from fathometer.memory import explained, free_bytes, in_words, let_go, ran_out
from fathometer.networks.convnet import ConvNetwork
from fathometer.networks.initialize import initialize
from fathometer.networks.mlp import MlpNetwork
from fathometer.networks.transformer import TransformerNetwork
from fathometer.spec import ConvNet, Mlp, Spec, preset

Network = MlpNetwork | ConvNetwork | TransformerNetwork


def build(
    spec: Spec | str, *, seed: int = 0, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> Network:
    """Return the network of a spec or preset, with the start that `seed` decides.

    `device` and `dtype` are torch's defaults where None; on "meta" the network has shapes and no numbers.
    Torch's global generators are neither read nor moved. Raises `SpecError` for a preset that is not there,
    `OutOfMemoryError` where the weights do not fit.

    >>> build("tanh-50@width=32").blocks[0].linear
    Linear(in_features=64, out_features=32, bias=True)
    """
    spec = preset(spec) if isinstance(spec, str) else spec
    # get_default_device of torch 2.7 does not see `with torch.device(…)`; what is made does
    place = torch.empty(0).device if device is None else torch.device(device)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if not dtype.is_floating_point:
        raise SpecError(f"`dtype` is {dtype}", "Weights are floating-point numbers", "Try torch.float32")
    with torch.device("meta"):  # nothing is drawn here, so the global generator stays where it was
        model = network_of(spec).to(dtype)
    if place.type != "meta":
        try:
            model.to_empty(device=place)
            initialize(model, torch.Generator("cpu").manual_seed(seed))
        except (RuntimeError, MemoryError) as problem:
            if not ran_out(problem):
                raise
            raise _too_large(problem, model, dtype) from None
    return model


def _too_large(problem: BaseException, model: Network, dtype: torch.dtype) -> OutOfMemoryError:
    """Return the error that says how many parameters would fit."""
    count = sum(parameter.numel() for parameter in model.parameters())
    let_go(problem)
    model.to("meta")
    free = free_bytes(problem)
    doing = f"while a network of {count:,} parameters was built, {in_words(count * dtype.itemsize)}"
    fits = "" if free is None else f"Up to {free // dtype.itemsize:,} parameters fit, without their gradients. "
    return explained(problem, doing, otherwise=f"{fits}`fathometer preflight --full-size` makes no weights")


def network_of(spec: Spec) -> Network:
    """Return the network of a spec with torch's own numbers in it; most want `build`."""
    if isinstance(spec, Mlp):
        return MlpNetwork(spec)
    return ConvNetwork(spec) if isinstance(spec, ConvNet) else TransformerNetwork(spec)
