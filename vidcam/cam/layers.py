"""Which layer carries the map: the default one, and whether a named one can.

Decided by dry runs, not by names, so that any network works.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
# Height and width of a grid of tokens that is asked for; None: a square one.
Shape = tuple[int, int] | None
MOST_LISTED = 8


def to_grid(tokens: Tensor, shape: Shape = None) -> Tensor:
    """(N, C, h, w) of a layer's result (N, C, h, w), (N, h, w, C) or (N, prefix + h*w, C).

    Without `shape` (h, w) a grid of tokens is square. Raises LayerError when the result has no such
    grid, or one of a single cell.
    """
    if tokens.ndim == 4:
        grid = _channels_first(tokens, shape)
    elif tokens.ndim == 3 and tokens.shape[1] > 1:
        length = tokens.shape[1]
        height, width = shape or (isqrt(length), isqrt(length))
        prefix = length - height * width
        if not 0 <= prefix <= MOST_PREFIX_TOKENS:
            wanted = f"grid of {height}x{width}" if shape else "square grid"
            raise LayerError(f"its {length} tokens are no {wanted}")
        patches = tokens[:, prefix:].transpose(1, 2)
        grid = patches.reshape(tokens.shape[0], tokens.shape[2], height, width)
    else:
        raise LayerError(f"its result of shape {_written(tokens.shape)} has no grid")
    if grid.shape[2] * grid.shape[3] < 2:
        raise LayerError(f"its result of shape {_written(tokens.shape)} has a grid of one cell")
    return grid


def _channels_first(tokens: Tensor, shape: Shape) -> Tensor:
    _, a, b, c = tokens.shape
    if shape is None and b != c and a != b:
        raise LayerError(f"its result of shape {_written(tokens.shape)} has no square grid")
    if (b, c) == shape or (shape is None and b == c):
        return tokens
    if (a, b) == shape or shape is None:
        return tokens.permute(0, 3, 1, 2)
    raise LayerError(
        f"its result of shape {_written(tokens.shape)} has no grid of {shape[0]}x{shape[1]}"
    )


@dataclass(frozen=True)
class Call:
    """One module call of a dry run; `has_grid` says that its result is one, of parts or not."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    has_grid: bool
    is_pool: bool


def calls_of(net: nn.Module, size: int, shape: Shape = None) -> list[Call]:
    """Every module that one forward pass calls just once with a tensor for a result, in order of
    the calls' ends."""
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
            is_pool = id(output) in pooled
            found.append(Call(name, module, tuple(output.shape), _has_grid(output, shape), is_pool))

        return hook

    handles = [
        module.register_forward_hook(record(name)) for name, module in net.named_modules() if name
    ]
    try:
        with torch.no_grad():
            net(blank(net, size))
    finally:
        for handle in handles:
            handle.remove()
    return [call for call in found if counts[call.name] == 1]


def _has_grid(output: Tensor, shape: Shape) -> bool:
    try:
        to_grid(output, shape)
    except LayerError:
        return False
    return True


def layer_of(model: Model, cam: CamOptions) -> str | None:
    """The layer that is explained: the one asked for, the model's own, or the default one.

    Without a map only one that is named, so that an engine prepares a network once for both; to
    look for one may take a minute. Raises UsageError when it cannot carry a map.
    """
    if asked := cam.layer or model.layer:
        check_layer(model.net, asked, model.size)
        return asked
    if cam.cam == "none":
        return None
    try:
        return default_layer(model.net, model.size)
    except UsageError as error:
        raise UsageError(f"{error}, and --cam none does without a map") from None


def default_layer(net: nn.Module, size: int, shape: Shape = None) -> str:
    """The last module before global pooling whose grid the scores depend on. Raises UsageError."""
    for name in _usable(net, size, shape):
        return name
    last = calls_of(net, size, shape)[-MOST_LISTED:]
    listed = ", ".join(f"{call.name} {_written(call.shape)}" for call in last)
    wanted = f"a grid of {shape[0]}x{shape[1]}" if shape else "a grid that a map could show"
    raise UsageError(
        f"this model has no layer with {wanted}; "
        f"its last layers give {listed}; vidcam layers lists all"
    )


def check_layer(net: nn.Module, name: str, size: int, shape: Shape = None) -> nn.Module:
    """The module of a path, when it can carry a map. Raises UsageError with the reason."""
    modules: dict[str, nn.Module] = dict(net.named_modules())
    if name not in modules or not name:
        called = [call.name for call in calls_of(net, size, shape) if call.has_grid]
        raise UnknownName("layer", name, reversed(called))
    try:
        _dry_run(net, modules[name], size, shape)
    except LayerError as error:
        listed = ", ".join(islice(_usable(net, size, shape), 6)) or "none"
        raise UsageError(
            f"layer {name} cannot carry a map: {error}; layers that can: {listed}"
        ) from None
    return modules[name]


def _usable(net: nn.Module, size: int, shape: Shape) -> Iterator[str]:
    for call in reversed(calls_of(net, size, shape)):
        # A projection of tokens is a part of attention: queries, keys and values in one.
        projection = len(call.shape) == 3 and isinstance(call.module, nn.Linear)
        if not call.has_grid or call.is_pool or projection or isinstance(call.module, IDLE):
            continue
        try:
            _dry_run(net, call.module, size, shape)
        except LayerError:
            continue
        yield call.name


def _dry_run(net: nn.Module, layer: nn.Module, size: int, shape: Shape) -> None:
    cut = split.forward(net, layer, blank(net, size), all_classes, first_class)
    check_gradients(cut.activation, *cut.gradients, classes=cut.logits.shape[1], shape=shape)


def check_gradients(
    activation: Tensor, of_all: Tensor, of_first: Tensor, *, classes: int, shape: Shape = None
) -> None:
    """Raise LayerError when a layer cannot carry a map.

    Told from its activation and the gradients there of all scores together and of the first.
    """
    if activation.shape[0] != 1:
        raise LayerError(
            f"its result of shape {_written(activation.shape)} is of parts of the picture"
        )
    grid = to_grid(activation, shape)
    if not bool(to_grid(of_all, shape).any()):
        raise LayerError("no gradient of the scores reaches its grid")
    # A class map (SqueezeNet's last conv) is its own explanation: its gradient is one constant.
    if grid.shape[1] == classes and int(to_grid(of_first, shape).any((0, 2, 3)).sum()) <= 1:
        raise LayerError("it is the class map itself, so its gradient is the same everywhere")


def all_classes(logits: Tensor) -> Tensor:
    """The chooser of all classes, each with a weight of its own.

    Equal weights would not do: the scores of a two-class logistic head add up to a constant.
    """
    return torch.linspace(1, 2, logits.shape[1], device=logits.device).expand_as(logits)


def first_class(logits: Tensor) -> Tensor:
    """The chooser of class 0."""
    return split.one_hot(torch.zeros_like(logits[:, 0]).long(), logits)


def blank(net: nn.Module, size: int) -> Tensor:
    """A picture (1, 3, S, S) of noise, on the network's device and in its precision."""
    parameter = next(net.parameters())
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, size, size, generator=generator)
    return noise.to(parameter.device, parameter.dtype)


def _written(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
