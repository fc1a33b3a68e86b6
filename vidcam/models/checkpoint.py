"""Checkpoints: a network of your own in one file that holds all it needs, and no code.

A checkpoint is what `torch.save` writes of a dict of plain values and tensors:

    vidcam       1, the version of this form
    arch         efficientnet_lite0, a torchvision name, or timm:NAME
    state_dict   the weights
    labels       the class names, by index
    size, mean, std, fit, crop_share, layer    optional, as in `Model`

It is read with `weights_only=True`; a pickle that carries code is refused.
"""

import pickle
import reprlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.errors import UnknownName, UsageError
from vidcam.labels import Labels
from vidcam.models import BUILTIN, Model
from vidcam.options import FITS

if TYPE_CHECKING:
    from torch import nn

VERSION = 1
PICKLE_STARTS = (b"P", b"\x80")  # of a zip, which torch writes, and of a bare pickle
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
RESAVE = (
    'torch.save({"vidcam": 1, "arch": "resnet18", "state_dict": net.state_dict(), '
    '"labels": [...]}, "new.pt")'
)


def load_checkpoint(path: Path, languages: tuple[str, ...]) -> Model:
    """The model of a checkpoint file. Raises UsageError."""
    payload = _read(path)
    _check(path, payload)
    arch, labels = payload["arch"], [str(label) for label in payload["labels"]]
    net, defaults = create(arch, len(labels))
    values = defaults | {key: payload[key] for key in defaults if payload.get(key) is not None}
    if values["fit"] is not None and values["fit"] not in FITS:
        raise UnknownName(f"fit in {path}", str(values["fit"]), FITS)
    try:
        net.load_state_dict(payload["state_dict"])
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise UsageError(f"{path}: its weights do not fit {arch}: {first}") from error
    return Model(path.name, lambda: net, Labels.of_names(labels, languages), **values)


def create(arch: str, classes: int) -> tuple["nn.Module", dict[str, Any]]:
    """A network with random weights, and its usual preprocessing. Raises UnknownName."""
    from vidcam.models import builtin, model_names, timm, torchvision

    preset: dict[str, Any] = {
        "size": 224, "mean": IMAGENET_MEAN, "std": IMAGENET_STD,
        "fit": None, "crop_share": 0.875, "layer": None,
    }  # fmt: skip
    if arch == BUILTIN:
        return builtin.create(classes), preset | {"mean": builtin.MEAN, "std": builtin.STD}
    if arch in torchvision.names():
        from torchvision import models

        return models.get_model(arch, weights=None, num_classes=classes), preset
    if arch.startswith("timm:") and timm.knows(arch[5:]):
        import timm as library

        return library.create_model(arch[5:], pretrained=False, num_classes=classes), preset
    raise UnknownName("architecture", arch, model_names())


def _numbers(value: object, positive: bool) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 3:
        return False
    return all(isinstance(v, int | float) and (v > 0 or not positive) for v in value)


# key -> (what it must be, in words; the test of it)
RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "vidcam": (f"{VERSION}", lambda value: value == VERSION),
    "arch": ("a name", lambda value: isinstance(value, str)),
    "state_dict": ("a dict of tensors", lambda value: isinstance(value, dict)),
    "labels": ("a list of names", lambda value: isinstance(value, list | tuple) and bool(value)),
    "size": ("a number of pixels", lambda value: isinstance(value, int) and value > 0),
    "mean": ("three numbers", lambda value: _numbers(value, positive=False)),
    "std": ("three numbers above 0", lambda value: _numbers(value, positive=True)),
    "crop_share": (
        "a number above 0, at most 1",
        lambda value: isinstance(value, int | float) and 0 < value <= 1,
    ),
    "layer": ("a module path", lambda value: isinstance(value, str)),
}
REQUIRED = {"arch", "state_dict", "labels"}


def _check(path: Path, payload: dict[str, Any]) -> None:
    for key, (meaning, fits) in RULES.items():
        value = payload.get(key)
        if (key in REQUIRED or value is not None) and not fits(value):
            shown = reprlib.repr(value)
            raise UsageError(f"checkpoint {path}: {key} is {shown}; it must be {meaning}")


def _read(path: Path) -> dict[str, Any]:
    import torch

    if not path.is_file():
        raise UsageError(f"checkpoint {path}: no such file")
    try:
        with warnings.catch_warnings():
            # What torch thinks of a foreign pickle's protocol; it is refused just below.
            warnings.simplefilter("ignore")
            payload = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            if file.read(1) not in PICKLE_STARTS:
                raise UsageError(
                    f"checkpoint {path} cannot be read: it is damaged or no checkpoint"
                ) from error
        raise UsageError(
            f"checkpoint {path} is a pickle that may run code, so it is not loaded; "
            f"re-save it where you trust it: {RESAVE}"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise UsageError(
            f"checkpoint {path} cannot be read: it is damaged or no checkpoint"
        ) from error
    missing = REQUIRED - set(payload if isinstance(payload, dict) else ())
    if missing:
        raise UsageError(
            f"checkpoint {path} lacks {', '.join(sorted(missing))}; write it as {RESAVE}"
        )
    return dict(payload)
