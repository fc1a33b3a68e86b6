"""The notebooks' own networks: `cnn7` and `simplecnn`, blocks of convolutions before a few layers.

Both are flat: `conv1`, `bn1`, `relu1`, `pool1`, …, `flatten`, `fc1`, …, so that weights and CAM
layers have plain names. Every activation is a ReLU, as guided backpropagation wants it.
"""

from dataclasses import dataclass

from torch import nn

from vidcam.errors import UsageError


@dataclass(frozen=True)
class Plan:
    """What a network is made of: channels of its blocks, units of its hidden layers."""

    blocks: tuple[int, ...]
    hidden: tuple[int, ...]
    batchnorm: bool
    dropout: float


PLANS = {
    "cnn7": Plan((64, 128, 256, 512), (512, 256), batchnorm=True, dropout=0.0),
    "simplecnn": Plan((32, 64, 128), (512,), batchnorm=False, dropout=0.5),
}


def create(plan: Plan, classes: int, size: int) -> nn.Sequential:
    """The network of a plan with random weights, for pictures (N, 3, size, size).

    Each block is a 3x3 convolution that keeps its picture's size, a ReLU and a pooling that halves
    it, rounding down. Raises UsageError when nothing is left of a picture after the last.
    """
    side = size >> len(plan.blocks)
    if side < 1:
        raise UsageError(f"--imgsz {size}: this network needs {1 << len(plan.blocks)} px at least")
    net = nn.Sequential()
    channels = 3
    for number, width in enumerate(plan.blocks, 1):
        net.add_module(f"conv{number}", nn.Conv2d(channels, width, 3, padding=1))
        if plan.batchnorm:
            net.add_module(f"bn{number}", nn.BatchNorm2d(width))
        net.add_module(f"relu{number}", nn.ReLU())
        net.add_module(f"pool{number}", nn.MaxPool2d(2))
        channels = width
    net.add_module("flatten", nn.Flatten())
    features = channels * side * side
    for number, units in enumerate(plan.hidden, 1):
        net.add_module(f"fc{number}", nn.Linear(features, units))
        net.add_module(f"relu_fc{number}", nn.ReLU())
        net.add_module(f"dropout{number}", nn.Dropout(plan.dropout))
        features = units
    net.add_module(f"fc{len(plan.hidden) + 1}", nn.Linear(features, classes))
    return net
