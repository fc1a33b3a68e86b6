"""The notebooks' networks: their shapes, their default CAM layer, their guided gradients."""

import numpy as np
import pytest
import torch
from cam import oracle

from vidcam.backends import Choice, load_backend
from vidcam.cam.guided import guided_backprop
from vidcam.cam.layers import default_layer
from vidcam.errors import UsageError
from vidcam.models.architectures import create
from vidcam.models.checkpoint import Checkpoint
from vidcam.options import FileOptions


def shapes(net):
    return {name: tuple(p.shape) for name, p in net.named_parameters() if p.ndim > 1}


def on_meta(arch, classes, **more):
    """A network of shapes without numbers: the real ones have up to 67 million weights."""
    with torch.device("meta"):
        return create(arch, classes, **more)


def test_cnn7_has_the_notebooks_shapes_at_256_px():
    net, preset = on_meta("cnn7", 25)
    assert preset.size == 256 and (preset.fit, preset.crop_share) == ("crop", 256 / 300)
    assert shapes(net) == {
        "conv1.weight": (64, 3, 3, 3), "conv2.weight": (128, 64, 3, 3),
        "conv3.weight": (256, 128, 3, 3), "conv4.weight": (512, 256, 3, 3),
        "fc1.weight": (512, 512 * 16 * 16), "fc2.weight": (256, 512), "fc3.weight": (25, 256),
    }  # fmt: skip
    assert net.fc1.weight.numel() == 512 * 16 * 16 * 512
    norms = [m for m in net if isinstance(m, torch.nn.BatchNorm2d)]
    assert [norm.num_features for norm in norms] == [64, 128, 256, 512]
    convolutions = (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) * 9 + 960
    linear = 512 * 16 * 16 * 512 + 512 + 512 * 256 + 256 + 256 * 25 + 25
    total = sum(p.numel() for p in net.parameters())
    assert total == convolutions + 2 * 960 + linear == 68_800_025


def test_simplecnn_has_the_notebooks_shapes_at_224_px():
    net, preset = on_meta("simplecnn", 2)
    assert (preset.size, preset.fit) == (224, "stretch")
    assert shapes(net) == {
        "conv1.weight": (32, 3, 3, 3), "conv2.weight": (64, 32, 3, 3),
        "conv3.weight": (128, 64, 3, 3), "fc1.weight": (512, 128 * 28 * 28),
        "fc2.weight": (2, 512),
    }  # fmt: skip
    assert sum(p.numel() for p in net.parameters()) == 51_475_010
    drops = [m.p for m in net if isinstance(m, torch.nn.Dropout)]
    assert drops == [0.5]
    assert not [m for m in net if isinstance(m, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("arch", "size", "features"),
    [("cnn7", 150, 512 * 81), ("cnn7", 16, 512), ("simplecnn", 100, 128 * 144)],
)
def test_the_flattening_layer_adapts(arch, size, features):
    net, preset = create(arch, 3, size)
    assert net.fc1.in_features == features and preset.size == size
    assert net.eval()(torch.zeros(2, 3, size, size)).shape == (2, 3)


def test_the_ablations():
    net, _ = create("cnn7", 3, 32, {"dropout": 0.3, "batchnorm": False})
    assert [m.p for m in net if isinstance(m, torch.nn.Dropout)] == [0.3, 0.3]
    assert not [m for m in net if isinstance(m, torch.nn.BatchNorm2d)]
    assert net.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


@pytest.mark.parametrize(("arch", "size"), [("cnn7", 15), ("simplecnn", 7)])
def test_a_picture_that_the_blocks_use_up_is_refused(arch, size):
    with pytest.raises(UsageError, match=rf"--imgsz {size}: .* {size + 1} px"):
        create(arch, 2, size)


@pytest.mark.parametrize(("arch", "layer"), [("cnn7", "relu4"), ("simplecnn", "relu3")])
def test_the_map_is_taken_behind_the_last_convolution(arch, layer, tmp_path):
    """In front of the last pooling; and the map is the plain one of hooks and a full backward."""
    torch.manual_seed(1)
    net, preset = create(arch, 3, oracle.SIZE)
    oracle.settle(net)
    assert default_layer(net, oracle.SIZE) == layer
    model = Checkpoint(arch, ("a", "b", "c"), net.state_dict(), preset).model("m", ("en",))
    options = FileOptions(precision="f32", device="cpu", backend="torch")
    backend = load_backend(model, options, options)
    assert backend.layer_name == layer
    # Pixels as they come, so that both see the same numbers.
    pixels = oracle.pixels_of(2)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preset.mean, preset.std))
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2) - mean) / std
    classes, logits, expected = oracle.oracle(net, layer, x)
    output = backend.start(pixels, Choice(classes.numpy()))()
    np.testing.assert_allclose(output.logits, logits.numpy(), rtol=1e-4, atol=1e-4)
    assert (oracle.normalised(output.maps) - expected).abs().max() < oracle.TOLERANCE


@pytest.mark.parametrize("arch", ["cnn7", "simplecnn"])
def test_guided_backpropagation_is_defined(arch):
    torch.manual_seed(1)
    net = oracle.settle(create(arch, 3, oracle.SIZE)[0])
    gradient = guided_backprop(net, oracle.pictures(1), 1)
    assert gradient.shape == (3, oracle.SIZE, oracle.SIZE) and gradient.any()
