"""Checkpoints: a network of your own in one file that holds all it needs, and no code.

A checkpoint is what `torch.save` writes of a dict of plain values and tensors:

    vidcam       1, the version of this form
    arch         efficientnet_lite0, a torchvision name, timm:NAME, cnn7 or simplecnn
    state_dict   the weights
    labels       the class names, by index
    size, mean, std, fit, crop_share, layer    optional, as in `Model`
    settings     optional: dropout, batchnorm, as in `architectures.py`
    temperature, thresholds                    optional, as in `Model`
    neighbours, nearness                       optional: features (M, D) of pictures that were
                                               learnt from, the least cosine to one of them
    metrics      optional: numbers by name
    versions     optional: of vidcam and torch, which wrote it

It is read with `weights_only=True`; a pickle that carries code is refused.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.errors import UnknownName, UsageError
from vidcam.labels import Labels
from vidcam.models import Model, checkpoint_file
from vidcam.models.architectures import Preset, Settings, create, preset_of
from vidcam.models.form import REQUIRED, VERSION, check_form
from vidcam.models.reading import CodeRefused, read_whole
from vidcam.models.saving import save_whole
from vidcam.models.weights import misfit, without_auxiliary
from vidcam.neighbours import Neighbours

if TYPE_CHECKING:
    from torch import Tensor, nn

RESAVE = (
    'torch.save({"vidcam": 1, "arch": "resnet18", "state_dict": net.state_dict(), '
    '"labels": [...]}, "new.pt")'
)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds; `path` is the file it was read from, for messages."""

    arch: str
    labels: tuple[str, ...]
    state_dict: "Mapping[str, Tensor]"
    preset: Preset
    settings: Settings = field(default_factory=dict)
    temperature: float | None = None
    thresholds: tuple[float, ...] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    neighbours: Neighbours | None = None

    def network(self) -> "nn.Module":
        """The network with its weights, on the CPU. Raises UsageError when they do not fit."""
        where = f"{self.path}: " if self.path else ""
        try:
            net, _ = create(self.arch, len(self.labels), self.preset.size, self.settings)
        except UnknownName:
            raise
        except UsageError as error:
            raise UsageError(f"{where}{error}") from error
        state = without_auxiliary(self.arch, self.state_dict)
        wrong = misfit(self.arch, net.state_dict(), state)
        try:
            if not wrong:
                net.load_state_dict(state)
        except RuntimeError as error:
            wrong = str(error).splitlines()[-1].strip()
        if wrong:
            raise UsageError(f"{where}its weights do not fit {self.arch}: {wrong}")
        return net

    def model(self, name: str, languages: tuple[str, ...]) -> Model:
        """The model, its network made at once. Raises UsageError."""
        net = self.network()
        self._check_neighbours(net)
        return Model(
            name, lambda: net, Labels.of_names(self.labels, languages), **asdict(self.preset),
            temperature=self.temperature, thresholds=self.thresholds, neighbours=self.neighbours,
        )  # fmt: skip

    def _check_neighbours(self, net: "nn.Module") -> None:
        if self.neighbours is None:
            return
        from vidcam.models.heads import head_width

        given, wanted = self.neighbours.features.shape[1], head_width(net)
        if given != wanted:
            takes = "has no single head" if wanted is None else f"gives its head {wanted}"
            where = f"{self.path}: " if self.path else ""
            raise UsageError(
                f"{where}its neighbours have {given} numbers each, and {self.arch} {takes}; "
                "leave neighbours and nearness out"
            )


def load_checkpoint(path: Path, languages: tuple[str, ...]) -> Model:
    """The model of a checkpoint file, or of a folder of `vidcam train`. Raises UsageError."""
    file = checkpoint_file(path)
    name = f"{path.resolve().name}/{file.name}" if file != path else path.name
    return read_checkpoint(file).model(name, languages)


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint file; its weights are mapped, and read when they are used. Raises UsageError."""
    path = checkpoint_file(path)
    payload = _read(path)
    check_form(path, payload)
    labels = tuple(str(label) for label in payload["labels"])
    thresholds = payload.get("thresholds")
    given = {f.name: payload[f.name] for f in fields(Preset) if payload.get(f.name) is not None}
    given |= {name: tuple(given[name]) for name in ("mean", "std") if name in given}
    usual = preset_of(payload["arch"])
    return Checkpoint(
        payload["arch"], labels, payload["state_dict"], replace(usual, **given),
        payload.get("settings") or {}, payload.get("temperature"),
        None if thresholds is None else tuple(thresholds),
        payload.get("metrics") or {}, payload.get("versions") or {}, path, _neighbours_of(payload),
    )  # fmt: skip


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint in place of what is there, whole or not at all.

    Raises UsageError for what no checkpoint may hold, OutputError when it cannot be written; the
    file from before is kept then.
    """
    payload = _payload(checkpoint)
    check_form(path, payload)
    save_whole(path, payload)


def _payload(checkpoint: Checkpoint) -> dict[str, Any]:
    """The dict of a checkpoint, of nothing but Python's own values and tensors on the CPU."""
    import torch

    from vidcam import __version__

    preset = asdict(checkpoint.preset)
    thresholds, temperature = checkpoint.thresholds, checkpoint.temperature
    neighbours = checkpoint.neighbours
    return preset | {
        "vidcam": VERSION,
        "arch": checkpoint.arch,
        "settings": {key: _plain(value) for key, value in checkpoint.settings.items()},
        "state_dict": {
            name: _compact(tensor) for name, tensor in checkpoint.state_dict.items()
        },
        "labels": [str(label) for label in checkpoint.labels],
        "size": int(preset["size"]),
        "mean": [float(value) for value in preset["mean"]],
        "std": [float(value) for value in preset["std"]],
        "crop_share": float(preset["crop_share"]),
        "temperature": None if temperature is None else float(temperature),
        "thresholds": None if thresholds is None else [float(value) for value in thresholds],
        "neighbours": neighbours and torch.from_numpy(neighbours.features),
        "nearness": neighbours and float(neighbours.least),
        "metrics": {str(key): _plain(value) for key, value in checkpoint.metrics.items()},
        "versions": {"vidcam": __version__, "torch": torch.__version__.split("+")[0]},
    }  # fmt: skip


def _neighbours_of(payload: dict[str, Any]) -> Neighbours | None:
    features, nearness = payload.get("neighbours"), payload.get("nearness")
    if features is None or nearness is None:
        return None
    return Neighbours(features.detach().numpy(), float(nearness))


def _plain(value: Any) -> Any:
    """A number of numpy or torch as Python's own."""
    return value.item() if hasattr(value, "item") else value


def _compact(tensor: "Tensor") -> "Tensor":
    """A tensor on the CPU without the rest of a larger one that it may be a part of."""
    tensor = tensor.detach().cpu()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()


def _read(path: Path) -> dict[str, Any]:
    try:
        payload = read_whole(path)
    except CodeRefused as error:
        raise UsageError(f"checkpoint {error}; re-save it where you trust it: {RESAVE}") from error
    missing = REQUIRED - set(payload if isinstance(payload, dict) else ())
    if missing:
        raise UsageError(
            f"checkpoint {path} lacks {', '.join(sorted(missing))}; "
            f"vidcam import makes one of bare weights, or write it as {RESAVE}"
        )
    return dict(payload)
