"""Networks: `load_model(name or checkpoint)` gives a Model ready to classify.

The built-in network needs no download. torchvision and timm names load their published weights,
which are fetched on first use; a checkpoint is a file (`checkpoint.py` says of what form), and so
is a folder of `vidcam train`, which holds one.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vidcam.errors import UnknownName, UsageError
from vidcam.labels import Labels, read_names
from vidcam.options import ModelOptions

if TYPE_CHECKING:
    from torch import nn

    from vidcam.neighbours import Neighbours

log = logging.getLogger("vidcam")

BUILTIN = "efficientnet_lite0"
CHECKPOINT_SUFFIXES = {".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pkl"}
BEST, LAST = "best.pt", "last.pt"  # in a folder of `vidcam train`


@dataclass(frozen=True)
class Model:
    """A network and all that is needed to feed it and to read it.

    `build` gives the network with its weights, when it is first asked for: an engine that kept what
    it made of the built-in one needs no network. `identity` says which network it is without
    building it, None where only its weights tell.
    `mean` and `std` are per channel (R, G, B) on 0..255. `fit` is how a checkpoint wants
    its pictures, None to leave it to the kind of input; `crop_share` is the share of the shorter
    side that a centre crop takes.
    `layer` is the CAM layer that a checkpoint asks for, None for the default one.
    `temperature` (above 0) is what the logits are divided by to make honest scores, `thresholds`
    (0..1, one a class) are the scores below which a class counts as unknown; None where they were
    never fitted. `neighbours` tell what is like nothing that was learnt from, by what the head is
    given.
    """

    name: str
    build: "Callable[[], nn.Module]"
    labels: Labels
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fit: str | None
    crop_share: float
    layer: str | None = None
    identity: str | None = None
    temperature: float | None = None
    thresholds: tuple[float, ...] | None = None
    neighbours: "Neighbours | None" = None

    @cached_property
    def net(self) -> "nn.Module":
        """The network, in eval mode, its weights without gradients."""
        net = self.build()
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        return net.eval()

    @cached_property
    def fingerprint(self) -> str:
        """Another one for another network: of its weights and of how it prints."""
        if self.identity is not None:
            return self.identity
        from torch import uint8

        digest = hashlib.blake2b(repr(self.net).encode())
        for name, tensor in self.net.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(uint8).numpy())
        return digest.hexdigest()


def load_model(options: ModelOptions) -> Model:
    """The model that the options name. Raises UsageError, or SourceError without its weights."""
    model = _load(options.model, options.lang)
    if options.labels:
        labels = Labels.of_names(read_names(options.labels), options.lang)
        if len(labels) != len(model.labels):
            raise UsageError(
                f"label file {options.labels} has {len(labels)} lines, "
                f"model {model.name} has {len(model.labels)} classes"
            )
        model = replace(model, labels=labels)
    return model


def model_names() -> list[str]:
    """Every name that `--model` takes: built-in, torchvision, `timm:`."""
    from vidcam.models import timm, torchvision

    return [BUILTIN, *torchvision.names(), *(f"timm:{name}" for name in timm.names())]


def published(name: str, languages: tuple[str, ...] = ("en",)) -> Model | None:
    """A network with its published weights; None for no such name. Raises SourceError."""
    from vidcam.models import timm, torchvision

    if name == BUILTIN:
        from vidcam.models import builtin

        return builtin.load(languages)
    if name in torchvision.names():
        return torchvision.load(name, languages)
    if name.startswith("timm:") and timm.knows(name[5:]):
        return timm.load(name[5:], languages)
    return None


def checkpoint_file(path: Path) -> Path:
    """The file that a path to a checkpoint means; in a folder of `vidcam train` its best one.

    Raises UsageError when a folder holds none.
    """
    if not path.is_dir():
        return path
    if (path / BEST).is_file():
        return path / BEST
    if (path / LAST).is_file():
        log.warning("%s holds no %s; %s is used", path, BEST, LAST)
        return path / LAST
    raise UsageError(f"folder {path} holds no checkpoint: neither {BEST} nor {LAST}")


def _load(name: str, languages: tuple[str, ...]) -> Model:
    if model := published(name, languages):
        return model
    path = Path(name)
    if path.suffix in CHECKPOINT_SUFFIXES or path.exists():
        from vidcam.models.checkpoint import load_checkpoint

        return load_checkpoint(path, languages)
    raise UnknownName("model", name, model_names(), ", nor is there such a file or folder")
