"""The library's methods by name: each gives a map, ours among them, and nothing is left behind."""

import copy
import gc
import inspect
import re
from contextlib import suppress

import numpy as np
import pytest
import torch
from cam import oracle
from torch import nn

from vidcam.cam import library, methods, split
from vidcam.cam.layers import to_grid
from vidcam.cam.library import METHODS, Smoothing, library_map
from vidcam.errors import UnknownName, UsageError

pytest.importorskip("pytorch_grad_cam")

PLAIN = Smoothing()
# Exported, and no method that gives the map of a class.
LEFT_OUT = {
    "AblationLayer": "a part of AblationCAM",
    "AblationLayerVit": "a part of AblationCAM",
    "AblationLayerFasterRCNN": "a part of AblationCAM, for detection",
    "ActivationsAndGradients": "the hooks",
    "DeepFeatureFactorization": "finds concepts, explains no class",
    "GuidedBackpropReLUModel": "changes the model; guided.py does it without",
}


class Tiny(nn.Module):
    """Two blocks and a head, 10 classes; `in_place` overwrites what the target layer gives."""

    def __init__(self, in_place=True, bias=True):
        super().__init__()
        torch.manual_seed(5)
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=bias)
        self.norm = nn.BatchNorm2d(8, affine=bias)
        # Done twice it gives something else, so that a copy that comes too late shows.
        self.relu = nn.Hardswish(inplace=in_place)
        self.block = nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=bias)
        self.act = nn.ReLU6(inplace=in_place)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(12, 10)
        self.softer = nn.Tanh()

    def forward(self, x):
        x = self.relu(self.norm(self.stem(x)))
        x = self.act(self.block(x))
        return self.head(self.softer(self.pool(x).flatten(1)))


SIZE = 32


def tiny(**kwargs):
    net = Tiny(**kwargs).eval()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    return net


def explain(name, net, layers, x, index=3, smooth=PLAIN, **kwargs):
    modules = [net.get_submodule(layer) for layer in layers]
    return library_map(name, net, modules, x, index, smooth=smooth, grid=to_grid, **kwargs)


def layers_for(name):
    return ["norm", "block"] if name == "refinecam" else ["block"]


def test_the_list_is_the_librarys():
    """A new class of the library must be named, or left out with a reason."""
    import pytorch_grad_cam

    classes = {name for name, value in vars(pytorch_grad_cam).items() if inspect.isclass(value)}
    assert set(METHODS.values()) | set(LEFT_OUT) == classes
    assert not set(METHODS.values()) & set(LEFT_OUT)
    assert methods.METHODS.keys() <= METHODS.keys()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_a_map_and_the_same_one_again(name, capfd):
    net, x = tiny(), oracle.pictures(1, SIZE)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    seed = torch.get_rng_state()
    first = explain(name, net, layers_for(name), x)
    again = explain(name, net, layers_for(name), x)
    assert first.shape == (SIZE, SIZE) and first.dtype == np.float32
    assert first.min() >= 0 and 0.3 < first.max() <= 1 and first.std() > 0.01
    assert np.array_equal(first, again)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), seed)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("layer", ["norm", "block"])
def test_what_is_in_place_behind_the_layer_changes_nothing(name, layer):
    """Weights alike, one network in place and one not."""
    x = oracle.pictures(1, SIZE)
    layers = ["norm", "block"] if name == "refinecam" else [layer]
    got = explain(name, tiny(in_place=True), layers, x)
    assert np.abs(got - explain(name, tiny(in_place=False), layers, x)).max() < oracle.TOLERANCE


def ours(name, net, layer, x, index):
    from pytorch_grad_cam.utils.image import scale_cam_image

    chosen = torch.tensor([index])
    cut = split.forward(net, net.get_submodule(layer), x, lambda y: split.one_hot(chosen, y))
    signed = methods.METHODS[name](to_grid(cut.activation), to_grid(cut.gradients[0])).numpy()

    def scaled(values):
        size = (x.shape[3], x.shape[2])
        return scale_cam_image(scale_cam_image(np.maximum(values, 0), size))[0]

    return scaled(signed), scaled(-signed)


@pytest.mark.parametrize("name", methods.METHODS)
@pytest.mark.parametrize(
    ("network", "layer"),
    [
        ("resnet18", "layer4"),
        ("swin_t", "norm"),
        ("densenet121", "features"),  # in place behind it: without a copy it is another
    ],
)
def test_ours_through_the_library_are_ours(network, layer, name):
    net, x = oracle.network(network), oracle.pictures(1)
    classes, _, _ = oracle.oracle(net, layer, x, to_grid)
    expected, negative = ours(name, net, layer, x, int(classes))
    got = explain(name, net, [layer], x, int(classes))
    assert got.max() > 0.99
    error = np.abs(got - expected).max()
    if name == "eigencam":  # the sign of a principal component is free
        error = min(error, np.abs(got - negative).max())
    assert error < oracle.TOLERANCE


@pytest.mark.parametrize(
    ("network", "layer", "name"),
    [
        ("timm:vit_tiny_patch16_224", "blocks.11.norm1", "scorecam"),
        ("timm:vit_tiny_patch16_224", "blocks.11.norm1", "ablationcam"),
        ("timm:vit_tiny_patch16_224", "blocks.11.norm1", "eigengradcam"),
        ("swin_t", "norm", "eigengradcam"),
        ("swin_t", "norm", "fem"),
    ],
)
def test_tokens_are_turned_into_a_grid(network, layer, name):
    got = explain(name, oracle.network(network), [layer], oracle.pictures(1))
    assert got.shape == (oracle.SIZE, oracle.SIZE) and got.std() > 0.01


@pytest.mark.parametrize("name", ["scorecam", "ablationcam", "segeigencam", "kpcacam", "fullgrad"])
def test_a_network_of_the_real_kind(name):
    got = explain(name, oracle.network("resnet18"), ["layer1"], oracle.pictures(1), 5)
    assert got.shape == (oracle.SIZE, oracle.SIZE) and got.max() > 0.9 and got.std() > 0.01


def test_smoothing_is_the_librarys():
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net, x = tiny(in_place=False), oracle.pictures(1, SIZE)
    plain = explain("gradcam", net, ["block"], x)
    for smooth in (Smoothing(aug=True), Smoothing(eigen=True), Smoothing(True, True)):
        with pytorch_grad_cam.GradCAM(net, [net.block]) as cam:
            picture = x.clone().requires_grad_()
            kinds = {"aug_smooth": smooth.aug, "eigen_smooth": smooth.eigen}
            expected = cam(picture, [ClassifierOutputTarget(3)], **kinds)[0]
        got = explain("gradcam", net, ["block"], x, smooth=smooth)
        assert np.abs(got - expected).max() < 1e-6
        assert np.abs(got - plain).max() > 0.01


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("smooth", [Smoothing(aug=True), Smoothing(eigen=True)], ids=str)
def test_smoothing_works_or_is_refused(name, smooth, capfd):
    net, x = tiny(), oracle.pictures(1, SIZE)
    without = library.NO_AUG_SMOOTH if smooth.aug else library.NO_EIGEN_SMOOTH
    if name in without:
        with pytest.raises(UsageError, match=f"{name} has no --"):
            explain(name, net, layers_for(name), x, smooth=smooth)
    else:
        plain = explain(name, net, layers_for(name), x)
        got = explain(name, net, layers_for(name), x, smooth=smooth)
        assert got.std() > 0 and np.abs(got - plain).max() > 1e-4
    assert capfd.readouterr() == ("", "")


class Breaks(nn.Module):
    """Passes on what it gets, until it is told to fail in the n-th pass."""

    passes = None

    def forward(self, x):
        if self.passes is not None:
            self.passes -= 1
            if self.passes < 0:
                raise RuntimeError("the network broke\nand said more")
        return x


@pytest.mark.parametrize("passes", [None, 1, 3])
@pytest.mark.parametrize("name", METHODS)
def test_the_network_stays_as_it_was(name, passes):
    net, x = tiny(), oracle.pictures(1, SIZE)
    net.softer = Breaks()
    net.block.bias.requires_grad_(True)
    net.block.bias.grad = kept = torch.ones(12)
    net.softer.train()
    modules, state = list(net.modules()), copy.deepcopy(net.state_dict())
    before, picture = net(x).detach(), x.clone()
    net.softer.passes = passes
    if passes == 1:
        with pytest.raises(UsageError, match=rf"^{re.escape(name)} cannot .*: the network broke$"):
            explain(name, net, layers_for(name), x)
    elif passes is None:
        explain(name, net, layers_for(name), x)
    else:
        with suppress(UsageError):  # only the long methods come to a fourth pass
            explain(name, net, layers_for(name), x)
    net.softer.passes = None
    assert all(a is b for a, b in zip(net.modules(), modules, strict=True))
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert not any(m._forward_hooks or m._backward_hooks for m in modules)
    assert [m.training for m in modules] == [m is net.softer for m in modules]
    assert net.block.bias.grad is kept and torch.equal(kept, torch.ones(12))
    assert [p.requires_grad for p in net.parameters()].count(True) == 1
    assert torch.equal(x, picture) and torch.equal(net(x), before)


def tensors_alive():
    return sum(type(thing) is torch.Tensor for thing in gc.get_objects())


def test_many_calls_leave_nothing_behind():
    net, x = tiny(), oracle.pictures(1, SIZE)
    gc.collect()
    gc.disable()  # so that what only the collector would free is seen
    try:
        counts = []
        for _ in range(3):
            for name in METHODS:
                explain(name, net, layers_for(name), x)
            counts.append(tensors_alive())
    finally:
        gc.enable()
    assert counts[1] == counts[2]


@pytest.mark.parametrize("name", METHODS)
def test_a_map_without_evidence_is_zeros(name):
    """Dead activations: nothing to show, and no warning about it."""
    net, x = tiny(), oracle.pictures(1, SIZE)
    for layer in (net.stem, net.block):
        layer.weight.zero_()
        layer.bias.zero_()
    net.norm.bias.zero_()
    got = explain(name, net, layers_for(name), x)
    assert np.isfinite(got).all() and not got.any()


def test_what_cannot_be_is_one_sentence():
    net, x = tiny(), oracle.pictures(1, SIZE)
    with pytest.raises(UnknownName, match="unknown CAM method 'scorcam'; nearest: scorecam"):
        explain("scorcam", net, ["block"], x)
    with pytest.raises(UsageError, match="two or more layers"):
        explain("refinecam", net, ["block"], x)
    with pytest.raises(UsageError, match=r"fullgrad adds up the biases .*others: none"):
        explain("fullgrad", tiny(bias=False), ["block"], x)
    with pytest.raises(UsageError, match="BatchNormAct2d"):
        explain("fullgrad", oracle.network("efficientnet_lite0"), ["bn2"], oracle.pictures(1))
    with pytest.raises(UsageError, match="not tokens"):
        explain("shapleycam", oracle.network("swin_t"), ["norm"], oracle.pictures(1))
    with pytest.raises(UsageError, match="is called 2 times"):
        explain("gradcam", oracle.network("resnet18"), ["layer4.1.relu"], oracle.pictures(1))


@pytest.mark.parametrize("name", ["scorecam", "ablationcam"])
def test_long_methods_report_progress(name):
    seen = []
    explain(name, tiny(), ["block"], oracle.pictures(1, SIZE), progress=lambda *at: seen.append(at))
    assert seen == [(1, 1)]


def test_several_layers_in_any_order():
    net, x = tiny(), oracle.pictures(1, SIZE)
    first = explain("gradcam", net, ["norm", "block"], x)
    assert np.array_equal(first, explain("gradcam", net, ["block", "norm"], x))
    alone = [explain("gradcam", net, [layer], x) for layer in ("norm", "block")]
    mean = np.mean(alone, 0)
    # The library stretches at the size of the grid and again at that of the picture.
    assert np.abs(first - (mean - mean.min()) / np.ptp(mean)).max() < 0.02
    assert all(np.abs(first - one).max() > 0.05 for one in alone)


class Turned(nn.Module):
    """Gives a view, on which the library's own clean-up fails."""

    def forward(self, x):
        return x.transpose(2, 3)


def test_shapleycam_cleans_up_behind_a_layer_that_gives_a_view():
    net, x = tiny(), oracle.pictures(1, SIZE)
    net.act = nn.Sequential(Turned(), nn.Identity(), Turned(), nn.ReLU6())
    got = explain("shapleycam", net, ["act.2"], x)
    assert np.abs(got - explain("shapleycam", net, ["block"], x)).max() < oracle.TOLERANCE
