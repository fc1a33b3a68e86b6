"""The survey of all layers says of each what the dry run of it alone says."""

import pytest
from cam import oracle
from torch import nn

from vidcam.cam.layers import check_layer, default_layer
from vidcam.cam.survey import survey
from vidcam.errors import UsageError


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "squeezenet1_1", "swin_t", "timm:vit_tiny_patch16_224"]
)
def test_each_layer_is_judged_as_it_is_alone(name):
    net = oracle.network(name)
    layers = survey(net, oracle.SIZE)
    assert [layer.name for layer in layers] == [path for path, _ in net.named_modules() if path]
    assert any(not layer.obstacle for layer in layers)
    for layer in layers[:: max(1, len(layers) // 12)]:
        alone = None
        try:
            check_layer(net, layer.name, oracle.SIZE)
        except UsageError as error:
            alone = str(error)
        assert (layer.obstacle is None) == (alone is None), (layer, alone)
        assert alone is None or layer.obstacle in alone
    default = default_layer(net, oracle.SIZE)
    assert next(layer for layer in layers if layer.name == default).obstacle is None


def test_shapes_and_parameters_are_those_of_the_network():
    net = oracle.network("resnet18")
    layers = {layer.name: layer for layer in survey(net, oracle.SIZE)}
    assert layers["layer4"].shape == (1, 512, 3, 3) and layers["fc"].shape == (1, 1000)
    assert layers["fc"].parameters == 513_000 and layers["fc"].kind == "Linear"
    total = sum(parameter.numel() for parameter in net.parameters())
    assert sum(layers[name].parameters for name, _ in net.named_children()) == total


def test_a_network_without_a_grid_has_no_layer_that_can_carry_a_map():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 6), nn.ReLU(), nn.Linear(6, 4)).eval()
    assert all(layer.obstacle for layer in survey(net, 8))
    with pytest.raises(UsageError, match=r"no layer with a grid.*1 1x6, 2 1x6, 3 1x4"):
        default_layer(net, 8)


def test_the_survey_leaves_no_hook():
    net = oracle.network("resnet18")
    survey(net, oracle.SIZE)
    assert not any(module._forward_hooks for module in net.modules())
