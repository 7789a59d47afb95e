"""How is a network that was asked for built, and how does it start?"""

from fathometer.networks.attention import Attention
from fathometer.networks.build import Network, build
from fathometer.networks.convnet import ConvBlock, ConvNetwork
from fathometer.networks.deepen import Deepened, deepen
from fathometer.networks.feedforward import FeedForward
from fathometer.networks.initialize import initialize
from fathometer.networks.mlp import MlpNetwork
from fathometer.networks.parametrize import Parametrized, parametrize
from fathometer.networks.residual import PlainBlock, ResidualBlock
from fathometer.networks.roles import roles, scales
from fathometer.networks.transformer import TransformerBlock, TransformerNetwork
from fathometer.networks.weights import from_hugging_face, to_hugging_face

__all__ = [
    "Attention",
    "ConvBlock",
    "ConvNetwork",
    "Deepened",
    "FeedForward",
    "MlpNetwork",
    "Network",
    "Parametrized",
    "PlainBlock",
    "ResidualBlock",
    "TransformerBlock",
    "TransformerNetwork",
    "build",
    "deepen",
    "from_hugging_face",
    "initialize",
    "parametrize",
    "roles",
    "scales",
    "to_hugging_face",
]
