"""Guided backpropagation: which pixels speak for a class, by gradients that stay positive.

The rule belongs to the backward pass of a ReLU, so it is put there: on the nodes of the autograd
graph that one forward pass leaves. The graph holds every activation that was really called, as a
module, as a function or in place, and the model itself is never touched.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from vidcam.errors import UsageError

# Lower and upper bound of what the rule is defined for: ReLU and ReLU6.
RECTIFIERS = ((0, None), (0, 6))
# autograd's name for what gives one -> ours. Sigmoid, Hardsigmoid and softmax are gates.
OTHERS = {
    "Celu": "CELU",
    "Elu": "ELU or SELU",
    "Gelu": "GELU",
    "Hardshrink": "Hardshrink",
    "Hardswish": "Hardswish",
    "LeakyRelu": "LeakyReLU",
    "LogSigmoid": "LogSigmoid",
    "Mish": "Mish",
    "PreluKernel": "PReLU",
    "RreluWithNoise": "RReLU",
    "Silu": "SiLU",
    "Softplus": "Softplus",
    "Softshrink": "Softshrink",
    "Tanh": "Tanh",
    "Threshold": "Threshold",
}
SELF_GATED = "self-gated (Swish)"
# What may lie between a tensor and the gate that is made of its own values.
LINEAR = ("Add", "Sub", "Mul", "Div", "Neg", "ToCopy", "Clone")
CURVED = ("Sigmoid", "Hardsigmoid", "Tanh", "Softplus", "Hardtanh", "Relu", "Clamp", "ClampMin")


def guided_backprop(net: nn.Module, pixels: Tensor, index: int) -> Tensor:
    """The guided gradient (3, S, S), signed, of a class's logit for normalised pixels (1, 3, S, S).

    At every ReLU only positive gradients of positive inputs pass (Springenberg et al. 2015,
    arXiv:1412.6806). `net` is in eval mode and gives logits (1, K); it is not changed. Raises
    UsageError when it has no ReLU or ReLU6, or other activations, for which nothing is defined.
    """
    with torch.enable_grad():
        leaf = pixels.detach().clone().requires_grad_()
        logits = net(leaf + 0)  # a network that works in place must not find a leaf
        if logits.grad_fn is None:
            raise UsageError("guided backpropagation: the scores do not depend on the pixels")
        nodes = _nodes(logits.grad_fn)
        rectifiers = [node for node in nodes if _bounds(node) in RECTIFIERS]
        _check(nodes, rectifiers)
        for node in rectifiers:
            node.register_prehook(_only_positive)
        (gradient,) = torch.autograd.grad(logits[0, index], leaf)
    return gradient[0]


def _only_positive(gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(gradient.clamp(min=0) for gradient in gradients)


def _nodes(last: Node) -> list[Node]:
    """Every node that a backward pass from `last` visits."""
    found = {last}
    waiting = [last]
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is not None and node not in found:
                found.add(node)
                waiting.append(node)
    return list(found)


def _check(nodes: Iterable[Node], rectifiers: list[Node]) -> None:
    others = Counter(name for node in nodes if (name := _other(node)))
    if not others and rectifiers:
        return
    has = ", ".join(f"{count} {name}" for name, count in sorted(others.items())) or "none"
    mixed = f" beside {len(rectifiers)} ReLU" if rectifiers else ""
    raise UsageError(
        "guided backpropagation is defined by the ReLU's own rule, which keeps positive inputs "
        "only, so every activation must be a ReLU or ReLU6; "
        f"this network's others: {has}{mixed}; use --cam gradcam or layercam"
    )


def _kind(node: Node) -> str:
    return node.name().partition("Backward")[0]


def _bounds(node: Node) -> tuple[float | None, float | None]:
    """Between what a node's values are cut off; (None, None) when it does not do that."""
    match _kind(node):
        case "Relu":
            return (0, None)
        case "Hardtanh":
            return (getattr(node, "_saved_min_val", None), getattr(node, "_saved_max_val", None))
        case "Clamp" | "ClampMin":
            return (getattr(node, "_saved_min", None), getattr(node, "_saved_max", None))
    return (None, None)


def _other(node: Node) -> str | None:
    """What the activation of a node is called when the rule is not defined for it."""
    kind = _kind(node)
    if kind == "Hardtanh" and _bounds(node) not in RECTIFIERS:
        return "Hardtanh"
    if kind == "Mul" and _is_self_gated(node):
        return SELF_GATED
    if isinstance(node, BackwardCFunction) or kind.startswith("torch::jit"):
        return f"of its own ({kind.rpartition(':')[2]})"
    if kind == "torch::autograd::CopySlices":
        return "hidden (written in place into a part of a tensor)"
    return OTHERS.get(kind)


def _is_self_gated(product: Node) -> bool:
    """Whether a tensor is multiplied by a curve of its own values, cell by cell: x * sigmoid(x)."""
    factors = [node for node, _ in product.next_functions if node is not None]
    if len(factors) != 2:
        return False
    left, right = (list(_cellwise(node)) for node in factors)
    shared = [node for node in left if node in right]
    if not shared:
        return False
    between = left[: left.index(shared[0])] + right[: right.index(shared[0])]
    return any(_kind(node) in CURVED for node in between)


def _cellwise(node: Node) -> Iterator[Node]:
    """A node and those before it, as long as each cell depends on the same cell alone."""
    while True:
        yield node
        before = [each for each, _ in node.next_functions if each is not None]
        if len(before) != 1 or _kind(node) not in (*LINEAR, *CURVED):
            return
        node = before[0]
