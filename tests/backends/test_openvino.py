"""OpenVINO's engine: torch's labels and maps, from a cache that can take a knock."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from backends.frames import assert_parity, outputs, real_pixels
from cam import oracle
from conftest import ROOT
from torch import nn

from vidcam.backends import Choice, Second, load_backend
from vidcam.backends.cache import cache_folder
from vidcam.backends.halves import fixed_sizes
from vidcam.backends.openvino import _key, _load, is_best_for
from vidcam.errors import UsageError
from vidcam.options import FileOptions

openvino = pytest.importorskip("openvino", reason="the extra [openvino] is not installed")


def has_bf16():
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def backend(model, sizes=(8,), **options):
    settings = FileOptions(
        **({"precision": "f32", "device": "cpu", "backend": "openvino"} | options)
    )
    return load_backend(model, settings, settings, sizes)


@pytest.fixture(scope="module")
def pixels(cat_clip, tour_clip, builtin):
    return real_pixels((cat_clip, tour_clip), 4, builtin.size)[:-3]


@pytest.fixture(scope="module")
def reference(builtin, pixels):
    return outputs(backend(builtin, backend="torch"), pixels)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDCAM_CACHE_DIR", str(tmp_path))
    return tmp_path / "engines"


def test_f32_gives_what_torch_gives_on_real_frames(builtin, pixels, reference):
    engine = backend(builtin)
    assert (engine.name, engine.precision, engine.device) == ("openvino", "f32", "cpu")
    assert engine.layer_name == "bn2"
    assert_parity(engine, pixels, reference, half=False)


@pytest.mark.skipif(not has_bf16(), reason="this CPU has no bf16")
def test_bf16_keeps_the_labels_of_real_frames(builtin, pixels, reference):
    engine = backend(builtin, precision="auto")
    assert engine.precision == "bf16"
    assert_parity(engine, pixels, reference, half=True)


@pytest.mark.parametrize("method", ["gradcam++", "layercam", "hirescam", "xgradcam", "eigencam"])
def test_each_method_gives_torchs_map(builtin, pixels, method):
    few = pixels[:5]
    _, classes, expected = outputs(backend(builtin, backend="torch", cam=method), few)
    _, _, maps = outputs(backend(builtin, cam=method), few, classes)
    assert np.abs(maps - expected).max() < 2e-3


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 13])
def test_batches_of_any_size_give_what_single_pictures_give(builtin, pixels, count):
    engine = backend(builtin, sizes=(1, 2, 3, 4))
    whole = engine.start(pixels[:count], Choice())()
    assert len(whole.logits) == len(whole.maps) == len(whole.classes) == count
    for n in range(count):
        alone = engine.start(pixels[n : n + 1], Choice())()
        assert np.abs(alone.logits[0] - whole.logits[n]).max() < 1e-3
        assert np.abs(alone.maps[0] - whole.maps[n]).max() < 1e-3 * np.abs(whole.maps[n]).max()


def test_few_sizes_serve_many():
    assert fixed_sizes((8,)) == (8,)
    assert fixed_sizes(range(1, 7)) == (1, 2, 4, 6)
    assert fixed_sizes((1,)) == (1,)


def test_results_outlive_the_next_call(builtin, pixels):
    engine = backend(builtin, cam="none")
    first = engine.start(pixels[:8], None)()
    before = first.logits.copy()
    engine.start(pixels[8:16], None)()
    assert first.maps is None and np.array_equal(first.logits, before)


def test_a_second_map_and_a_fixed_class(builtin, pixels):
    engine, torchs = backend(builtin), backend(builtin, backend="torch")
    for one in (engine, torchs):
        both = one.start(pixels[:3], Choice(285), Second("layercam", 281))()
        assert both.classes.tolist() == [285] * 3
        if one is engine:
            got = both
    assert np.abs(got.maps - both.maps).max() < 1e-3 * np.abs(both.maps).max()
    assert np.abs(got.second_maps - both.second_maps).max() < 1e-3 * np.abs(both.second_maps).max()


@pytest.mark.parametrize(("name", "layer"), [("resnet50", "layer4.2.conv3"), ("swin_t", None)])
def test_other_networks_with_what_crosses_their_cut(name, layer, cache):
    model, few = oracle.as_model(oracle.network(name)), oracle.pixels_of(3)
    engine = backend(model, layer=layer)
    assert engine.name == "openvino"
    torchs = backend(model, layer=layer, backend="torch")
    classes = torchs.start(few, Choice())().classes
    expected, got = (one.start(few, Choice(classes))() for one in (torchs, engine))
    assert np.abs(got.logits - expected.logits).max() < 2e-3 * expected.logits.std()
    assert np.abs(got.maps - expected.maps).max() < 2e-3 * np.abs(expected.maps).max()


class Choosy(nn.Module):
    """Its way depends on the pixels, so it cannot be exported."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        y = torch.relu(self.conv(x)).mean((2, 3))
        return self.head(y if float(x.mean()) > 1e9 else 2 * y)


def test_what_does_not_export_runs_on_torch_which_is_said_at_each_start(cache, caplog):
    torch.manual_seed(0)
    model = oracle.as_model(Choosy().eval(), classes=5)
    for _ in range(2):
        caplog.clear()
        engine = backend(model)
        assert engine.name == "torch" and engine.layer_name == "conv"
        assert "runs on torch instead of openvino: torch.export" in caplog.text
    assert len(list(cache.iterdir())) == 1, "the refusal is kept too"


def small(seed=0):
    """A network that converts as quickly as any."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    ).eval()  # fmt: skip
    return oracle.as_model(net, classes=5)


def test_a_broken_cache_is_made_anew(cache, caplog):
    model, few = small(), oracle.pixels_of(2)
    expected = backend(model).start(few, Choice())()
    (entry,) = cache.iterdir()
    whole = {path.name: path.read_bytes() for path in entry.iterdir()}
    assert set(whole) == {"trunk.xml", "trunk.bin", "tail.json", "tail.pt", "about.json"}
    for name, content in whole.items():
        (entry / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(Exception):  # noqa: B017 - each reader has its own
            _load(entry, model, "f32", (2,), FileOptions())
        (entry / name).write_bytes(content)
    (entry / "trunk.bin").write_bytes(b"")
    got = backend(model).start(few, Choice())()
    assert "it is made anew" in caplog.text
    assert np.allclose(got.logits, expected.logits, atol=1e-4)
    assert (entry / "trunk.bin").read_bytes() == whole["trunk.bin"]
    caplog.clear()
    backend(model)
    assert "anew" not in caplog.text


def test_other_weights_layers_and_methods_have_entries_of_their_own():
    model = small()
    keys = [
        _key(model, FileOptions()), _key(small(seed=1), FileOptions()),
        _key(model, FileOptions(layer="0")), _key(model, FileOptions(cam="none")),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert _key(small(), FileOptions(cam="layercam")) == keys[0]


def test_starts_at_the_same_time_all_get_their_engine(cache):
    code = (
        "from backends.test_openvino import backend, small, oracle, Choice\n"
        "engine = backend(small())\n"
        "print(engine.name, engine.start(oracle.pixels_of(2), Choice())().logits.round(3).tolist())"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["tests", "."])}
    starts = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                         env=environment, cwd=ROOT)
        for _ in range(2)
    ]  # fmt: skip
    first, second = (start.communicate(timeout=120)[0] for start in starts)
    assert first == second and first.startswith("openvino")
    assert len(list(cache.iterdir())) == 1


def test_a_warm_start_builds_no_network_and_imports_no_exporter(builtin):
    backend(builtin)
    code = (
        "import sys\n"
        "from vidcam.options import FileOptions\n"
        "from vidcam.session import Session\n"
        "session = Session(FileOptions(backend='openvino', device='cpu'))\n"
        "print('net' in vars(session.model), *({'timm', 'torchvision', 'torch._dynamo', "
        "'torch._inductor'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
    assert cache_folder().is_dir()


def test_precisions_that_it_lacks_run_on_torch(builtin, caplog):
    engine = backend(builtin, precision="fp16")
    assert (engine.name, engine.precision) == ("torch", "fp16")
    assert "no fp16" in caplog.text


def test_it_is_for_the_cpu():
    assert is_best_for("cpu", "auto")
    assert not is_best_for("cpu", "fp16")
    assert not is_best_for("cuda", "auto")


def test_not_installed_is_a_usage_error_that_says_how(builtin, monkeypatch):
    monkeypatch.setattr("vidcam.backends.openvino.find_spec", lambda _name: None)
    assert not is_best_for("cpu", "auto")
    with pytest.raises(UsageError, match=r"pip install 'vidcam\[openvino\]'"):
        backend(builtin)


def test_a_stopped_child_leaves_torch_to_do_the_work(cache, monkeypatch, caplog):
    """A converter that dies takes nobody with it."""
    monkeypatch.setattr("vidcam.backends.convert.sys.executable", "/bin/false")
    engine = backend(small())
    assert engine.name == "torch"
    assert "converter: it ended with 1" in caplog.text
