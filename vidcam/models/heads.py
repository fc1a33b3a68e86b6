"""A network's head: its last linear layer, which gives the scores."""

from typing import Any

from torch import Tensor, nn

from vidcam.errors import UsageError


class DropoutLinear(nn.Linear):
    """A linear layer that drops a share of its inputs while it is trained.

    One module, so that the weights are named as those of the layer it stands for.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, share: float = 0.0) -> None:
        super().__init__(inputs, outputs, bias)
        self.share = share

    def forward(self, features: Tensor) -> Tensor:
        """(N, outputs) of (N, inputs)."""
        kept = nn.functional.dropout(features, self.share, self.training)
        return super().forward(kept)


def head_of(net: nn.Module) -> nn.Module | None:
    """The layer that gives the scores, None where there is not just one."""
    try:
        return net.get_submodule(head_path(net))
    except UsageError:
        return None


def head_width(net: nn.Module) -> int | None:
    """How many features (D) the head of a network is given; None where it has not just one."""
    head: Any = head_of(net)
    if head is None:
        return None
    # SqueezeNet's head is a convolution.
    return int(getattr(head, "in_features", 0) or head.in_channels)


class HeadInput:
    """Keeps what the head of a network is given, while it is entered; nothing without a head."""

    def __init__(self, head: nn.Module | None) -> None:
        self._head = head
        self._given: Tensor | None = None

    def __enter__(self) -> "HeadInput":
        if self._head is not None:
            self._hook = self._head.register_forward_pre_hook(self._keep)
        return self

    def __exit__(self, *_: object) -> None:
        if self._head is not None:
            self._hook.remove()

    def _keep(self, _module: nn.Module, given: tuple[Any, ...]) -> None:
        self._given = given[0]

    def features(self, count: int) -> Tensor | None:
        """(N, D) float32 of the last `count` pictures, averaged over places where the head sees a
        grid; None where there is no head, or it sees the pictures in another form."""
        given = self._given
        if given is None or len(given) != count:
            return None
        if given.ndim > 2:
            is_map = isinstance(self._head, nn.Conv2d)
            given = given.mean((2, 3) if is_map else tuple(range(1, given.ndim - 1)))
        return given.detach().float()


def head_path(net: nn.Module) -> str:
    """The module path of the layer that gives the scores: `fc`, `classifier.6`, `heads.head`.

    Raises UsageError when a network has not just one.
    """
    if get_classifier := getattr(net, "get_classifier", None):
        wanted = get_classifier()
        for name, module in net.named_modules():
            if module is wanted and isinstance(module, nn.Linear | nn.Conv2d):
                return str(name)
        raise UsageError(f"{type(net).__name__} has no single layer that gives its scores")
    layers = [n for n, m in net.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    if not layers:
        raise UsageError(f"{type(net).__name__} has no layer that gives its scores")
    return str(layers[-1])


def with_new_head(net: nn.Module, classes: int) -> nn.Module:
    """`net` itself with a head for `classes`, its weights random; all else stays as it is.

    Raises UsageError when the network has no single head.
    """
    if reset_classifier := getattr(net, "reset_classifier", None):  # timm's
        reset_classifier(classes)
        return net
    path = head_path(net)
    replace_module(net, path, _alike(net.get_submodule(path), classes))
    return net


def replace_module(net: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module in the place of another one, on its device and in its precision."""
    parent, _, name = path.rpartition(".")
    before = next(net.get_submodule(path).parameters())
    setattr(net.get_submodule(parent), name, module.to(before.device, before.dtype))


def _alike(head: Any, classes: int) -> nn.Module:
    has_bias = head.bias is not None
    if isinstance(head, DropoutLinear):
        return DropoutLinear(head.in_features, classes, has_bias, head.share)
    if isinstance(head, nn.Conv2d):  # SqueezeNet's: one score per place, averaged later
        return nn.Conv2d(head.in_channels, classes, (1, 1), bias=has_bias)
    return nn.Linear(head.in_features, classes, has_bias)
