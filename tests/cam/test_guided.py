"""Guided backpropagation: the library's on ReLU, an oracle's on ReLU6, a clear refusal elsewhere.

The oracle is the textbook's: backward hooks on modules that are not in place, of a copy.
"""

import copy
import re

import numpy as np
import pytest
import torch
from cam import oracle
from torch import nn
from torch.nn import functional as F

from vidcam.cam.guided import guided_backprop
from vidcam.errors import UsageError

TOLERANCE = 1e-5


class Small(nn.Module):
    """Two convolutions and a head around an activation; a picture of 8x8, five classes."""

    def __init__(self, activation, head=None):
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 4, 3, padding=1)
        self.head = nn.Linear(4 * 64, 5)
        self.activation = activation
        self.gate = head

    def forward(self, x):
        x = self.activation(self.first(x))
        if self.gate is not None:
            x = self.gate(x)
        x = self.activation(self.second(x))
        return self.head(x.flatten(1))


def frozen(net):
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    return net.eval()


def by_backward_hooks(net, x, index):
    """The guided gradient (3, S, S) by hooks on the ReLU modules of a copy."""
    net = copy.deepcopy(net)
    seen = []

    def only_positive(_module, gradients, _outputs):
        seen.append(1)
        return (gradients[0].clamp(min=0),)

    for module in net.modules():
        if isinstance(module, nn.ReLU | nn.ReLU6):
            module.inplace = False
            module.register_full_backward_hook(only_positive)
    picture = x.clone().requires_grad_(True)
    net(picture)[0, index].backward()
    assert seen, "no hook was called"
    return picture.grad[0]


def close(got, expected):
    scale = expected.abs().max()
    assert scale > 0
    return float((got - expected).abs().max() / scale) < TOLERANCE


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn"])
def test_it_is_the_librarys_on_networks_of_relu(name):
    library = pytest.importorskip("pytorch_grad_cam")
    net, x = oracle.network(name), oracle.pictures(1)
    index = int(net(x).argmax())
    # The library swaps modules of the network it is given.
    expected = library.GuidedBackpropReLUModel(copy.deepcopy(net))(x.clone(), index)
    expected = torch.from_numpy(np.ascontiguousarray(expected.transpose(2, 0, 1)))
    got = guided_backprop(net, x, index)
    assert got.shape == (3, oracle.SIZE, oracle.SIZE)
    assert close(got, expected)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2", "resnet18"])
def test_it_is_the_oracles_on_networks_of_relu6_too(name):
    net, x = oracle.network(name), oracle.pictures(1)
    assert close(guided_backprop(net, x, 7), by_backward_hooks(net, x, 7))


RELU = {
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu": lambda x: x.relu(),
    "Tensor.relu_": lambda x: x.relu_(),
    "in place module": nn.ReLU(inplace=True),
    "clamp": lambda x: x.clamp(min=0),
}
RELU6 = {
    "F.relu6": F.relu6,
    "F.relu6 in place": lambda x: F.relu6(x, inplace=True),
    "F.hardtanh": lambda x: F.hardtanh(x, 0, 6),
    "F.hardtanh in place": lambda x: F.hardtanh(x, 0.0, 6.0, inplace=True),
    "in place module": nn.ReLU6(inplace=True),
}


@pytest.mark.parametrize("name", RELU)
def test_every_way_to_call_relu_is_guided(name):
    x = oracle.pictures(1, 8)
    expected = by_backward_hooks(frozen(Small(nn.ReLU())), x, 2)
    plain = torch.autograd.grad(Small(nn.ReLU())(y := x.clone().requires_grad_())[0, 2], y)[0][0]
    assert not close(plain, expected), "the plain gradient must differ, or nothing is proved"
    assert close(guided_backprop(frozen(Small(RELU[name])), x, 2), expected)


@pytest.mark.parametrize("name", RELU6)
def test_every_way_to_call_relu6_is_guided(name):
    x = 8 * oracle.pictures(1, 8)  # so that the upper bound cuts too
    expected = by_backward_hooks(frozen(Small(nn.ReLU6())), x, 2)
    assert not close(by_backward_hooks(frozen(Small(nn.ReLU())), x, 2), expected)
    assert close(guided_backprop(frozen(Small(RELU6[name])), x, 2), expected)


def swish_of_timm():
    from timm.layers import activations_me

    return activations_me.SwishMe()


OTHERS = {
    "SiLU": nn.SiLU(),
    "Hardswish": F.hardswish,
    "GELU": F.gelu,
    "ELU": nn.ELU(),
    "SELU": F.selu,
    "Mish": nn.Mish(),
    "LeakyReLU": nn.LeakyReLU(0.1),
    "PReLU": nn.PReLU(),
    "Tanh": torch.tanh,
    "Softplus": F.softplus,
    "Hardtanh": F.hardtanh,
    "Swish": lambda x: x * torch.sigmoid(x),
    "self-gated": lambda x: x * F.relu6(x + 3) / 6,
    "(Swish)": lambda x: 0.5 * x * (x + 2).clamp(min=0, max=2),
    "SwishAutoFn": swish_of_timm,
    "in place": lambda x: (x[:, :2].relu_(), x)[1],
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_activations_are_refused_by_name(name):
    activation = swish_of_timm() if name == "SwishAutoFn" else OTHERS[name]
    with pytest.raises(UsageError, match=f"others: 2 .*{re.escape(name)}"):
        guided_backprop(frozen(Small(activation)), oracle.pictures(1, 8), 0)


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("mobilenet_v3_small", r"Hardswish beside \d+ ReLU"),
        ("convnext_tiny", "GELU"),
        ("timm:vit_tiny_patch16_224", "GELU"),
    ],
)
def test_networks_with_other_activations_are_refused(name, has):
    with pytest.raises(UsageError, match=has):
        guided_backprop(oracle.network(name), oracle.pictures(1), 0)


def test_a_network_without_activations_is_refused():
    with pytest.raises(UsageError, match="others: none"):
        guided_backprop(frozen(Small(nn.Identity())), oracle.pictures(1, 8), 0)


@pytest.mark.parametrize("gate", [nn.Sigmoid(), nn.Hardsigmoid(), nn.Softmax(1)], ids=str)
def test_gates_are_no_activations(gate):
    def squeeze_and_excite(x):
        return x * gate(x.mean((2, 3), keepdim=True) @ torch.eye(1))

    net, x = frozen(Small(nn.ReLU(), squeeze_and_excite)), oracle.pictures(1, 8)
    assert close(guided_backprop(net, x, 1), by_backward_hooks(net, x, 1))


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_stays_as_it_was(fails):
    net = frozen(Small(nn.SiLU() if fails else nn.ReLU(inplace=True)))
    modules, state = list(net.modules()), copy.deepcopy(net.state_dict())
    x = oracle.pictures(1, 8)
    before, picture = net(x), x.clone()
    if fails:
        with pytest.raises(UsageError):
            guided_backprop(net, x, 0)
    else:
        first, again = guided_backprop(net, x, 0), guided_backprop(net, x, 0)
        assert torch.equal(first, again) and not first.requires_grad
    assert all(a is b for a, b in zip(net.modules(), modules, strict=True))
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in modules)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(x, picture) and not x.requires_grad
    assert torch.equal(net(x), before)


def test_it_works_where_gradients_are_off():
    net, x = frozen(Small(nn.ReLU())), oracle.pictures(1, 8)
    with torch.no_grad():
        got = guided_backprop(net, x, 2)
    assert torch.equal(got, guided_backprop(net, x, 2))
