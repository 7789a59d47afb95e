"""One matrix at a time: torch's default, LeCun, Xavier, He, orthogonal."""

from fathometer.parametrizations.roles import Scale, Tensor


def pytorch(tensor: Tensor) -> Scale:
    """Return what `torch.nn.Linear` does by itself: U(±1/√fan_in) for weights and biases, whatever the activation.

    `kaiming_uniform_(a=√5)` gives a bound of √(6/(6·fan_in)) = 1/√fan_in, so std = 1/√(3·fan_in).
    `torch.nn.Embedding` draws from N(0, 1).
    """
    if tensor.role == "embedding":
        return Scale(1.0)
    std = (3 * tensor.fan_in) ** -0.5
    return Scale(std, bias_std=std, distribution="uniform")


def lecun(tensor: Tensor) -> Scale:
    """Return std = 1/√fan_in: a linear layer keeps the second moment. LeCun et al. 1998, "Efficient BackProp"."""
    return Scale(tensor.fan_in**-0.5)


def xavier(tensor: Tensor) -> Scale:
    """Return std = √(2/(fan_in + fan_out)). Glorot & Bengio 2010."""
    return Scale((2 / (tensor.fan_in + tensor.fan_out)) ** 0.5)


def he(tensor: Tensor) -> Scale:
    """Return std = gain/√fan_in, with gain √2 behind a ReLU. He et al. 2015, "Delving deep into rectifiers"."""
    return Scale(tensor.activation_gain * tensor.fan_in**-0.5)


def orthogonal(tensor: Tensor) -> Scale:
    """Return a (semi-)orthogonal matrix times the activation's gain, and N(0, 1) for an embedding. Saxe et al. 2014."""
    if tensor.role == "embedding":
        return lecun(tensor)
    return Scale(tensor.activation_gain * max(tensor.fan_in, tensor.fan_out) ** -0.5, distribution="orthogonal")
