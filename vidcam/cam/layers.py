"""Which layer carries the map: the default one, and whether a named one can.

Decided by dry runs, not by names, so that any network works.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import isqrt

import torch
from torch import Tensor, nn

from vidcam.cam import split
from vidcam.cam.split import LayerError
from vidcam.errors import UnknownName, UsageError
from vidcam.models import Model
from vidcam.options import CamOptions

POOLS = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LPPool2d,
    nn.FractionalMaxPool2d,
)  # fmt: skip
IDLE = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.AlphaDropout)
# A token layer's first tokens are no patches: a class token, DeiT's second, DINOv2's registers.
MOST_PREFIX_TOKENS = 16


def to_grid(tokens: Tensor) -> Tensor:
    """(N, C, h, w) of a layer's result (N, C, h, w), (N, h, w, C) or (N, prefix + h*w, C).

    Raises LayerError when the result has no grid of more than one cell.
    """
    if tokens.ndim == 4:
        _, a, b, c = tokens.shape
        if b != c and a != b:
            raise LayerError(f"its result of shape {_shape(tokens)} has no square grid")
        grid = tokens if b == c else tokens.permute(0, 3, 1, 2)
    elif tokens.ndim == 3 and tokens.shape[1] > 1:
        length = tokens.shape[1]
        side = isqrt(length)
        prefix = length - side * side
        if prefix > MOST_PREFIX_TOKENS:
            raise LayerError(f"its {length} tokens are no square grid")
        patches = tokens[:, prefix:].transpose(1, 2)
        grid = patches.reshape(tokens.shape[0], tokens.shape[2], side, side)
    else:
        raise LayerError(f"its result of shape {_shape(tokens)} has no grid")
    if grid.shape[2] * grid.shape[3] < 2:
        raise LayerError(f"its result of shape {_shape(tokens)} has a grid of one cell")
    return grid


@dataclass(frozen=True)
class Call:
    """One module call of a dry run, in the order in which the calls end."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    is_pool: bool


def calls_of(net: nn.Module, size: int) -> list[Call]:
    """Every module call of one forward pass that gives a tensor with a grid, in order of end."""
    found: list[Call] = []
    pooled: set[int] = set()
    alive: list[Tensor] = []  # an id is unique only while its tensor lives
    counts: Counter[str] = Counter()

    def record(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _inputs: object, output: object) -> None:
            counts[name] += 1
            if not isinstance(output, Tensor):
                return
            alive.append(output)
            if isinstance(module, POOLS):
                pooled.add(id(output))
            try:
                to_grid(output)
            except LayerError:
                return
            found.append(Call(name, module, tuple(output.shape), id(output) in pooled))

        return hook

    handles = [
        module.register_forward_hook(record(name)) for name, module in net.named_modules() if name
    ]
    try:
        with torch.no_grad():
            net(_blank(net, size))
    finally:
        for handle in handles:
            handle.remove()
    return [call for call in found if counts[call.name] == 1]


def layer_of(model: Model, cam: CamOptions) -> str | None:
    """The layer that is explained: the one asked for, the model's own, or the default one.

    None when nothing is explained. Raises UsageError when it cannot carry a map.
    """
    if cam.cam == "none":
        return None
    asked = cam.layer or model.layer
    if asked:
        check_layer(model.net, asked, model.size)
    return asked or default_layer(model.net, model.size)


def default_layer(net: nn.Module, size: int) -> str:
    """The last module before global pooling whose grid the scores depend on. Raises UsageError."""
    for name in _usable(net, size):
        return name
    raise UsageError("this model has no layer with a grid that a map could show; use --cam none")


def check_layer(net: nn.Module, name: str, size: int) -> nn.Module:
    """The module of a path, when it can carry a map. Raises UsageError with the reason."""
    modules: dict[str, nn.Module] = dict(net.named_modules())
    if name not in modules or not name:
        raise UnknownName("layer", name, [call.name for call in reversed(calls_of(net, size))])
    try:
        _dry_run(net, modules[name], size)
    except LayerError as error:
        listed = ", ".join(islice(_usable(net, size), 6)) or "none"
        raise UsageError(
            f"layer {name} cannot carry a map: {error}; layers that can: {listed}"
        ) from None
    return modules[name]


def _usable(net: nn.Module, size: int) -> Iterator[str]:
    for call in reversed(calls_of(net, size)):
        # A projection of tokens is a part of attention: queries, keys and values in one.
        projection = len(call.shape) == 3 and isinstance(call.module, nn.Linear)
        if call.is_pool or projection or isinstance(call.module, IDLE):
            continue
        try:
            _dry_run(net, call.module, size)
        except LayerError:
            continue
        yield call.name


def _dry_run(net: nn.Module, layer: nn.Module, size: int) -> None:
    cut = split.forward(net, layer, _blank(net, size), torch.ones_like)
    if cut.activation.shape[0] != 1:
        raise LayerError(f"its result of shape {_shape(cut.activation)} is of parts of the picture")
    activation = to_grid(cut.activation)
    if not bool(to_grid(cut.gradients[0]).any()):
        raise LayerError("no gradient of the scores reaches its grid")
    if activation.shape[1] != cut.logits.shape[1]:
        return
    (first,) = split.forward(
        net, layer, _blank(net, size), lambda y: split.one_hot(torch.zeros_like(y[:, 0]).long(), y)
    ).gradients
    # A class map (SqueezeNet's last conv) is its own explanation: its gradient is one constant.
    if int(to_grid(first).any((0, 2, 3)).sum()) <= 1:
        raise LayerError("it is the class map itself, so its gradient is the same everywhere")


def _blank(net: nn.Module, size: int) -> Tensor:
    parameter = next(net.parameters())
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, size, size, generator=generator)
    return noise.to(parameter.device, parameter.dtype)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
