"""Give every weight the start that its role and the spec ask for."""

from math import prod

import torch
from torch import Tensor, nn

from fathometer.networks.convnet import ConvBlock, ConvNetwork
from fathometer.networks.layers import NORMS
from fathometer.networks.mlp import MlpNetwork
from fathometer.networks.residual import ResidualBlock
from fathometer.networks.roles import fans
from fathometer.networks.transformer import TransformerNetwork
from fathometer.parametrizations.roles import Distribution


@torch.no_grad()
def initialize(model: MlpNetwork | ConvNetwork | TransformerNetwork, generator: torch.Generator) -> None:
    """Draw every weight and bias anew, from `spec.scale`, and reset norms and learned scales.

    Numbers are drawn in float32 on the generator's device and then copied, so that one seed gives one network,
    whatever device and dtype it lives in. Torch's global generators are neither read nor moved.
    """
    for role, matrix in model.matrices():
        scale = model.spec.scale(role, *fans(matrix))
        fill(matrix.weight, scale.weight_std, scale.distribution, generator)
        bias = getattr(matrix, "bias", None)
        if bias is not None:
            fill(bias, scale.bias_std, "normal" if scale.distribution == "orthogonal" else scale.distribution, generator)
    for module in model.modules():
        if isinstance(module, NORMS):
            module.reset_parameters()
    for module in model.modules():  # after all norms: a block may start one of its own at 0
        if isinstance(module, ResidualBlock | ConvBlock):
            module.reset_scales()


@torch.no_grad()
def fill(tensor: Tensor, std: float, distribution: Distribution, generator: torch.Generator) -> None:
    """Fill a tensor with numbers of mean 0 and this std; an orthogonal matrix has it as the root mean square.

    A convolution `(out, in, k, k)` is orthogonal as a matrix of shape (out, in·k·k).
    """
    if std == 0:
        tensor.zero_()
        return
    drawn = torch.empty(tensor.shape, dtype=torch.float32, device=generator.device)
    if distribution == "normal":
        drawn.normal_(0.0, std, generator=generator)
    elif distribution == "uniform":
        bound = 3**0.5 * std  # U(-b, b) has std b/√3
        drawn.uniform_(-bound, bound, generator=generator)
    else:
        longer = max(tensor.shape[0], prod(tensor.shape[1:]))
        nn.init.orthogonal_(drawn, gain=std * longer**0.5, generator=generator)
    tensor.copy_(drawn)
