"""torchvision's classification networks with their published weights."""

import sys
from contextlib import redirect_stdout
from functools import cache
from typing import TYPE_CHECKING, Any

from vidcam.errors import SourceError
from vidcam.labels import IMAGENET_CLASSES, Labels
from vidcam.models import BUILTIN, Model
from vidcam.models.weights import AUXILIARY

if TYPE_CHECKING:
    from torch import nn


@cache
def names() -> tuple[str, ...]:
    """The names of torchvision's classification networks."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def load(name: str, languages: tuple[str, ...]) -> Model:
    """A network with its default weights, fetched on first use. Raises SourceError."""
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    try:
        with redirect_stdout(sys.stderr):  # torch says there what it downloads
            net = models.get_model(name, weights=weights)
    except Exception as error:  # a damaged file in the cache raises much besides OSError
        raise SourceError(
            f"the weights of {name} could not be loaded ({error}); "
            f"--model {BUILTIN} needs no download"
        ) from error
    preset = weights.transforms()
    size, resize = preset.crop_size[0], preset.resize_size[0]
    mean, std = (tuple(255 * value for value in values) for values in (preset.mean, preset.std))
    categories = weights.meta["categories"]
    imagenet = len(categories) == IMAGENET_CLASSES
    labels = Labels.of_imagenet(languages) if imagenet else Labels.of_names(categories, languages)
    return Model(name, lambda: net, labels, size, mean, std, None, min(1.0, size / resize))


def create(name: str, classes: int, size: int, batchnorm: bool = True) -> "nn.Module":
    """The network with random weights and a head of `classes` outputs.

    One whose pictures have a fixed size is made for `size` pixels. `batchnorm` may be left out of
    ResNets. Raises AssertionError or ValueError for a size that it cannot have.
    """
    from torch import nn
    from torchvision import models

    more: dict[str, Any] = {}
    if name.startswith("vit_"):
        more["image_size"] = size
    elif name.startswith("maxvit"):
        more["input_size"] = (size, size)
    elif name in AUXILIARY:
        more |= {"aux_logits": False, "init_weights": False}
    if not batchnorm:
        more["norm_layer"] = nn.Identity
    net: nn.Module = models.get_model(name, weights=None, num_classes=classes, **more)
    return net
