"""Give every weight the start that its role and the spec ask for."""

import torch
from torch import Tensor, nn

from fathometer.networks.mlp import MlpNetwork
from fathometer.networks.residual import ResidualBlock
from fathometer.parametrizations.roles import Distribution

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d)


@torch.no_grad()
def initialize(model: MlpNetwork, generator: torch.Generator) -> None:
    """Draw every weight and bias anew, from `spec.scale`, and reset norms and learned scales.

    Numbers are drawn in float32 on the generator's device and then copied, so that one seed gives one network,
    whatever device and dtype it lives in. Torch's global generators are neither read nor moved.
    """
    for role, linear in model.linears():
        scale = model.spec.scale(role, linear.in_features, linear.out_features)
        fill(linear.weight, scale.weight_std, scale.distribution, generator)
        fill(linear.bias, scale.bias_std, "normal" if scale.distribution == "orthogonal" else scale.distribution, generator)
    for module in model.modules():
        if isinstance(module, _NORMS):
            module.reset_parameters()
        elif isinstance(module, ResidualBlock):
            module.reset_scales()


@torch.no_grad()
def fill(tensor: Tensor, std: float, distribution: Distribution, generator: torch.Generator) -> None:
    """Fill a tensor with numbers of mean 0 and this std; an orthogonal matrix has it as the root mean square."""
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
        nn.init.orthogonal_(drawn, gain=std * max(tensor.shape) ** 0.5, generator=generator)
    tensor.copy_(drawn)
