"""Bare weights, as `torch.save(net.state_dict(), path)` wrote them, made into a checkpoint."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.errors import UsageError
from vidcam.models import BUILTIN
from vidcam.models.architectures import NOTEBOOKS, Settings, check_runs, create, preset_of
from vidcam.models.checkpoint import Checkpoint
from vidcam.models.class_names import read_class_names
from vidcam.models.options import ImportOptions
from vidcam.models.reading import CodeRefused, read_whole
from vidcam.models.resaving import PLACES, line_that_resaves
from vidcam.models.weights import COUNTER, misfit, without_auxiliary, written

if TYPE_CHECKING:
    from torch import Tensor, nn

# What DataParallel and torch.compile put in front of every name.
WRAPPERS = ("module.", "_orig_mod.")
# Which of torchvision's families name a tensor so; others are too many to be tried.
FAMILIES = {
    "layer4.": ("resnet", "resnext", "wide_resnet"),
    "stage4.": ("shufflenet",),
    "encoder.": ("vit_b", "vit_l"),
    "layers.": ("mnasnet",),
    "features.denseblock4.": ("densenet",),
    "features.": ("alexnet", "vgg", "squeezenet", "mobilenet", "efficientnet_b", "convnext"),
}


def import_weights(path: Path, options: ImportOptions) -> tuple[Checkpoint, "nn.Module"]:
    """The checkpoint that bare weights, an architecture and class names make, and its network.

    Raises UsageError.
    """
    if options.arch is None or options.labels is None:
        missing = "--arch" if options.arch is None else "--labels"
        raise UsageError(f"{missing} is missing: bare weights do not say it")
    arch = options.arch
    preset = preset_of(arch)
    labels = tuple(read_class_names(options.labels))
    given = {
        name: value
        for name in ("mean", "std", "fit", "layer")
        if (value := getattr(options, name)) is not None
    }
    preset = replace(preset, size=options.imgsz or preset.size, **given)
    state = without_auxiliary(arch, _unwrapped(read_whole_state(path)))
    settings = _settings(arch, state)
    net, _ = create(arch, len(labels), preset.size, settings)
    own = net.state_dict()
    theirs = _names_in_file(own, state) if arch in NOTEBOOKS else {}
    if theirs:
        state = {name: state[theirs[name]] for name in own if theirs.get(name) in state}
    if wrong := misfit(arch, own, state, theirs):
        raise UsageError(f"{path} does not fit: {_reason(arch, own, state, wrong)}")
    _check_finite(path, state)
    net.load_state_dict(state)
    check_runs(arch, net, preset.size)
    return Checkpoint(arch, labels, net.state_dict(), preset, settings), net.eval()


def read_whole_state(path: Path) -> dict[str, Any]:
    """The dict of tensors in a file, also when it lies in a training loop's dict.

    Raises UsageError, with the line of Python that re-saves what is not loaded.
    """
    try:
        payload = read_whole(path)
    except CodeRefused as error:
        raise UsageError(
            f"{error}; re-save its weights where you trust it: {line_that_resaves(path)}"
        ) from error
    if isinstance(payload, dict) and {"vidcam", "arch", "labels"} <= set(payload):
        raise UsageError(f"{path} is a checkpoint already: --model {path} takes it")
    for place in PLACES:
        if isinstance(payload, dict) and isinstance(payload.get(place), dict):
            payload = payload[place]
    if not isinstance(payload, dict) or not any(_tensors(payload)):
        raise UsageError(
            f"{path} holds no weights: save them as torch.save(net.state_dict(), PATH)"
        )
    return payload


def _tensors(payload: Mapping[Any, Any]) -> Iterator[str]:
    from torch import Tensor

    return (str(name) for name, value in payload.items() if isinstance(value, Tensor))


def _unwrapped(state: Mapping[Any, Any]) -> dict[str, Any]:
    names = [str(name) for name in state]
    while prefix := next((w for w in WRAPPERS if all(n.startswith(w) for n in names)), ""):
        names = [name[len(prefix) :] for name in names]
    return dict(zip(names, state.values(), strict=True))


def _settings(arch: str, state: Mapping[str, Any]) -> Settings:
    """That a network was trained without BatchNorm shows in its weights."""
    takes = arch == "cnn7" or arch.startswith(FAMILIES["layer4."])
    has = any(name.endswith("running_mean") for name in state)
    return {"batchnorm": False} if takes and not has else {}


def _layers(state: "Mapping[str, Tensor]") -> dict[str, list[dict[str, str]]]:
    """The layers by kind, each in order, as `{tensor's own name: its full name}`."""
    layers: dict[str, dict[str, str]] = {}
    for name in state:
        layer, _, own = name.rpartition(".")
        layers.setdefault(layer, {})[own] = name
    kinds: dict[str, list[dict[str, str]]] = {}
    for names in layers.values():
        kind = "norm" if "running_mean" in names else "?"
        if kind == "?" and "weight" in names:
            kind = str(getattr(state[names["weight"]], "ndim", "?"))
        kinds.setdefault(kind, []).append(names)
    return kinds


def _names_in_file(own: "Mapping[str, Tensor]", state: Mapping[str, Any]) -> dict[str, str]:
    """What a file calls each tensor of a notebook's network; empty when it is not that network.

    Everybody named the layers as they liked, so they are told by kind and order.
    """
    ours, theirs = _layers(own), _layers(state)
    if {k: len(v) for k, v in ours.items()} != {k: len(v) for k, v in theirs.items()}:
        return {}
    return {
        full: other.get(name, full)
        for kind, layers in ours.items()
        for layer, other in zip(layers, theirs[kind], strict=True)
        for name, full in layer.items()
    }


def _reason(arch: str, own: "Mapping[str, Tensor]", state: Mapping[str, Any], wrong: str) -> str:
    """Why weights do not fit, and what would."""
    off = [
        name for name, tensor in own.items()
        if name not in state or getattr(state[name], "shape", None) != tensor.shape
    ]  # fmt: skip
    off += [name for name in state if name not in own]
    head = next(reversed([name for name in own if name.endswith("weight")]))
    outputs = {head, head.removesuffix("weight") + "bias"}
    if set(off) <= outputs and head in state and state[head].ndim == own[head].ndim:
        has, wants = state[head].shape, own[head].shape
        if has[1:] == wants[1:]:
            return f"{wrong}; it has {has[0]} classes, --labels names {wants[0]}"
    if arch in NOTEBOOKS and set(off) - outputs == {"fc1.weight"}:
        blocks = sum(name.startswith("conv") for name in own) // 2
        channels = own[f"conv{blocks}.weight"].shape[0]
        side = round((state["fc1.weight"].shape[1] / channels) ** 0.5)
        if side * side * channels == state["fc1.weight"].shape[1]:
            return f"{wrong}; it was made for other pictures, try --imgsz {side << blocks}"
    fitting = [name for name in _candidates(state) if name != arch and _fits(name, state)]
    return f"{wrong}; it fits --arch {' or '.join(fitting)}" if fitting else wrong


def _candidates(state: Mapping[str, Any]) -> list[str]:
    from vidcam.models import torchvision

    families = next(
        (
            families
            for start, families in FAMILIES.items()
            if any(name.startswith(start) for name in state)
        ),
        (),
    )
    return [
        BUILTIN,
        *NOTEBOOKS,
        *(n for n in torchvision.names() if families and n.startswith(families)),
    ]


def _fits(arch: str, state: Mapping[str, Any]) -> bool:
    """Whether an architecture takes these weights, with as many classes as they have."""
    import torch

    shapes = [value.shape for value in state.values() if getattr(value, "ndim", 0) > 1]
    if not shapes:
        return False
    with torch.device("meta"):  # shapes alone, no numbers
        net, _ = create(arch, shapes[-1][0], None, _settings(arch, state))
    own = net.state_dict()
    state = without_auxiliary(arch, state)
    if theirs := _names_in_file(own, state) if arch in NOTEBOOKS else {}:
        state = {name: state[theirs[name]] for name in own if theirs.get(name) in state}
    return misfit(arch, own, state) is None


def _check_finite(path: Path, state: "Mapping[str, Tensor]") -> None:
    for name, tensor in state.items():
        if not name.endswith(COUNTER) and not bool(tensor.isfinite().all()):
            raise UsageError(
                f"{path}: {name} ({written(tensor)}) holds NaN or infinity, so its training failed"
            )
