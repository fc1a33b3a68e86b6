"""The split's map is that of a full backward, its logits those of a plain forward, and it leaves
nothing behind."""

import gc

import pytest
import torch
from cam import oracle
from torch import nn

from vidcam.cam import split
from vidcam.cam.methods import METHODS

CUTS = [
    ("resnet18", "layer4"),
    ("resnet50", "layer4"),
    ("resnet50", "layer4.2.conv3"),  # the shortcut crosses the cut
    ("vgg16_bn", "features.42"),  # a ReLU in place
    ("vgg16_bn", "features.41"),  # what it overwrites
    ("densenet121", "features"),  # a ReLU in place follows
    ("densenet121", "features.denseblock4.denselayer8.conv2"),  # 17 tensors cross
    ("mobilenet_v3_large", "features"),
    ("shufflenet_v2_x2_0", "conv5"),
    ("shufflenet_v2_x2_0", "stage4"),
    ("convnext_tiny", "features"),
    ("convnext_tiny", "features.5.4.block.0"),  # the block's input crosses
    ("efficientnet_lite0", "bn2"),
    ("efficientnet_lite0", "blocks.5.1.conv_dw"),
]


def cut_map(net, layer, x, classes):
    """(logits, normalised maps) of vidcam's split."""
    cut = split.forward(net, net.get_submodule(layer), x, lambda y: split.one_hot(classes, y))
    return cut.logits, oracle.normalised(METHODS["gradcam"](cut.activation, cut.gradients[0]))


@pytest.mark.parametrize(("name", "layer"), CUTS, ids=lambda value: str(value))
def test_the_map_is_that_of_a_full_backward(name, layer):
    net, x = oracle.network(name), oracle.pictures(2)
    classes, expected_logits, expected = oracle.oracle(net, layer, x)

    logits, got = cut_map(net, layer, x, classes)

    assert (got - expected).abs().max() < oracle.TOLERANCE
    torch.testing.assert_close(logits, expected_logits, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(logits, net(x), rtol=1e-4, atol=1e-4)


def vit_grid(tokens):
    side = round((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)


def swin_grid(cells):
    return cells.permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("name", "layer", "grid"),
    [
        ("vit_b_16", "encoder.layers.encoder_layer_11.ln_1", vit_grid),
        ("swin_t", "features.7", swin_grid),
        ("timm:vit_tiny_patch16_224", "blocks.11.norm1", vit_grid),
    ],
)
def test_the_map_of_a_token_layer_is_that_of_a_full_backward(name, layer, grid):
    net, x = oracle.network(name), oracle.pictures(2)
    classes, _, expected = oracle.oracle(net, layer, x, grid)

    cut = split.forward(net, net.get_submodule(layer), x, lambda y: split.one_hot(classes, y))

    got = oracle.normalised(METHODS["gradcam"](grid(cut.activation), grid(cut.gradients[0])))
    assert (got - expected).abs().max() < oracle.TOLERANCE


class Overwriting(nn.Module):
    """What the layer handed on is used, and only then overwritten through another name."""

    def __init__(self):
        super().__init__()
        self.stem, self.layer = nn.Conv2d(3, 6, 8, 8), nn.Identity()
        self.conv, self.head = nn.Conv2d(6, 6, 3), nn.Linear(6, 5)

    def forward(self, x):
        stem = self.stem(x)
        y = self.conv(self.layer(stem)).relu().mean((2, 3))
        return self.head(y + stem.mul_(-3.0).mean((2, 3)))


def test_an_activation_that_is_overwritten_later_is_kept_as_the_tail_saw_it():
    torch.manual_seed(0)
    net, x = oracle.settle(Overwriting()), oracle.pictures(2)
    classes, expected_logits, expected = oracle.oracle(net, "layer", x)
    logits, got = cut_map(net, "layer", x, classes)
    assert (got - expected).abs().max() < oracle.TOLERANCE
    torch.testing.assert_close(logits, expected_logits, rtol=1e-4, atol=1e-4)


def test_each_picture_is_explained_for_its_own_class_and_not_for_its_neighbours():
    net, x = oracle.network("resnet18"), oracle.pictures(3)
    classes = torch.tensor([7, 300, 999])
    _, batched = cut_map(net, "layer4", x, classes)
    for row in range(3):
        _, alone = cut_map(net, "layer4", x[row : row + 1], classes[row : row + 1])
        assert (alone[0] - batched[row]).abs().max() < oracle.TOLERANCE


def test_without_a_chooser_there_is_no_graph_and_no_gradient():
    net, x = oracle.network("resnet18"), oracle.pictures(1)
    cut = split.forward(net, net.layer4, x)
    assert cut.gradients == ()
    assert not cut.logits.requires_grad and not cut.activation.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(cut.logits, net(x))


def test_several_classes_of_one_pass_have_the_gradients_of_passes_of_their_own():
    net, x = oracle.network("densenet121"), oracle.pictures(2)

    def choose(index):
        return lambda logits: split.one_hot(torch.full((2,), index), logits)

    chosen = [choose(index) for index in (3, 500, 999)]
    together = split.forward(net, net.features, x, *chosen)
    assert len(together.gradients) == 3
    for chooser, gradient in zip(chosen, together.gradients, strict=True):
        (alone,) = split.forward(net, net.features, x, chooser).gradients
        torch.testing.assert_close(gradient, alone)


def test_only_the_tail_is_differentiated():
    """The trunk must make no graph: that is what makes the map free."""
    net, x, seen = oracle.network("resnet18"), oracle.pictures(1), {}

    def watch(name):
        return net.get_submodule(name).register_forward_hook(
            lambda _m, _i, output: seen.__setitem__(name, output.requires_grad)
        )

    handles = [watch(name) for name in ("conv1", "layer3", "layer4.0", "avgpool", "fc")]
    try:
        split.forward(net, net.layer4, x.requires_grad_(True), torch.ones_like)
    finally:
        for handle in handles:
            handle.remove()
    assert seen == {
        "conv1": False, "layer3": False, "layer4.0": False, "avgpool": True, "fc": True,
    }  # fmt: skip


def small_net():
    """A real network that runs in a tenth of a millisecond."""
    torch.manual_seed(0)
    return oracle.settle(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
        )
    )  # fmt: skip


def hook_count(net):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in net.modules() for kind in kinds)


class Broken(RuntimeError):
    """What the failing parts of these tests raise."""


def fail(*_arguments):
    raise Broken


@pytest.mark.parametrize("place", ["trunk", "layer", "tail", "chooser"])
def test_no_hook_outlives_a_call_that_raises(place):
    net = small_net()
    module = {"trunk": net[0], "layer": net[3], "tail": net[6]}.get(place)
    handle = module.register_forward_pre_hook(fail) if module else None
    before = hook_count(net)
    with torch.enable_grad(), pytest.raises(Broken):
        split.forward(net, net[3], oracle.pictures(1), fail if not module else torch.ones_like)
    assert torch.is_grad_enabled()
    assert hook_count(net) == before
    if handle:
        handle.remove()
    split.forward(net, net[3], oracle.pictures(1), torch.ones_like)
    assert hook_count(net) == 0


def test_the_tails_context_is_left_also_when_the_tail_raises():
    net, events = small_net(), []

    class Watched:
        def __enter__(self):
            events.append("in")

        def __exit__(self, *_cause):
            events.append("out")

    net[6].register_forward_pre_hook(fail)
    with pytest.raises(Broken):
        split.forward(net, net[3], oracle.pictures(1), torch.ones_like, tail=Watched)
    assert events == ["in", "out"]


def test_the_network_and_the_pictures_stay_as_they_were():
    net = small_net()
    net[0].weight.requires_grad_(True)
    net[1].train()
    net[1].momentum = 0.0  # its statistics may not move, else a plain forward moved them too
    x = oracle.pictures(2)
    values = {key: value.clone() for key, value in net.state_dict().items()}
    counted = net[1].num_batches_tracked.clone()
    modes = [module.training for module in net.modules()]
    flags = [parameter.requires_grad for parameter in net.parameters()]
    picture = x.clone()

    split.forward(net, net[3], x, torch.ones_like)

    net[1].num_batches_tracked.copy_(counted)
    assert all(torch.equal(value, values[key]) for key, value in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert [parameter.requires_grad for parameter in net.parameters()] == flags
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(x, picture) and x.grad is None
    assert hook_count(net) == 0


def test_two_thousand_pictures_leave_memory_where_it_was():
    net, x = small_net(), oracle.pictures(8)

    def live():
        gc.collect()
        # Plain ones: the exporter, in other tests, leaves some behind that have no storage.
        kinds = {torch.Tensor, torch.nn.Parameter}
        tensors = [item for item in gc.get_objects() if type(item) in kinds]
        return len(tensors), sum(tensor.nbytes for tensor in tensors)

    def run(times):
        for _ in range(times):
            split.forward(net, net[3], x, torch.ones_like)

    run(25)
    before = live()
    run(250)
    assert live() == before


class Pair(nn.Module):
    """A layer that gives two tensors."""

    def forward(self, x):
        return x, x


class Odd(nn.Module):
    """Holds a layer of each kind that a cut refuses."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.twice, self.pair, self.never = nn.ReLU(), Pair(), nn.ReLU()
        self.aside = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        self.aside(x)
        y, _ = self.pair(self.twice(self.twice(self.conv(x))))
        return self.head(y.mean((2, 3)))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("twice", "called more than once"),
        ("pair", "a tuple, not a tensor"),
        ("never", "not called"),
        ("aside", "no gradient"),
    ],
)
def test_a_layer_without_one_activation_is_refused_with_the_reason(layer, reason):
    net = Odd().eval()
    with pytest.raises(split.LayerError, match=reason):
        split.forward(net, net.get_submodule(layer), oracle.pictures(1), torch.ones_like)
    assert hook_count(net) == 0
