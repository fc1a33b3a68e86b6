"""The class-activation methods of the grad-cam library, for pictures: its code, without its traps.

Ours (`methods.py`) are here too, because the library's smoothing goes through its own. What it does
and we undo (1.5.7): it keeps A without copying it, so that what is in place behind the layer spoils
it; without gradients on the input its hooks get none; it keeps every A of a long method; it swaps
modules, sets flags and leaves hooks; it prints, and draws progress bars.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from vidcam.errors import UnknownName, UsageError, VidcamError
from vidcam.types import Map

# Our name -> the library's class. Literal, because importing the library takes seconds.
METHODS: dict[str, str] = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "layercam": "LayerCAM",
    "hirescam": "HiResCAM",
    "xgradcam": "XGradCAM",
    "eigencam": "EigenCAM",
    "scorecam": "ScoreCAM",
    "ablationcam": "AblationCAM",
    "eigengradcam": "EigenGradCAM",
    "fem": "FEM",
    "finercam": "FinerCAM",
    "fullgrad": "FullGrad",
    "gradcamelementwise": "GradCAMElementWise",
    "kpcacam": "KPCA_CAM",
    "randomcam": "RandomCAM",
    "refinecam": "RefineCAM",
    "segeigencam": "SegEigenCAM",
    "sess": "SESS",
    "shapleycam": "ShapleyCAM",
}
# Hundreds of forward passes each: a channel each, or a window each.
SLOW = frozenset({"scorecam", "ablationcam", "sess"})
# Wrappers of another method, which do not take both kinds of smoothing.
NO_AUG_SMOOTH = frozenset({"finercam", "refinecam", "sess"})
# RefineCAM hands its own on as the other kind; the rest take no notice of it.
NO_EIGEN_SMOOTH = frozenset(
    {"eigencam", "eigengradcam", "fem", "kpcacam", "refinecam", "segeigencam"}
)

Grid = Callable[[Tensor], Tensor]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Smoothing:
    """The library's two: `aug` averages over flips and contrasts, `eigen` takes the first
    principal component of what is summed, whose sign is the decomposition's.
    """

    aug: bool = False
    eigen: bool = False


@dataclass(frozen=True)
class _Task:
    """What is explained: (1, 3, S, S) pixels, the class, the layers in the order of their calls."""

    net: nn.Module
    layers: list[nn.Module]
    pixels: Tensor
    index: int
    grid: Grid
    is_tokens: bool
    is_flat: bool


def library_map(
    name: str,
    net: nn.Module,
    layers: Sequence[nn.Module],
    pixels: Tensor,
    index: int,
    *,
    smooth: Smoothing,
    grid: Grid,
    progress: Progress | None = None,
) -> Map:
    """The map (S, S) in [0, 1] of a class, by the library's method `name`, for pixels (1, 3, S, S).

    Of several layers it is the mean of their maps (refinecam: the product, and it needs several;
    fullgrad: of all biases, whatever the layers). `grid` gives (N, C, h, w) of what a layer gives.
    `progress(done, of)` is called by the methods that take long. Same map on every call. Nothing
    of `net` is changed. Raises UnknownName, and UsageError when the method cannot do it here.
    """
    if name not in METHODS:
        raise UnknownName("CAM method", name, METHODS)
    _check_smoothing(name, smooth)
    if name == "refinecam" and len(layers) < 2:
        raise UsageError("refinecam multiplies the maps of several layers; name two or more layers")
    if name == "fullgrad":
        _check_biases(net)
    with ExitStack() as stack:
        stack.enter_context(_unchanged(net))
        stack.enter_context(_quiet(progress))
        stack.enter_context(_seeded())
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(torch.enable_grad())
        try:
            task = _task(net, layers, pixels, index, grid)
            raw = _run(name, task, smooth)
        except (VidcamError, MemoryError, OSError):
            raise
        except Exception as error:  # the library raises whatever its parts raise
            text = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UsageError(f"{name} cannot explain this network: {text}") from error
    result = np.nan_to_num(np.asarray(raw[0], np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(result, 0, 1)


def _check_smoothing(name: str, smooth: Smoothing) -> None:
    for asked, option, without in (
        (smooth.aug, "--aug-smooth", NO_AUG_SMOOTH),
        (smooth.eigen, "--eigen-smooth", NO_EIGEN_SMOOTH),
    ):
        if asked and name in without:
            raise UsageError(f"{name} has no {option}; leave it out or choose another method")


def _check_biases(net: nn.Module) -> None:
    """FullGrad adds up what every bias contributes; the library sees those of two classes only."""
    plain = (nn.Conv2d, nn.BatchNorm2d)
    biased = [module for module in net.modules() if getattr(module, "bias", None) is not None]
    missed = {type(module).__name__ for module in biased if type(module) not in (*plain, nn.Linear)}
    if missed or not any(type(module) in plain for module in biased):
        of = ", ".join(sorted(missed)) or "none"
        raise UsageError(
            "fullgrad adds up the biases of Conv2d and BatchNorm2d layers, which are not all that "
            f"this network has (others: {of}); use another method"
        )


def _task(
    net: nn.Module, layers: Sequence[nn.Module], pixels: Tensor, index: int, grid: Grid
) -> _Task:
    """One forward pass that tells the order of the layers and what they give."""
    called: list[nn.Module] = []
    tokens: list[bool] = []
    flat: list[bool] = []

    def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
        called.append(module)
        cells = grid(output)
        tokens.append(cells.shape != output.shape)
        flat.append(bool((cells == cells[..., :1, :1]).all()))

    for layer in layers:
        layer.register_forward_hook(note)
    with torch.no_grad():
        net(pixels)
    for layer in layers:
        layer._forward_hooks.popitem()
        if called.count(layer) != 1:
            raise UsageError(
                f"a layer that is called {called.count(layer)} times in a pass cannot carry a map"
            )
    return _Task(net, called, pixels.detach().clone(), index, grid, any(tokens), all(flat))


def _run(name: str, task: _Task, smooth: Smoothing) -> Any:
    """The library's own result (1, S, S)."""
    if name == "kpcacam" and task.is_flat:  # it would stretch rounding noise
        return np.zeros((1, *task.pixels.shape[2:]), np.float32)
    cam = _make(name, task)
    bases = getattr(cam, "base_cam_per_layer", None) or [getattr(cam, "base_cam", cam)]
    for one in (cam, *bases):
        one.compute_input_gradient = all(base.uses_gradients for base in bases)
    if name != "fullgrad":  # which needs no A
        for layer in task.layers:
            layer.register_forward_hook(_keeper(bases, len(task.layers)))
    targets = import_module("pytorch_grad_cam.utils.model_targets")
    # Of the bare score the second derivative, which is Shapley-CAM's, is zero behind a linear head.
    target = "ClassifierOutputReST" if name == "shapleycam" else "ClassifierOutputTarget"
    chosen = [getattr(targets, target)(task.index)]
    try:
        if name == "finercam":  # with a target it would be Grad-CAM
            return cam(task.pixels, None, eigen_smooth=smooth.eigen, target_idx=task.index)
        if name in NO_AUG_SMOOTH:
            return cam(task.pixels, chosen, eigen_smooth=smooth.eigen)
        return cam(task.pixels, chosen, aug_smooth=smooth.aug, eigen_smooth=smooth.eigen)
    finally:
        for base in bases:
            saver = base.activations_and_grads
            # By hand, because its own way fails on views; with `outputs` they hold the graph.
            saver.activations, saver.gradients, base.outputs = [], [], None
            vars(base).pop("save_activation", None)


def _make(name: str, task: _Task) -> Any:
    library = import_module("pytorch_grad_cam")
    kind = getattr(library, METHODS[name], None)
    if kind is None:
        raise UsageError(f"the installed grad-cam has no {METHODS[name]}: pip install -U grad-cam")
    if name == "fullgrad":
        return kind(task.net, [])
    if name == "shapleycam" and task.is_tokens:
        raise UsageError("shapleycam needs a layer that gives (N, C, h, w), not tokens")
    if name != "ablationcam":
        return kind(task.net, task.layers, task.grid)
    # One of our own: the default one is shared by all, and keeps A for ever.
    ablation = library.AblationLayerVit() if task.is_tokens else library.AblationLayer()
    cam = kind(task.net, task.layers, task.grid, ablation)

    def save_a_copy(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        cam.activations = output.clone()

    cam.save_activation = save_a_copy
    return cam


def _keeper(cams: Sequence[Any], count: int) -> Callable[..., Tensor]:
    """A hook behind the library's: what follows the layer works on a copy, so that A stays."""
    savers = [cam.activations_and_grads for cam in cams]

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        for saver in savers:
            del saver.activations[count:]  # the first are those of the picture itself
        return output.clone()

    return keep


@contextmanager
def _unchanged(net: nn.Module) -> Iterator[None]:
    """Give back modules, hooks, flags and gradients as they were."""
    modules = list(net.modules())
    parts = [(m, dict(m._modules), list(m._forward_hooks), m.training) for m in modules]
    weights = [(p, p.requires_grad, p.grad) for p in net.parameters()]
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, children, hooks, training in parts:
            module._modules.update(children)
            for key in set(module._forward_hooks).difference(hooks):
                del module._forward_hooks[key]
            module.training = training
        for parameter, requires, gradient in weights:
            parameter.requires_grad_(requires)
            parameter.grad = gradient


@contextmanager
def _quiet(progress: Progress | None) -> Iterator[None]:
    """The library's progress bars go to `progress`, what it prints goes nowhere."""

    def bar(steps: Sequence[int]) -> Iterator[int]:
        for done, step in enumerate(steps, 1):
            yield step
            if progress is not None:
                progress(done, len(steps))

    with ExitStack() as stack:
        for module in ("score_cam", "ablation_cam"):
            library = import_module(f"pytorch_grad_cam.{module}")
            stack.enter_context(patch.object(library, "tqdm", SimpleNamespace(tqdm=bar)))
        hirescam = import_module("pytorch_grad_cam.hirescam")
        stack.enter_context(patch.object(hirescam, "print", lambda *_: None, create=True))
        yield


@contextmanager
def _seeded() -> Iterator[None]:
    """randomcam, and kpcacam's solver, draw from NumPy's global generator: the same every time."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
