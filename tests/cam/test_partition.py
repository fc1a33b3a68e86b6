"""Two graphs instead of one network: the same logits and the oracle's maps, kept as data."""

import json

import pytest
import torch
from cam import oracle
from torch import nn

from vidcam.cam import split
from vidcam.cam.layers import default_layer, to_grid
from vidcam.cam.partition import PartitionError, partition
from vidcam.cam.tail import Tail, TailError

CASES = [
    ("resnet18", None, 0),
    ("resnet50", "layer4.2.conv3", 1),  # the shortcut crosses beside it
    ("densenet121", None, 0),  # an in-place ReLU right behind the layer
    ("densenet121", "features.denseblock4.denselayer16.conv2", None),
    ("efficientnet_lite0", None, 0),
    ("efficientnet_lite0", "blocks.4.0.bn1", None),
    ("mobilenet_v3_large", None, 0),
    ("convnext_tiny", None, 0),
    ("swin_t", None, 0),
    ("timm:vit_tiny_patch16_224", None, 1),
]


@pytest.mark.parametrize(("name", "layer", "crossing"), CASES)
def test_the_halves_give_the_oracles_maps_for_any_batch(name, layer, crossing, tmp_path):
    net, size = oracle.network(name), oracle.SIZE
    layer = layer or default_layer(net, size)
    pictures = oracle.pictures(3)
    classes, logits, expected = oracle.oracle(net, layer, pictures, to_grid)

    halves = partition(net, layer, size)
    halves.tail.save(tmp_path)
    tail = Tail.load(tmp_path)

    assert crossing is None or tail.crossing == crossing
    with torch.no_grad():
        activation, *across = halves.trunk(pictures)
    cut = split.differentiate(tail, activation, across, lambda _logits: classes)
    torch.testing.assert_close(cut.logits, logits, rtol=1e-3, atol=1e-3 * float(logits.std()))
    got = oracle.normalised(oracle.gradcam_map(to_grid(cut.activation), to_grid(cut.gradients[0])))
    assert (got - expected).abs().max() < 1e-3


def test_without_a_layer_all_of_the_network_is_trunk():
    net, pictures = oracle.network("resnet18"), oracle.pictures(2)
    halves = partition(net, None, oracle.SIZE)
    with torch.no_grad():
        (logits,) = halves.trunk(pictures)
        torch.testing.assert_close(halves.tail(logits, ()), net(pictures), rtol=1e-4, atol=1e-4)


def test_the_network_stays_as_it_was():
    net = oracle.network("resnet18")
    before = {key: value.clone() for key, value in net.state_dict().items()}
    partition(net, "layer4", oracle.SIZE)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


class Choosy(nn.Module):
    """Its way depends on the pixels, so no graph can be written down."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        return y.mean((2, 3)) if float(x.mean()) > 0 else y.amax((2, 3))


class Grouping(nn.Module):
    """What crosses the cut is one for the whole batch."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        whole = x.mean((0, 2, 3))
        return self.conv(x).mean((2, 3)) + whole.sum()


@pytest.mark.parametrize(
    ("net", "reason"), [(Choosy(), "torch.export"), (Grouping(), "not one for each picture")]
)
def test_what_has_no_halves_is_refused_with_the_reason(net, reason):
    with pytest.raises(PartitionError, match=reason):
        partition(net.eval(), "conv", oracle.SIZE)


def test_a_tail_holds_only_what_can_be_read_back(tmp_path):
    graph = torch.fx.Graph()
    graph.output(graph.call_function(print, (graph.placeholder("x"),)))
    with pytest.raises(TailError, match="print"):
        Tail.of_graph(graph, {})
    (tmp_path / "tail.json").write_text(
        json.dumps({"inputs": ["x"], "steps": [["y", "os.system", ["ls"], {}]], "output": "y"})
    )
    torch.save({}, tmp_path / "tail.pt")
    with pytest.raises((AttributeError, TailError)):
        Tail.load(tmp_path)
