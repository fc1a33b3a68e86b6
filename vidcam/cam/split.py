"""One forward pass that is cut at a layer: no autograd before it, autograd behind it.

The map of a Grad-CAM method needs only the layer's activation A and dY/dA. So the trunk (input to
layer) runs without a graph, A becomes a fresh leaf, and only the tail (layer to logits) is
differentiated. What else crosses the cut is a constant for the tail, so dY/dA is that of the full
backward, not an approximation.

Why a copy on each side of the leaf: an in-place operation behind the layer would overwrite A, and
one on another path of the trunk would overwrite what the layer returned (2026-11: grad-cam 1.5.7
has both faults; its map of densenet121's `features` is off by 0.12).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidcam.cam.tail import Tail
from vidcam.errors import UsageError

Chooser = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Cut:
    """What one pass gives: logits (N, K), activation and dY/dA (N, C, h, w) or None.

    `second` is dY/dA of the second choice of classes, None without one.
    """

    logits: Tensor
    activation: Tensor
    gradient: Tensor | None
    second: Tensor | None = None


class LayerError(UsageError):
    """The layer cannot carry a map."""


def forward(
    net: nn.Module,
    layer: nn.Module,
    pixels: Tensor,
    choose: Chooser | None,
    tail: Callable[[], AbstractContextManager[object]] = nullcontext,
    second: Chooser | None = None,
) -> Cut:
    """Run `net` on `pixels` (N, 3, S, S), cut at `layer`.

    `choose` maps logits (N, K) to the weights (N, K) of the classes whose scores are explained,
    None explains nothing; `second` asks for other classes beside them, at the cost of another pass
    back through the tail. `tail` is a context in which the tail runs. No hook outlives the call.
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
        torch.set_grad_enabled(choose is not None)
        # The tail is a thousandth of the work: f32 there keeps the ranking of close logits.
        leaf = output.detach().to(torch.float32, copy=True).requires_grad_(choose is not None)
        leaves.append(leaf)
        return leaf.clone()

    handle = layer.register_forward_hook(cut)
    with torch.no_grad():
        try:
            logits = net(pixels)
            if not leaves:
                raise LayerError("it is not called in a forward pass")
            gradient = other = None
            if choose is not None:
                gradient = _gradient(logits, leaves[0], choose, keep=second is not None)
            if choose is not None and second is not None:
                other = _gradient(logits, leaves[0], second)
        finally:
            handle.remove()
            for context in entered:
                context.__exit__(None, None, None)
    return Cut(logits.detach(), leaves[0].detach(), gradient, other)


def differentiate(
    tail: Tail,
    activation: Tensor,
    crossing: Sequence[Tensor],
    choose: Chooser | None,
    second: Chooser | None = None,
) -> Cut:
    """As `forward`, behind the cut; here `choose` maps logits (N, K) to the classes (N,)."""
    with torch.set_grad_enabled(choose is not None):
        leaf = activation.detach().requires_grad_(choose is not None)
        features = tail.features(leaf.clone(), crossing)
    logits = tail.logits(features.detach())
    gradients: list[Tensor | None] = [None, None]
    for n, chosen in enumerate((choose, second)):
        if chosen is not None:
            with torch.enable_grad():
                score = tail.scores(features, chosen(logits)).sum()
            keep = n == 0 and second is not None
            gradients[n] = _derivative(score, leaf, keep)
    return Cut(logits, leaf.detach(), *gradients)


def one_hot(classes: Tensor, like: Tensor) -> Tensor:
    """Weights that pick one class (N,) of each row of `like` (N, K)."""
    return nn.functional.one_hot(classes, like.shape[1]).to(like.dtype)


def _gradient(logits: Tensor, leaf: Tensor, choose: Chooser, keep: bool = False) -> Tensor:
    if not logits.requires_grad:
        raise LayerError("no gradient of the scores reaches it")
    return _derivative((logits * choose(logits.detach())).sum(), leaf, keep)


def _derivative(score: Tensor, leaf: Tensor, keep: bool) -> Tensor:
    (gradient,) = torch.autograd.grad(score, leaf, allow_unused=True, retain_graph=keep)
    if gradient is None:
        raise LayerError("no gradient of the scores reaches it")
    return gradient
