"""Random networks that behave like trained ones, and an oracle for their maps.

The oracle shares no code with vidcam: hooks that clone, one full backward from the scores to the
picture, and Grad-CAM's formula. With no weights at hand, a network gets statistics by one pass in
train mode, so that signals neither die nor explode on the way.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from vidcam.labels import Labels
from vidcam.models import Model, builtin

SIZE = 96
TOLERANCE = 1e-4
# Idle OpenMP threads spin: beside other work two threads are five times as slow as one.
torch.set_num_threads(1)
# Networks that fix the size of their pictures when they are made.
FIXED_SIZE = {"vit_b_16": "image_size", "timm:vit_tiny_patch16_224": "img_size"}


@cache
def network(name):
    """A torchvision, `timm:` or the built-in architecture with fixed random weights, eval mode.

    Kept for all tests of a run, so no test may change it.
    """
    import timm
    from torchvision import models

    torch.manual_seed(2)
    size = {FIXED_SIZE[name]: SIZE} if name in FIXED_SIZE else {}
    if name == "efficientnet_lite0":
        net = builtin.create(1000)
    elif name.startswith("timm:"):
        net = timm.create_model(name[5:], pretrained=False, **size)
    else:
        net = models.get_model(name, weights=None, **size)
    return settle(net)


def settle(net):
    """Give `net` norms and a head that do something; returns it in eval mode, as load_model does.

    Fresh norms are the identity, torchvision's ViT head is zero and ConvNeXt's blocks add a
    millionth of their result: bugs would hide behind each.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.0, 0.2)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the running statistics become those of the next batch
        elif isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, 0.0, 0.05)
    for name, parameter in net.named_parameters():
        if name.endswith("layer_scale"):
            nn.init.constant_(parameter, 0.3)
    with torch.no_grad():
        net.train()(pictures(4, seed=9))
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    return net.eval()


def pictures(count, size=SIZE, seed=1):
    """Normalised pictures (N, 3, S, S) with a structure that a map can follow, not plain noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 5, 5, generator=generator)
    fine = torch.randn(count, 3, size, size, generator=generator)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    return smooth + 0.2 * fine


def pixels_of(count, size=SIZE, seed=1):
    """The same kind of pictures as a backend takes them: (N, S, S, 3) uint8 RGB."""
    values = (pictures(count, size, seed) * 60 + 120).clamp(0, 255)
    return np.ascontiguousarray(values.to(torch.uint8).permute(0, 2, 3, 1).numpy())


def as_model(net, size=SIZE, classes=1000, layer=None):
    """A vidcam Model around a test's network; its classes are called class 0, class 1, …"""
    labels = Labels.of_names([f"class {index}" for index in range(classes)], ("en",))
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    return Model("test", lambda: net, labels, size, mean, std, None, 0.875, layer)


def hooked(net, layer, x, classes):
    """(logits, A, dY/dA) of the classes (N,) by plain hooks and a full backward to the picture."""
    kept: dict[str, Tensor] = {}

    def keep(_module, _inputs, output):
        copy = output.clone()
        copy.register_hook(lambda gradient: kept.__setitem__("gradient", gradient.clone()))
        kept["activation"] = copy.detach().clone()
        return copy.clone()  # what is in place behind the layer works on this one

    handle = net.get_submodule(layer).register_forward_hook(keep)
    picture = x.clone().requires_grad_(True)
    try:
        # `+ 0`: a network whose first module works in place must not find a leaf.
        logits = net(picture + 0)
        logits[torch.arange(len(x)), classes].sum().backward()
    finally:
        handle.remove()
    assert picture.grad is not None and picture.grad.any(), "the backward did not reach the picture"
    return logits.detach(), kept["activation"], kept["gradient"]


def gradcam_map(activation, gradient):
    """Grad-CAM's formula, signed (N, h, w), of channels-first tensors."""
    return torch.einsum("nc,nchw->nhw", gradient.mean((2, 3)), activation)


def oracle(net, layer, x, to_grid=lambda tensor: tensor):
    """(classes, logits, normalised maps): each picture's highest class whose map shows something.

    Random networks often have a top class without positive evidence; such a map proves nothing.
    """
    with torch.no_grad():
        ranked = net(x.clone()).argsort(1, descending=True)
    classes = ranked[:, 0].clone()
    for rank in range(1, 8):
        logits, activation, gradient = hooked(net, layer, x, classes)
        maps = normalised(gradcam_map(to_grid(activation), to_grid(gradient)))
        dull = (maps.amax((1, 2)) < 0.99) | (maps.std((1, 2)) < 0.05)
        if not dull.any():
            return classes, logits, maps
        classes[dull] = ranked[dull, rank]
    raise AssertionError(f"no class of {layer} has a map that would prove something")


def normalised(signed):
    """grad-cam's normalisation: the positive part, stretched to 0..1 picture by picture."""
    positive = torch.as_tensor(signed).clamp(min=0)
    positive = positive - positive.amin((1, 2), keepdim=True)
    return positive / (positive.amax((1, 2), keepdim=True) + 1e-7)
