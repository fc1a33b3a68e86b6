"""Networks by architecture: made anew for so many classes, to be trained or given weights.

An architecture is the built-in one, a torchvision name, `timm:NAME`, or one of the notebooks'
(`notebooks.py`). Some take settings, as ablations:

    dropout      share of the inputs that is dropped before linear layers: the notebooks' networks
                 and torchvision's ResNets
    batchnorm    False leaves every BatchNorm out: cnn7 and torchvision's ResNets
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vidcam.errors import UnknownName, UsageError
from vidcam.models import BUILTIN, model_names, published
from vidcam.models.weights import misfit

if TYPE_CHECKING:
    from torch import nn

Settings = Mapping[str, float | bool]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
NOTEBOOKS = ("cnn7", "simplecnn")
RESNETS = ("resnet", "resnext", "wide_resnet")
MOST_DROPOUT = 0.95


@dataclass(frozen=True)
class Preset:
    """How a network wants its pictures, as in `Model`, and its CAM layer (None: found)."""

    size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fit: str | None = None
    crop_share: float = 0.875
    layer: str | None = None


def architecture_names() -> list[str]:
    """Every name that `--arch` takes."""
    return [BUILTIN, *NOTEBOOKS, *model_names()[1:]]


def preset_of(arch: str) -> Preset:
    """The usual preprocessing of an architecture. Raises UnknownName."""
    from vidcam.models import builtin, timm, torchvision

    if arch == BUILTIN:
        return Preset(mean=builtin.MEAN, std=builtin.STD)
    if arch == "cnn7":  # evaluated with Resize 300 and CenterCrop 256
        return Preset(size=256, fit="crop", crop_share=256 / 300)
    if arch == "simplecnn":  # with Resize 224x224
        return Preset(fit="stretch")
    if arch in torchvision.names() or (arch.startswith("timm:") and timm.knows(arch[5:])):
        return Preset()
    raise UnknownName("architecture", arch, architecture_names())


def check_settings(arch: str, settings: Settings) -> Settings:
    """The settings that differ from an architecture's own. Raises UsageError."""
    from vidcam.models import torchvision

    given = {
        key: value
        for key, value in settings.items()
        if value is not None and (key, value) != ("batchnorm", True)
    }
    is_resnet = arch.startswith(RESNETS) and arch in torchvision.names()
    takers = {
        "dropout": is_resnet or arch in NOTEBOOKS,
        "batchnorm": is_resnet or arch == "cnn7",
    }
    for key, value in given.items():
        if key not in takers:
            raise UnknownName("setting", key, takers)
        if not takers[key]:
            flag, who = {
                "dropout": ("--dropout", "cnn7, simplecnn"), "batchnorm": ("--no-batchnorm", "cnn7")
            }[key]  # fmt: skip
            raise UsageError(f"{flag} is for {who} and torchvision's ResNets, not for {arch}")
        fits = value is False if key == "batchnorm" else 0 <= value <= MOST_DROPOUT
        if not fits or (key == "dropout" and isinstance(value, bool)):
            meaning = f"from 0 to {MOST_DROPOUT}" if key == "dropout" else "True or False"
            raise UsageError(f"{key} {value!r}: must be {meaning}")
    return given


def create(
    arch: str, classes: int, size: int | None = None, settings: Settings | None = None
) -> tuple["nn.Module", Preset]:
    """A network with random weights, and its usual preprocessing with `size` in pixels.

    Raises UnknownName, or UsageError for settings or a size that it does not take.
    """
    preset = preset_of(arch)
    if size is not None:
        preset = replace(preset, size=size)
    given = check_settings(arch, settings or {})
    try:
        return _created(arch, classes, preset.size, given), preset
    except (AssertionError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"{arch} cannot be made for {preset.size} px: {reason}") from error


def _created(arch: str, classes: int, size: int, given: Settings) -> "nn.Module":
    if arch == BUILTIN:
        from vidcam.models import builtin

        return builtin.create(classes)
    if arch in NOTEBOOKS:
        from vidcam.models import notebooks

        plan = replace(notebooks.PLANS[arch], **given)  # type: ignore[arg-type]
        return notebooks.create(plan, classes, size)
    if arch.startswith("timm:"):
        from vidcam.models import timm

        return timm.create(arch[5:], classes, size)
    from vidcam.models import torchvision

    net = torchvision.create(arch, classes, size, given.get("batchnorm") is not False)
    if dropout := given.get("dropout"):
        from vidcam.models.heads import DropoutLinear, replace_module

        head = net.get_submodule("fc")
        inputs = int(head.in_features)  # type: ignore[arg-type]
        replace_module(net, "fc", DropoutLinear(inputs, classes, share=dropout))
    return net


def check_runs(arch: str, net: "nn.Module", size: int) -> None:
    """Raise UsageError when a network cannot take pictures of `size` px; it is left as it was."""
    import torch

    parameter = next(net.parameters())
    pixels = torch.zeros(1, 3, size, size, device=parameter.device, dtype=parameter.dtype)
    was_training = net.training
    try:
        with torch.no_grad():
            net.eval()(pixels)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(f"{arch} cannot take pictures of {size} px: {reason}") from error
    finally:
        net.train(was_training)


def build(
    arch: str, classes: int, settings: Settings | None = None, *,
    size: int | None = None, pretrained: bool | None = None,
) -> tuple["nn.Module", Preset]:  # fmt: skip
    """A network to train, and its usual preprocessing; its head is random.

    `pretrained` takes the published ImageNet weights for all but the head, fetched on first use;
    None does so for the built-in network only, whose weights are here. `size` is the side of its
    pictures in pixels, None for its usual one. Raises UsageError, or SourceError without weights.
    """
    if not (arch == BUILTIN if pretrained is None else pretrained):
        net, preset = create(arch, classes, size, settings)
        check_runs(arch, net, preset.size)
        return net, preset
    if arch in NOTEBOOKS:
        raise UsageError(f"{arch} has no published weights; it is trained from scratch")
    model = published(arch)
    if model is None:
        raise UnknownName("architecture", arch, architecture_names())
    net, preset = create(arch, classes, size or model.size, settings)
    from vidcam.models.heads import head_path
    from vidcam.models.weights import without_auxiliary

    head = head_path(net) + "."
    own = net.state_dict()
    state = without_auxiliary(arch, model.build().state_dict())
    state = {name: tensor for name, tensor in state.items() if not name.startswith(head)}
    state |= {name: tensor for name, tensor in own.items() if name.startswith(head)}
    if wrong := misfit(arch, own, state):
        raise UsageError(f"the published weights of {arch} do not fit at {preset.size} px: {wrong}")
    net.load_state_dict(state)
    check_runs(arch, net, preset.size)
    values = {"mean": model.mean, "std": model.std, "crop_share": model.crop_share}
    return net, replace(preset, **values)  # type: ignore[arg-type]
