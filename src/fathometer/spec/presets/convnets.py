"""The residual networks of He et al. 2016, and their plain twins."""

from fathometer.spec.convnet import ConvNet
from fathometer.spec.presets.entry import Preset

_SOURCE = "He et al. 2016"
_STRIDE = (
    "The paper's text strides in the first 1×1 convolution of a block; this one does in the 3×3, as torchvision does, "
    "and so takes more multiply-adds than the paper counts."
)
_CIFAR_LESSONS = {
    20: "twenty layers on small images",
    32: "still better for being deeper",
    44: "still better for being deeper",
    56: "the depth at which plain networks get worse",
    110: "past a hundred layers on small images",
}
_IMAGENET_LESSONS = {
    18: "two blocks in each stage",
    34: "deeper and better, where its plain twin is deeper and worse",
    50: "bottlenecks: the reference network of image recognition",
    101: "twice as deep in its third stage",
    152: "the depth that won ImageNet in 2015",
}


def _imagenet(depth: int, residual: str = "post-activation") -> ConvNet:
    return ConvNet(layout="imagenet", depth=depth, classes=1000, residual=residual)


CONVNETS: dict[str, Preset] = {
    **{
        f"resnet-{depth}": Preset(
            _imagenet(depth), f"ImageNet ResNet-{depth}: {lesson}.", f"{_SOURCE}, table 1", _STRIDE if depth >= 50 else None
        )
        for depth, lesson in _IMAGENET_LESSONS.items()
    },
    **{
        f"resnet-{depth}": Preset(ConvNet(depth=depth), f"CIFAR ResNet-{depth}: {lesson}.", f"{_SOURCE}, table 6")
        for depth, lesson in _CIFAR_LESSONS.items()
    },
    **{
        f"plain-{depth}": Preset(
            _imagenet(depth, "none"), f"ResNet-{depth} without its shortcuts: {lesson}.", f"{_SOURCE}, table 2"
        )
        for depth, lesson in {18: "does about as well", 34: "worse than plain-18, in training too"}.items()
    },
    **{
        f"plain-{depth}": Preset(
            ConvNet(depth=depth, residual="none"), f"ResNet-{depth} without its shortcuts: {lesson}.", f"{_SOURCE}, figure 6"
        )
        for depth, lesson in {
            20: "trains",
            32: "begins to degrade",
            44: "degrades",
            56: "a higher training error than plain-20",
            110: "hardly trains at all",
        }.items()
    },
}
