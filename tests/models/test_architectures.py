"""Networks by name: new heads, packaged weights, settings, sizes."""

import pytest
import torch
from cam import oracle
from torch import nn

from vidcam.errors import SourceError, UnknownName, UsageError
from vidcam.models import builtin
from vidcam.models.architectures import architecture_names, build, create
from vidcam.models.heads import DropoutLinear, head_path, with_new_head

FAMILIES = [
    ("efficientnet_lite0", "classifier"),
    ("cnn7", "fc3"),
    ("simplecnn", "fc2"),
    ("resnet18", "fc"),
    ("shufflenet_v2_x0_5", "fc"),
    ("mobilenet_v3_small", "classifier.3"),
    ("squeezenet1_1", "classifier.1"),
    ("mnasnet0_5", "classifier.1"),
    ("swin_t", "head"),
    ("vit_b_32", "heads.head"),
    ("googlenet", "fc"),
    ("timm:resnet10t", "fc"),
    ("timm:vit_tiny_patch16_224", "head"),
    ("timm:mobilenetv3_small_050", "classifier"),
]


@pytest.mark.parametrize(("arch", "path"), FAMILIES)
def test_a_new_head_keeps_all_else(arch, path):
    torch.manual_seed(0)
    size = 64 if arch in ("cnn7", "simplecnn", "vit_b_32") else None
    net, preset = create(arch, 11, size)
    assert head_path(net) == path
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert with_new_head(net, 25) is net and head_path(net) == path
    after = net.state_dict()
    assert list(after) == list(before)
    for name, tensor in after.items():
        if name.startswith(path + "."):
            assert tensor.shape[0] == 25 and before[name].shape[0] == 11
        else:
            assert torch.equal(tensor, before[name]), name
    pixels = torch.zeros(1, 3, preset.size, preset.size)
    with torch.no_grad():
        assert net.eval()(pixels).shape == (1, 25)


def test_the_builtin_backbone_brings_its_weights():
    net, preset = build("efficientnet_lite0", 5)
    assert (preset.size, preset.mean, preset.std) == (224, builtin.MEAN, builtin.STD)
    own, packaged = net.state_dict(), builtin.load(("en",)).net.state_dict()
    assert own["classifier.weight"].shape == (5, 1280)
    for name, tensor in packaged.items():
        assert name.startswith("classifier.") or torch.equal(own[name], tensor)
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not torch.equal(own["classifier.weight"], packaged["classifier.weight"][:5])


def test_even_as_many_classes_as_the_published_ones_get_a_new_head():
    net, _ = build("efficientnet_lite0", 1000)
    packaged = builtin.load(("en",)).net.state_dict()
    assert not torch.equal(net.classifier.weight, packaged["classifier.weight"])


def test_weights_are_random_when_asked_and_for_all_others():
    torch.manual_seed(3)
    scratch, _ = build("efficientnet_lite0", 5, pretrained=False)
    packaged = builtin.load(("en",)).net.state_dict()
    assert not torch.equal(scratch.conv_stem.weight, packaged["conv_stem.weight"])
    net, preset = build("resnet18", 4, size=150)
    assert net.fc.out_features == 4 and preset.size == 150


def test_published_weights_of_torchvision(monkeypatch, tmp_path):
    """From its cache, as its downloads lie there; and without a network a sentence."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    published = oracle.network("shufflenet_v2_x0_5")
    torch.save(published.state_dict(), folder / "shufflenetv2_x0.5-f707e7126e.pth")
    net, preset = build("shufflenet_v2_x0_5", 3, pretrained=True)
    assert torch.equal(net.conv5[0].weight, published.conv5[0].weight)
    assert net.fc.out_features == 3 and preset.crop_share == pytest.approx(224 / 256)
    (folder / "shufflenetv2_x0.5-f707e7126e.pth").write_bytes(b"cut short")
    with pytest.raises(SourceError, match="shufflenet_v2_x0_5"):
        build("shufflenet_v2_x0_5", 3, pretrained=True)


def test_the_resnets_take_the_ablations():
    net, _ = create("resnet18", 4, 150, {"dropout": 0.4, "batchnorm": False})
    assert isinstance(net.fc, DropoutLinear) and net.fc.share == 0.4
    assert not [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert set(net.state_dict()) < set(create("resnet18", 4)[0].state_dict())
    with_new_head(net, 7)
    assert isinstance(net.fc, DropoutLinear) and net.fc.share == 0.4 and net.fc.out_features == 7
    features = torch.ones(1, 512)
    assert not torch.equal(net.fc.train()(features), net.fc.eval()(features))
    plain = nn.functional.linear(features, net.fc.weight, net.fc.bias)
    assert torch.equal(net.fc(features), plain)


@pytest.mark.parametrize(
    ("arch", "settings", "says"),
    [
        ("efficientnet_lite0", {"dropout": 0.2}, "--dropout is for cnn7, simplecnn and torch"),
        ("simplecnn", {"batchnorm": False}, "--no-batchnorm is for cnn7 and torch"),
        ("timm:resnet10t", {"batchnorm": False}, "not for timm:resnet10t"),
        ("cnn7", {"dropout": 1.0}, "dropout 1.0: must be from 0 to 0.95"),
        ("cnn7", {"droput": 0.1}, "unknown setting"),
        ("cnn77", {}, "nearest: cnn7"),
        ("vgg1", {}, "vgg11"),
        ("vit_b_32", {}, "vit_b_32 cannot be made for 100 px"),
    ],
)
def test_what_an_architecture_does_not_take_is_refused(arch, settings, says):
    with pytest.raises(UsageError, match=says):
        create(arch, 2, 100, settings)


@pytest.mark.parametrize("arch", ["vit_b_32", "timm:vit_tiny_patch16_224"])
def test_a_network_of_fixed_size_is_made_for_another(arch):
    net, preset = create(arch, 2, 96)
    assert preset.size == 96
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, 3, 96, 96)).shape == (1, 2)


def test_settings_that_change_nothing_are_taken_by_all():
    create("squeezenet1_1", 2, 64, {"dropout": None, "batchnorm": True})


def test_published_weights_must_exist_and_fit():
    with pytest.raises(UsageError, match="cnn7 has no published weights"):
        build("cnn7", 2, pretrained=True)
    with pytest.raises(UnknownName, match="resnet18"):
        build("resnet81", 2, pretrained=True)


def test_a_size_that_is_too_small_is_refused():
    with pytest.raises(UsageError, match="squeezenet1_1 cannot take pictures of 8 px"):
        build("squeezenet1_1", 2, size=8)
    net, _ = build("squeezenet1_1", 2, size=32)
    assert net.training


def test_every_architecture_is_listed_once():
    names = architecture_names()
    assert len(names) == len(set(names)) and names[:3] == [
        "efficientnet_lite0",
        "cnn7",
        "simplecnn",
    ]
    assert {"resnet50", "timm:resnet10t.c3_in1k"} <= set(names)
