"""OpenVINO's engine: torch's labels and maps, from a cache that can take a knock."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from backends.frames import assert_parity, outputs, real_pixels
from cam import oracle
from checkpoints import small_checkpoint
from torch import nn

from vidcam.backends import Batches, Choice, Second, load_backend
from vidcam.backends.cache import cache_folder
from vidcam.backends.halves import fixed_sizes
from vidcam.backends.openvino import _key, is_best_for, shared_core
from vidcam.errors import UsageError
from vidcam.models import load_model
from vidcam.options import FileOptions

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("openvino", reason="the extra [openvino] is not installed")


def has_bf16():
    return "BF16" in shared_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def backend(model, sizes=(8,), in_turn=True, **options):
    settings = FileOptions(
        **({"precision": "f32", "device": "cpu", "backend": "openvino"} | options)
    )
    return load_backend(model, settings, settings, Batches(sizes, in_turn))


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
    torchs = backend(builtin, backend="torch").start(pixels[:3], None)().features
    assert np.abs(engine.start(pixels[:3], None)().features - torchs).max() < 1e-3


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


@pytest.mark.parametrize("in_turn", [True, False])
def test_batches_under_way_and_results_do_not_disturb_each_other(builtin, pixels, in_turn):
    engine = backend(builtin, in_turn=in_turn)
    assert engine.overlaps == in_turn
    parts = [pixels[at : at + 8] for at in (0, 8, 16)]
    expected = [engine.start(part, Choice())() for part in parts]
    kept = [(one.logits.copy(), one.maps.copy()) for one in expected]
    pending = [engine.start(part, Choice()) for part in parts]
    for n in (2, 0, 1):  # asked for in another order than begun
        got = pending[n]()
        assert np.allclose(got.logits, kept[n][0], atol=1e-4)
        assert np.allclose(got.maps, kept[n][1], atol=1e-4)
    for one, (logits, maps) in zip(expected, kept, strict=True):
        assert np.array_equal(one.logits, logits) and np.array_equal(one.maps, maps)
    assert engine.start(pixels[:8], None)().maps is None


def test_a_second_map_and_a_fixed_class(builtin, pixels):
    engine, torchs = backend(builtin), backend(builtin, backend="torch")
    for one in (engine, torchs):
        both = one.start(pixels[:3], Choice(285), Second("layercam", 281))()
        assert both.classes.tolist() == [285] * 3
        if one is engine:
            got = both
    assert np.abs(got.maps - both.maps).max() < 1e-3 * np.abs(both.maps).max()
    assert np.abs(got.second_maps - both.second_maps).max() < 1e-3 * np.abs(both.second_maps).max()


@pytest.mark.parametrize(
    ("name", "layer"), [("resnet50", "layer4.2.conv3"), ("timm:vit_tiny_patch16_224", None)]
)
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


def test_a_damaged_entry_is_made_anew(cache, caplog):
    model, few = small(), oracle.pixels_of(2)
    expected = backend(model).start(few, Choice())()
    (entry,) = cache.iterdir()
    files = {"trunk.xml", "trunk.bin", "tail.json", "tail.pt", "about.json", "sums.json"}
    assert {path.name for path in entry.iterdir()} == files
    weights = (entry / "trunk.bin").read_bytes()
    (entry / "trunk.bin").write_bytes(bytes(len(weights)))  # as a crash of the machine leaves it
    got = backend(model).start(few, Choice())()
    assert "is damaged" in caplog.text
    assert np.allclose(got.logits, expected.logits, atol=1e-4)
    assert (entry / "trunk.bin").read_bytes() == weights


def test_other_weights_and_layers_have_entries_of_their_own():
    model = small()
    options = [{}, {"layer": "0"}, {"layer": "default"}, {"layer": "none"}]
    keys = [_key(model, FileOptions(**one)) for one in options]
    keys.append(_key(small(seed=1), FileOptions()))
    assert len(set(keys)) == len(keys)
    assert _key(small(), FileOptions(cam="layercam", precision="bf16")) == keys[0]
    # Without a map no layer is looked for, but one that is named serves both.
    assert _key(small(), FileOptions(cam="none")) not in keys
    assert _key(small(), FileOptions(cam="none", layer="0")) == keys[1]


def test_a_network_that_keeps_back_what_its_head_is_given_runs_on_torch(tmp_path, cache, caplog):
    """SqueezeNet's head is a convolution, and what is unknown to it is told by what that gets."""
    neighbours = torch.nn.functional.normalize(torch.rand(4, 512)).half()
    path = small_checkpoint(tmp_path, neighbours=neighbours, nearness=0.5, layer="features.12")
    model = load_model(FileOptions(model=str(path)))
    engine = backend(model)
    assert engine.name == "torch" and "tells the unknown" in caplog.text
    pixels = np.zeros((1, 64, 64, 3), np.uint8)
    assert engine.start(pixels, None)().features.shape == (1, 512)


def test_a_network_without_a_map_says_so_though_it_lies_in_the_cache(cache):
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    model = oracle.as_model(net.eval(), classes=5)
    assert backend(model, cam="none").name == "openvino"
    with pytest.raises(UsageError, match="--cam none does without a map"):
        backend(model)


def test_a_fault_that_may_pass_is_not_kept(cache, monkeypatch, caplog):
    """A converter that is killed, say for its memory, takes nobody with it."""
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    true_start = subprocess.Popen
    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", lambda _command, **rest: true_start(killed, **rest))
        assert backend(small()).name == "torch"
    assert "converter: it ended with -9" in caplog.text
    assert list(cache.iterdir()) == []
    assert backend(small()).name == "openvino"


def test_what_lies_in_the_users_folder_is_none_of_our_modules(cache, tmp_path, monkeypatch):
    (tmp_path / "openvino.py").write_text("raise SystemExit('this is not ours')")
    (tmp_path / "queue.py").write_text("raise SystemExit('this is not ours')")
    monkeypatch.chdir(tmp_path)
    assert backend(small()).name == "openvino"


def test_a_broken_install_runs_on_torch_and_leaves_the_cache_alone(cache, monkeypatch, caplog):
    backend(small())
    before = sorted(path.name for path in cache.rglob("*"))

    def broken():
        raise ImportError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr("vidcam.backends.openvino.shared_core", broken)
    assert backend(small()).name == "torch"
    assert "OpenVINO: ImportError: libopenvino.so" in caplog.text
    assert sorted(path.name for path in cache.rglob("*")) == before


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


def test_engines_that_went_leave_signals_alone(builtin):
    """Several cores, let go in the order they came, left a freed stack to run handlers on."""
    backend(builtin)
    code = (
        "import faulthandler, os, signal\n"
        "faulthandler.enable()\n"
        "from vidcam.options import FileOptions\n"
        "from vidcam.session import Session\n"
        "sessions = [Session(FileOptions(backend='openvino', device='cpu')) for _ in range(3)]\n"
        "while sessions: sessions.pop(0)\n"
        "try: os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr


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
