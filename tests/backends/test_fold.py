"""Folding changes the speed of a network and nothing that anyone can see."""

import pytest
import torch
from cam import oracle
from torch import nn

from vidcam.backends.fold import fold_batchnorm

FAMILIES = [
    "resnet18", "densenet121", "mobilenet_v3_large", "shufflenet_v2_x2_0", "squeezenet1_1",
    "convnext_tiny", "efficientnet_lite0", "timm:legacy_xception",
]  # fmt: skip


def norms(net):
    return [name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]


def sample(size=oracle.SIZE):
    return torch.zeros(1, 3, size, size)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_folded_network_gives_the_same_logits_and_the_first_stays_as_it_was(name):
    net, x = oracle.network(name), oracle.pictures(2)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    kinds = [(key, type(module)) for key, module in net.named_modules()]

    folded = fold_batchnorm(net, sample(), keep=None)

    with torch.no_grad():
        expected, got = net(x), folded(x)
    assert expected.std() > 1e-3
    assert (got - expected).abs().max() < 1e-3 * expected.std()
    assert [(key, type(module)) for key, module in net.named_modules()] == kinds
    after = net.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert not any(
        module._forward_hooks or module._forward_pre_hooks
        for both in (net, folded)
        for module in both.modules()
    )


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("resnet18", 0),
        ("mobilenet_v3_large", 0),
        ("efficientnet_lite0", 0),
        ("shufflenet_v2_x2_0", 0),
    ],
)
def test_every_norm_behind_a_convolution_is_gone(name, left):
    assert len(norms(oracle.network(name))) > 10
    assert len(norms(fold_batchnorm(oracle.network(name), sample(), keep=None))) == left


def test_a_norm_of_joined_tensors_stays():
    """In densenet the norm sees several convolutions at once."""
    folded = fold_batchnorm(oracle.network("densenet121"), sample(), keep=None)
    assert "features.norm5" in norms(folded)
    assert "features.norm0" not in norms(folded)


def test_the_convolution_that_is_explained_keeps_its_own_output():
    net, x, seen = oracle.network("resnet50"), oracle.pictures(1), []
    folded = fold_batchnorm(net, sample(), keep="layer4.2.conv3")
    assert norms(folded) == ["layer4.2.bn3"]
    for one in (net, folded):
        layer = one.get_submodule("layer4.2.conv3")
        handle = layer.register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
        with torch.no_grad():
            one(x)
        handle.remove()
    expected, got = seen
    assert (got - expected).abs().max() < 1e-3 * expected.std()


class Wrapped(nn.Module):
    """A block that ends in a convolution, as in Xception, its norm outside; an idle module."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 6, 8, 8), nn.Conv2d(6, 6, 1))
        self.idle, self.norm = nn.Identity(), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.norm(self.idle(self.block(x))).relu().mean((2, 3)))


@pytest.mark.parametrize("layer", ["block", "idle", "block.1"])
def test_a_layer_that_hands_on_a_convolutions_output_keeps_it(layer):
    torch.manual_seed(0)
    net, x, seen = oracle.settle(Wrapped()), oracle.pictures(1), []
    for one in (net, fold_batchnorm(net, sample(), keep=layer)):
        module = one.get_submodule(layer)
        handle = module.register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
        with torch.no_grad():
            one(x)
        handle.remove()
    expected, got = seen
    assert (got - expected).abs().max() < 1e-3 * expected.std()


class Forked(nn.Module):
    """The convolution's output is used twice: once normed, once as it is."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 8, 8, bias=False), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        y = self.conv(x)
        return self.head((self.norm(y) + y).mean((2, 3)))


@pytest.mark.parametrize("centred", [False, True])
def test_a_convolution_whose_output_is_also_used_bare_is_not_folded(centred):
    """With no offsets, as without training, an all-black sample would not show the difference."""
    torch.manual_seed(0)
    net, x = oracle.settle(Forked()), oracle.pictures(2)
    if centred:
        net.norm.bias.zero_()
        net.norm.running_mean.zero_()
    folded = fold_batchnorm(net, sample(), keep=None)
    with torch.no_grad():
        torch.testing.assert_close(folded(x), net(x), rtol=1e-3, atol=1e-3)


class Shared(nn.Module):
    """One convolution in two places, a norm behind only one of them."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 6, 8, 8), nn.Conv2d(6, 6, 1)
        self.norm, self.head = nn.BatchNorm2d(6), nn.Linear(6, 5)

    def forward(self, x):
        return self.head(self.norm(self.conv(self.conv(self.stem(x)).relu())).mean((2, 3)))


def test_a_shared_convolution_is_not_folded():
    torch.manual_seed(0)
    net, x = oracle.settle(Shared()), oracle.pictures(2)
    with torch.no_grad():
        folded = fold_batchnorm(net, sample(), keep=None)
        torch.testing.assert_close(folded(x), net(x), rtol=1e-3, atol=1e-3)


def test_a_network_that_raises_is_left_without_hooks():
    net = oracle.settle(Forked())
    with pytest.raises(RuntimeError):
        fold_batchnorm(net, torch.zeros(1, 5, 96, 96), keep=None)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
