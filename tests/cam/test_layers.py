"""The default layer of each family, and the layers that are refused with their reason."""

import re

import pytest
import torch
from cam import oracle
from torch import nn

from vidcam.cam import split
from vidcam.cam.layers import check_layer, default_layer, layer_of, to_grid
from vidcam.errors import UnknownName, UsageError
from vidcam.options import FileOptions

# One grid for each family: with 96 px, what the stride of 32 leaves is 3x3; ViTs keep 6x6 patches.
DEFAULTS = [
    ("resnet18", "layer4", (512, 3, 3)),
    ("resnet50", "layer4", (2048, 3, 3)),
    ("vgg16_bn", "features.42", (512, 6, 6)),  # not the pool behind it
    ("densenet121", "features", (1024, 3, 3)),
    ("mobilenet_v3_large", "features", (960, 3, 3)),
    ("shufflenet_v2_x2_0", "conv5", (2048, 3, 3)),
    ("convnext_tiny", "features", (768, 3, 3)),
    ("squeezenet1_1", "features", (512, 5, 5)),  # not the class map behind it
    ("efficientnet_lite0", "bn2", (1280, 3, 3)),
    ("vit_b_16", "encoder.layers.encoder_layer_11.ln_1", (768, 6, 6)),
    ("swin_t", "permute", (768, 3, 3)),
    # Behind the last norm1 only the class token reaches the scores; qkv is three layers in one.
    ("timm:vit_tiny_patch16_224", "blocks.11.norm1", (192, 6, 6)),
    ("timm:mobilevit_xxs", "final_conv", (320, 3, 3)),
]


@pytest.mark.parametrize(("name", "layer", "grid"), DEFAULTS, ids=lambda value: str(value))
def test_the_default_layer_is_the_last_with_a_grid_that_the_scores_depend_on(name, layer, grid):
    net = oracle.network(name)
    assert default_layer(net, oracle.SIZE) == layer
    check_layer(net, layer, oracle.SIZE)
    cut = split.forward(net, net.get_submodule(layer), oracle.pictures(2), torch.ones_like)
    assert to_grid(cut.activation).shape == (2, *grid)
    assert to_grid(cut.gradients[0]).flatten(1).any(1).all()


@pytest.mark.parametrize(
    ("name", "layer", "reason"),
    [
        ("resnet18", "layer4.1.relu", "called more than once"),
        ("resnet18", "fc", "1x1000 has no grid"),
        ("resnet18", "avgpool", "grid of one cell"),
        ("squeezenet1_1", "classifier.1", "the class map itself"),
        ("squeezenet1_1", "classifier.2", "the class map itself"),
        ("timm:vit_tiny_patch16_224", "norm", "no gradient of the scores reaches"),
        ("timm:vit_tiny_patch16_224", "blocks.11", "no gradient of the scores reaches"),
        ("vit_b_16", "encoder.layers.encoder_layer_11.self_attention", "tuple, not a tensor"),
    ],
)
def test_a_layer_that_cannot_carry_a_map_is_refused_with_the_reason(name, layer, reason):
    net = oracle.network(name)
    with pytest.raises(UsageError, match=reason) as caught:
        check_layer(net, layer, oracle.SIZE)
    assert caught.value.exit_code == 2
    listed = re.search("layers that can: (.*)", str(caught.value))[1].split(", ")
    for usable in listed:
        check_layer(net, usable, oracle.SIZE)


@pytest.mark.parametrize(
    ("layer", "near"),
    [("layer4.1.con2", "layer4.1.conv2"), ("layer5", "layer4"), ("", "layer4")],
)
def test_an_unknown_layer_lists_the_nearest(layer, near):
    with pytest.raises(UnknownName) as caught:
        check_layer(oracle.network("resnet18"), layer, oracle.SIZE)
    assert re.search(rf"\b{re.escape(near)}\b", str(caught.value))


class Windowed(nn.Module):
    """Windows as Swin's attention has them: the inner layer sees each window as a picture."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 8, 8)
        self.inner, self.outer = nn.Linear(8, 8), nn.ReLU()
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        y = self.stem(x)
        n, c, h, w = y.shape
        windows = y.view(n, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 3, 5, 1)
        y = self.inner(windows.reshape(n * 4, h * w // 4, c)).view(n, h, w, c)
        return self.head(self.outer(y.permute(0, 3, 1, 2)).mean((2, 3)))


def test_a_layer_inside_windows_is_refused_because_its_rows_are_no_pictures():
    net = Windowed().eval()
    assert default_layer(net, oracle.SIZE) == "outer"
    with pytest.raises(UsageError, match="inner"):
        check_layer(net, "inner", oracle.SIZE)


class NoGrid(nn.Module):
    """A network without a layer that keeps the place."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 5)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


def test_a_network_without_a_grid_says_how_to_go_on():
    net = NoGrid().eval()
    with pytest.raises(UsageError, match=r"no layer with a grid.*head 1x5; vidcam layers lists"):
        default_layer(net, oracle.SIZE)
    with pytest.raises(UsageError, match="--cam none does without a map"):
        layer_of(oracle.as_model(net), FileOptions())


def test_pools_identities_and_dropouts_are_never_the_default():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 8, 8), nn.ReLU(), nn.Dropout(), nn.Identity(), nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5),
    ).eval()  # fmt: skip
    assert default_layer(net, oracle.SIZE) == "1"


def test_looking_for_a_layer_leaves_no_hook_and_no_change():
    net = oracle.network("resnet18")
    before = {key: value.clone() for key, value in net.state_dict().items()}
    default_layer(net, oracle.SIZE)
    with pytest.raises(UsageError):
        check_layer(net, "fc", oracle.SIZE)
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def numbered(*shape):
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)


def test_a_grid_of_every_layout_keeps_each_cell_in_its_place():
    grid = numbered(2, 12, 3, 3)
    cells = grid.permute(0, 2, 3, 1)  # (N, h, w, C)
    tokens = cells.flatten(1, 2)  # (N, h*w, C)
    assert torch.equal(to_grid(grid), grid)
    assert torch.equal(to_grid(cells), grid)
    assert torch.equal(to_grid(tokens), grid)
    for extra in (1, 2, 5):  # a class token, DeiT's second, DINOv2's registers
        prefixed = torch.cat([torch.full((2, extra, 12), -1.0), tokens], 1)
        # 9 + extra tokens: with 7 extra it would be 4x4.
        assert torch.equal(to_grid(prefixed), grid)


@pytest.mark.parametrize(
    "shape", [(1, 5), (1, 8, 1, 1), (1, 1, 8), (1, 34 * 34 - 1, 8), (1, 3, 37, 64)], ids=str
)
def test_what_has_no_grid_is_refused(shape):
    """(1, 3, 37, 64) are a ViT's queries: heads, tokens and their width are no picture."""
    with pytest.raises(split.LayerError):
        to_grid(torch.zeros(shape))


def test_a_head_whose_scores_add_up_to_a_constant_has_its_layer():
    """As that of a logistic regression of two classes: one row is the other's opposite."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
    ).eval()
    with torch.no_grad():
        net[4].weight[1] = -net[4].weight[0]
    assert default_layer(net, oracle.SIZE) == "1"
    assert check_layer(net, "0", oracle.SIZE) is net[0]
