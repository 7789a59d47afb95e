"""Multilayer perceptrons: from one hidden layer to a thousand blocks."""

from fathometer.spec.mlp import Mlp
from fathometer.spec.presets.entry import Preset

MLPS: dict[str, Preset] = {
    "shallow-1": Preset(Mlp(depth=1, width=256), "One hidden layer: can approximate anything, inefficiently.", "Cybenko 1989"),
    "mlp-5": Preset(Mlp(depth=5, width=128), "Five layers that start at the edge of chaos.", "He et al. 2015"),
    "tanh-50": Preset(
        Mlp(depth=50, activation="tanh", init="pytorch"),
        "Fifty tanh layers as PyTorch starts them: does not learn.",
        "torch.nn.Linear's default",
    ),
    "relu-50": Preset(
        Mlp(depth=50, init="pytorch"),
        "Fifty ReLU layers as PyTorch starts them: does not learn.",
        "torch.nn.Linear's default",
    ),
    "he-50": Preset(Mlp(depth=50), "Fifty plain ReLU layers, He: the signal lives, the samples draw together.", "He et al. 2015"),
    "orthogonal-tanh-50": Preset(
        Mlp(depth=50, activation="tanh", init="orthogonal", gain=0.6),
        "Fifty plain tanh layers with orthogonal weights of gain 1.",
        "Saxe et al. 2014; Pennington et al. 2017",
    ),
    "residual-50": Preset(
        Mlp(depth=50, residual="scaled"), "Fifty residual blocks, each branch divided by √50.", "Hayou et al. 2021"
    ),
    "fixup-50": Preset(
        Mlp(depth=50, residual="plain", branch_layers=2, init="fixup"),
        "Fifty residual blocks that start as the identity.",
        "Zhang et al. 2019",
    ),
    "pre-norm-96": Preset(
        Mlp(depth=96, residual="pre-norm"), "96 pre-norm residual blocks: as deep as GPT-3.", "Xiong et al. 2020"
    ),
    "residual-1000": Preset(Mlp(depth=1000, residual="scaled"), "A thousand residual blocks.", "Hayou et al. 2021"),
}
