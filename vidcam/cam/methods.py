"""CAM methods: pure functions of the activation A (N, C, h, w) and dY/dA -> signed map (N, h, w).

The evidence for the class is the positive part. The formulas are those of the papers named; where
papers leave a constant open, it is the grad-cam library's, so that numbers compare.
"""

from collections.abc import Callable

import torch
from torch import Tensor

CamMethod = Callable[[Tensor, Tensor], Tensor]


def gradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Channels weighted by their mean gradient (Selvaraju et al. 2017, arXiv:1610.02391)."""
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * activation).sum(1)


def gradcam_plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    """Positive gradients weighted by higher orders (Chattopadhay et al. 2018, arXiv:1710.11063)."""
    cells = gradient.shape[2] * gradient.shape[3]
    if gradient.stride()[2:] == (0, 0):  # behind a global mean: one number a channel
        gradient = gradient[:, :, :1, :1]
    square = gradient**2
    total = activation.sum((2, 3), keepdim=True)
    # In place, because every pass over memory shows.
    share = square / (total * gradient).add_(2).mul_(square).add_(1e-6)
    weights = gradient.clamp(min=0).mul_(share).mean((2, 3), keepdim=True) * cells
    return (weights * activation).sum(1)


def layercam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Each cell weighted by its own positive gradient (Jiang et al. 2021, LayerCAM, IEEE TIP)."""
    return (gradient.clamp(min=0) * activation).sum(1)


def hirescam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Each cell weighted by its own gradient (Draelos and Carin 2020, arXiv:2011.08891)."""
    return (gradient * activation).sum(1)


def xgradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Gradients weighted by the share of activation (Fu et al. 2020, arXiv:2008.02312)."""
    total = activation.sum((2, 3), keepdim=True) + 1e-7
    weights = (gradient * activation).sum((2, 3), keepdim=True) / total
    return (weights * activation).sum(1)


def eigencam(activation: Tensor, gradient: Tensor) -> Tensor:
    """First principal component of A, no class (Muhammad and Yeasin 2020, arXiv:2008.00299).

    By the Gram matrix of the h*w cells, which is far smaller than A. The sign, which the
    decomposition leaves open, is chosen so that the largest magnitude is positive.
    """
    del gradient
    cells = activation.flatten(2).transpose(1, 2)  # (N, h*w, C)
    cells = cells - cells.mean(1, keepdim=True)
    gram = cells @ cells.transpose(1, 2)
    if gram.device.type == "mps":  # Metal has no eigenvalues
        gram = gram.cpu()
    values, vectors = (part.to(cells.device) for part in torch.linalg.eigh(gram))
    projection = vectors[..., -1] * values[..., -1:].clamp(min=0).sqrt()
    sign = torch.where(-projection.amin(1) > projection.amax(1), -1.0, 1.0)
    grid = (activation.shape[0], *activation.shape[2:])
    return torch.reshape(projection * sign[:, None], grid)


# Those that take no notice of the gradient: no backward pass is needed for them.
GRADIENT_FREE = frozenset({"eigencam"})
METHODS: dict[str, CamMethod] = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "layercam": layercam,
    "hirescam": hirescam,
    "xgradcam": xgradcam,
    "eigencam": eigencam,
}
