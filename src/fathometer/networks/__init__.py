"""How is a network that was asked for built, and how does it start?"""

from fathometer.networks.build import build
from fathometer.networks.initialize import initialize
from fathometer.networks.mlp import MlpNetwork
from fathometer.networks.residual import PlainBlock, ResidualBlock

__all__ = ["MlpNetwork", "PlainBlock", "ResidualBlock", "build", "initialize"]
