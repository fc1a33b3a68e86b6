"""One forward pass that is cut at a layer: no autograd before it, autograd behind it.

The map of a Grad-CAM method needs only the layer's activation A and dY/dA. So the trunk (input to
layer) runs without a graph, A becomes a fresh leaf, and only the tail (layer to logits) is
differentiated. What else crosses the cut is a constant for the tail, so dY/dA is that of the full
backward, not an approximation.

Why a copy on each side of the leaf: an in-place operation behind the layer would overwrite A, and
one on another path of the trunk would overwrite what the layer returned (2026-11: grad-cam 1.5.7
has both faults; its map of densenet121's `features` is off by 0.12).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidcam.cam.tail import Tail
from vidcam.errors import UsageError

Chooser = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Cut:
    """What one pass gives: logits (N, K), activation (N, C, h, w), and dY/dA of each choice.

    `features` (N, D) are what the head is given, None where it is not known.
    """

    logits: Tensor
    activation: Tensor
    gradients: tuple[Tensor, ...]
    features: Tensor | None = None


class LayerError(UsageError):
    """The layer cannot carry a map."""


def forward(
    net: nn.Module,
    layer: nn.Module,
    pixels: Tensor,
    *choosers: Chooser,
    tail: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Cut:
    """Run `net` on `pixels` (N, 3, S, S), cut at `layer`.

    Each of `choosers` maps logits (N, K) to the weights (N, K) of the classes whose scores are
    explained, at the cost of one pass back through the tail; without any, nothing is explained.
    `tail` is a context in which the tail runs. No hook outlives the call.
    Raises LayerError when the layer is not called just once with a tensor for a result.
    """
    leaves: list[Tensor] = []
    entered: list[AbstractContextManager[object]] = []

    def cut(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        if leaves:
            raise LayerError("it is called more than once, so it has no single activation")
        if not isinstance(output, Tensor):
            raise LayerError(f"its result is a {type(output).__name__}, not a tensor")
        context = tail()
        context.__enter__()
        entered.append(context)
        torch.set_grad_enabled(bool(choosers))
        # The tail is a thousandth of the work: f32 there keeps the ranking of close logits.
        leaf = output.detach().to(torch.float32, copy=True).requires_grad_(bool(choosers))
        leaves.append(leaf)
        return leaf.clone()

    handle = layer.register_forward_hook(cut)
    with torch.no_grad():
        try:
            logits = net(pixels)
            if not leaves:
                raise LayerError("it is not called in a forward pass")
            if choosers and not logits.requires_grad:
                raise LayerError("no gradient of the scores reaches it")
            gradients = [
                _derivative((logits * choose(logits.detach())).sum(), leaves[0], left)
                for choose, left in _with_left(choosers)
            ]
        finally:
            handle.remove()
            for context in entered:
                context.__exit__(None, None, None)
    return Cut(logits.detach(), leaves[0].detach(), tuple(gradients))


def differentiate(
    tail: Tail, activation: Tensor, crossing: Sequence[Tensor], *choosers: Chooser
) -> Cut:
    """As `forward`, behind the cut; here choosers map logits (N, K) to the classes (N,)."""
    with torch.set_grad_enabled(bool(choosers)):
        leaf = activation.detach().requires_grad_(bool(choosers))
        features = tail.features(leaf.clone(), crossing)
    logits = tail.logits(features.detach())
    gradients = []
    for choose, left in _with_left(choosers):
        with torch.enable_grad():
            score = tail.scores(features, choose(logits)).sum()
        gradients.append(_derivative(score, leaf, left))
    given = features.detach() if tail.has_head else None
    return Cut(logits, leaf.detach(), tuple(gradients), given)


def one_hot(classes: Tensor, like: Tensor) -> Tensor:
    """Weights that pick one class (N,) of each row of `like` (N, K)."""
    return nn.functional.one_hot(classes, like.shape[1]).to(like.dtype)


def _with_left(choosers: Sequence[Chooser]) -> Iterator[tuple[Chooser, bool]]:
    """Each chooser, and whether another follows that needs the graph."""
    for number, choose in enumerate(choosers, 1):
        yield choose, number < len(choosers)


def _derivative(score: Tensor, leaf: Tensor, keep: bool) -> Tensor:
    (gradient,) = torch.autograd.grad(score, leaf, allow_unused=True, retain_graph=keep)
    if gradient is None:
        raise LayerError("no gradient of the scores reaches it")
    return gradient
