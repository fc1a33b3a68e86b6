"""Every layer of a network by one pass: shapes, parameters, and which can carry a map."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidcam.cam.layers import all_classes, blank, check_gradients, first_class
from vidcam.cam.split import LayerError


@dataclass(frozen=True)
class Layer:
    """One module of a network.

    `shape` is that of its result for one picture, None where it gives no tensor or is not called.
    `parameters` counts those of all that is inside it. `obstacle` says why it cannot carry a map,
    None when it can.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    obstacle: str | None


def survey(net: nn.Module, size: int) -> list[Layer]:
    """The layers of `net` (eval mode) for pictures (3, S, S), in the network's own order.

    One forward and two backward passes tell of all layers at once what `layers.check_layer` tells
    of one.
    """
    results: dict[str, Tensor] = {}
    counts: Counter[str] = Counter()
    obstacles: dict[str, str] = {}

    def keep(name: str) -> Callable[..., Tensor | None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> Tensor | None:
            counts[name] += 1
            if not isinstance(output, Tensor):
                obstacles[name] = f"its result is a {type(output).__name__}, not a tensor"
                return None
            results[name] = output
            return output.clone()  # what is in place behind the layer works on this one

        return hook

    modules = {name: module for name, module in net.named_modules() if name}
    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        # A first module that works in place must not find a leaf.
        logits = net(blank(net, size).requires_grad_(True) + 0)
    finally:
        for handle in handles:
            handle.remove()
    of_all, of_first = (
        dict(zip(results, _gradients(logits, choose, list(results.values())), strict=True))
        for choose in (all_classes, first_class)
    )
    for name in modules:
        if not counts[name]:
            obstacles[name] = "it is not called in a forward pass"
        elif counts[name] > 1:
            obstacles[name] = "it is called more than once, so it has no single activation"
        elif name in results:
            try:
                check_gradients(
                    results[name], of_all[name], of_first[name], classes=logits.shape[1]
                )
            except LayerError as error:
                obstacles[name] = str(error)
    return [
        Layer(
            name,
            type(module).__name__,
            tuple(results[name].shape) if name in results else None,
            sum(parameter.numel() for parameter in module.parameters()),
            obstacles.get(name),
        )
        for name, module in modules.items()
    ]


def _gradients(
    logits: Tensor, choose: Callable[[Tensor], Tensor], results: list[Tensor]
) -> list[Tensor]:
    reached = [result for result in results if result.requires_grad]
    score = (logits * choose(logits.detach())).sum()
    found = iter(torch.autograd.grad(score, reached, allow_unused=True, retain_graph=True))
    gradients = [next(found) if result.requires_grad else None for result in results]
    return [
        torch.zeros_like(result) if gradient is None else gradient
        for result, gradient in zip(results, gradients, strict=True)
    ]
