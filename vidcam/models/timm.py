"""timm's networks with their published weights, as `timm:NAME`."""

from functools import cache
from typing import TYPE_CHECKING

from vidcam.errors import SourceError
from vidcam.labels import IMAGENET_CLASSES, Labels
from vidcam.models import BUILTIN, Model

if TYPE_CHECKING:
    from torch import nn


@cache
def names() -> tuple[str, ...]:
    """The names of timm's networks that have published weights."""
    import timm

    return tuple(timm.list_models(pretrained=True))


def knows(name: str) -> bool:
    """Whether timm has weights of this name, with its tag (`resnet18.a1_in1k`) or without."""
    return name in names() or name in {known.partition(".")[0] for known in names()}


def load(name: str, languages: tuple[str, ...]) -> Model:
    """A network with its published weights, fetched on first use. Raises SourceError."""
    import timm
    from timm.data import ImageNetInfo, infer_imagenet_subset, resolve_model_data_config

    try:
        net = timm.create_model(name, pretrained=True)
    except Exception as error:
        raise SourceError(
            f"the weights of timm:{name} could not be loaded ({error}); "
            f"--model {BUILTIN} needs no download"
        ) from error
    config = resolve_model_data_config(net)
    size = config["input_size"][1]
    mean, std = (tuple(255 * value for value in config[key]) for key in ("mean", "std"))
    if net.num_classes == IMAGENET_CLASSES:
        labels = Labels.of_imagenet(languages)
    else:
        subset = infer_imagenet_subset(net)
        known = ImageNetInfo(subset).label_descriptions() if subset else ()
        labels = Labels.of_names(
            known or (str(index) for index in range(net.num_classes)), languages
        )
    crop_share = config["crop_pct"]
    return Model(f"timm:{name}", lambda: net, labels, size, mean, std, None, crop_share)


def create(name: str, classes: int, size: int) -> "nn.Module":
    """The network with random weights and a head of `classes` outputs.

    One whose pictures have a fixed size is made for `size` pixels.
    """
    import timm

    usual = timm.get_pretrained_cfg(name)
    is_fixed = usual is not None and usual.fixed_input_size
    more = {"img_size": size} if is_fixed and size != usual.input_size[1] else {}
    net: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **more)
    return net
