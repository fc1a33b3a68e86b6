"""The process that converts a trunk, and what makes its work less."""

import subprocess
import sys
from subprocess import PIPE

import pytest
import torch
from torch import nn

pytest.importorskip("openvino", reason="the extra [openvino] is not installed")

from vidcam.backends.convert import _make_pure, convert, converter
from vidcam.backends.halves import Unsuitable
from vidcam.backends.openvino import CONVERTED, EXPORTED


class InPlace(nn.Module):
    """Two operations in place: what the second changes is read through a view."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = nn.functional.relu6(self.first(x), inplace=True)
        y = self.second(x)
        view = y.flatten(2)
        nn.functional.relu(y, inplace=True)
        return self.head(view.mean(2))


def test_operations_in_place_become_pure_where_nobody_sees_it():
    torch.manual_seed(0)
    net, few = InPlace().eval(), torch.randn(2, 3, 32, 32)
    trunk = torch.export.export(net, (few,)).module(check_guards=False)
    with torch.no_grad():
        expected = trunk(few)
        _make_pure(trunk)
        got = trunk(few)
    assert torch.equal(got, expected)
    named = [str(node.target) for node in trunk.graph.nodes]
    assert "aten.relu6.default" in named and "aten.relu_.default" in named


def trunk_of(net, few):
    return torch.export.export(net.eval(), (few,)).module(check_guards=False)


def test_a_converter_that_is_never_asked_leaves_nothing(tmp_path):
    """Its network could not be cut, or its parent has gone: it ends by itself."""
    with converter(tmp_path) as child:
        said = child.communicate("", timeout=60)[1]
    assert (child.returncode, said) == (0, "") and not list(tmp_path.iterdir())
    with pytest.raises(KeyError), converter(tmp_path) as child:
        raise KeyError
    assert child.poll() is not None and not list(tmp_path.iterdir())


def test_a_long_conversion_says_that_it_goes_on_and_ends_at_last(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "vidcam")
    monkeypatch.setattr("vidcam.backends.convert.SAID_EVERY_S", 1)
    monkeypatch.setattr("vidcam.backends.convert.TIMEOUT_S", 2)
    sleeps = [sys.executable, "-c", "import signal; input(); signal.pause()"]
    with subprocess.Popen(sleeps, stdin=PIPE, stderr=PIPE, text=True) as child:
        net = nn.Conv2d(3, 4, 3)
        with pytest.raises(Unsuitable, match="more than 2 s"):
            convert(trunk_of(net, torch.zeros(2, 3, 8, 8)), 8, tmp_path, child)
        child.kill()
    assert "still prepares it, for 1 s now" in caplog.text
    assert not (tmp_path / CONVERTED).exists() and (tmp_path / EXPORTED).exists()
