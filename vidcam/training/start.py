"""What a run begins with: a network, its preprocessing, and which of its weights may change."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vidcam.cam.layers import default_layer
from vidcam.errors import SourceError, UsageError
from vidcam.models import BUILTIN, checkpoint_file
from vidcam.models.architectures import NOTEBOOKS, Preset, Settings, build, create
from vidcam.models.checkpoint import Checkpoint, read_checkpoint
from vidcam.models.heads import head_path, with_new_head
from vidcam.prepare import Geometry
from vidcam.training.augment import GEOMETRIES
from vidcam.training.train_options import BACKBONE, NOTHING, TrainOptions

log = logging.getLogger("vidcam")

WEIGHTY = (nn.Conv2d, nn.Linear)
USUAL_FIT = "crop"


@dataclass(frozen=True)
class Start:
    """A network before its training. `has_learnt` says that its weights are not random.

    `freeze` is backbone, none, or how many layers keep their weights.
    """

    arch: str
    settings: Settings
    net: nn.Module
    preset: Preset
    freeze: str | int
    has_learnt: bool

    @property
    def geometry(self) -> Geometry:
        """How pictures become the network's square."""
        return Geometry(self.preset.size, self.preset.fit or USUAL_FIT, self.preset.crop_share)

    def at(self, geometry: Geometry) -> "Start":
        """The same with another square."""
        size, fit, share = geometry.size, geometry.fit, geometry.crop_share
        return replace(self, preset=replace(self.preset, size=size, fit=fit, crop_share=share))

    def record(self) -> dict[str, Any]:
        """All but the weights, as plain values; `again` makes it anew."""
        return {
            "arch": self.arch, "settings": dict(self.settings), "preset": asdict(self.preset),
            "freeze": self.freeze, "has_learnt": self.has_learnt,
        }  # fmt: skip

    def checkpoint(
        self, labels: tuple[str, ...], state: dict[str, Tensor], metrics: dict[str, float]
    ) -> Checkpoint:
        """What is saved, with weights and figures of the moment."""
        return Checkpoint(self.arch, labels, state, self.preset, self.settings, metrics=metrics)


def start_of(options: TrainOptions, labels: tuple[str, ...]) -> Start:
    """The network that the options ask for, with a head for the labels. Raises UsageError."""
    start = _continued(options, labels) if options.from_ else _new(options, len(labels))
    preset = start.preset
    if options.augment in GEOMETRIES:
        if options.fit:
            raise UsageError(f"--augment {options.augment}: has its own fit; leave --fit out")
        own = GEOMETRIES[options.augment]
        size = options.imgsz or own.size
        preset = replace(preset, size=size, fit=own.fit, crop_share=own.crop_share)
    preset = replace(preset, fit=options.fit or preset.fit or USUAL_FIT, layer=None)
    return replace(start, preset=preset)


def again(record: Mapping[str, Any], classes: int) -> Start:
    """What a run began with, by its record, its weights random.

    So that it goes on although what --from named is gone, or published weights have come within
    reach meanwhile.
    """
    preset = Preset(**record["preset"])
    net, _ = create(record["arch"], classes, preset.size, record["settings"])
    return Start(**dict(record) | {"net": net, "preset": preset})


def _size(options: TrainOptions) -> int | None:
    """The side that is asked for, in pixels."""
    own = GEOMETRIES.get(options.augment or "")
    return options.imgsz or (own.size if own else None)


def _new(options: TrainOptions, classes: int) -> Start:
    arch = options.arch or BUILTIN
    has_weights = not options.scratch and arch not in NOTEBOOKS and not options.no_batchnorm
    try:
        net, preset = build(
            arch, classes, options.settings, size=_size(options), pretrained=has_weights
        )
    except SourceError as error:
        log.warning("%s; begins with random weights", str(error).partition(";")[0])
        has_weights = False
        net, preset = build(arch, classes, options.settings, size=_size(options), pretrained=False)
    freeze = _frozen(options, has_weights, arch)
    return Start(arch, options.settings, net, preset, freeze, has_weights)


def _continued(options: TrainOptions, labels: tuple[str, ...]) -> Start:
    assert options.from_
    if options.scratch or options.settings:
        flag = "--scratch" if options.scratch else "--dropout and --no-batchnorm"
        raise UsageError(f"{flag}: not with --from, which brings its network along")
    checkpoint = read_checkpoint(checkpoint_file(Path(options.from_)))
    if options.arch not in (None, checkpoint.arch):
        raise UsageError(
            f"--arch {options.arch}: {options.from_} is of {checkpoint.arch}; leave --arch out"
        )
    net, preset = _at(checkpoint, _size(options), options.from_)
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    if checkpoint.labels != labels:
        net = with_new_head(net, len(labels))
    freeze = _frozen(options, True, checkpoint.arch)
    return Start(checkpoint.arch, checkpoint.settings, net, preset, freeze, True)


def _at(checkpoint: Checkpoint, size: int | None, path: str) -> tuple[nn.Module, Preset]:
    """The checkpoint's network for squares of another size. Raises UsageError where it has none."""
    own = checkpoint.preset
    wanted = replace(own, size=size or own.size)
    try:
        return replace(checkpoint, preset=wanted).network(), wanted
    except UsageError as error:
        if wanted == own:
            raise
        checkpoint.network()  # where the weights do not fit at all, that is what is said
        raise UsageError(
            f"the weights in {path} are for {own.size} px, and {checkpoint.arch} cannot take them "
            f"to {size} px; --imgsz {own.size} goes on with them"
        ) from error


def _frozen(options: TrainOptions, has_learnt: bool, arch: str) -> str | int:
    if options.freeze not in (None, NOTHING) and not has_learnt:
        raise UsageError(
            f"--freeze {options.freeze}: {arch} begins with random weights, which must be learnt"
        )
    return options.freeze or (BACKBONE if has_learnt else NOTHING)


def freeze(net: nn.Module, what: str | int) -> list[nn.Module]:
    """Hold the weights of the backbone or of the first N layers; returns what must stay in eval.

    A layer is a convolution or a linear one, with the norms up to the next. Raises UsageError when
    nothing would be left to learn.
    """
    head = net.get_submodule(head_path(net))
    layers = sum(isinstance(module, WEIGHTY) for module in net.modules())
    if isinstance(what, int) and what >= layers:
        raise UsageError(f"--freeze {what}: of {layers} layers at least one must learn")
    held = []
    seen = 0
    for module in net.modules():
        own = list(module.parameters(recurse=False))
        seen += isinstance(module, WEIGHTY)
        if not own or module is head or what == NOTHING:
            continue
        if what == BACKBONE or (isinstance(what, int) and seen <= what):
            held.append(module)
            for parameter in own:
                parameter.requires_grad_(False)
    return held


def cam_layer(net: nn.Module, size: int) -> str | None:
    """The CAM layer of a finished network, None when it has none, which is said."""
    net.eval()
    try:
        return default_layer(net, size)
    except UsageError as error:
        log.warning("%s", error)
        return None
