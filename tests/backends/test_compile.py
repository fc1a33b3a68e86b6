"""torch.compile's engine: torch's labels and maps on real frames."""

import shutil

import pytest
from backends.frames import assert_parity, outputs, real_pixels
from cam import oracle

from vidcam.backends import Batches, load_backend
from vidcam.options import FileOptions

needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")


def backend(model, **options):
    settings = FileOptions(**({"precision": "f32", "device": "cpu"} | options))
    return load_backend(model, settings, settings, Batches((8,)))


@needs_compiler
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_real_frames_get_torchs_labels_and_maps(builtin, tour_clip, precision):
    pixels = real_pixels((tour_clip,), 8, builtin.size)[:-3]
    reference = outputs(backend(builtin, backend="torch"), pixels)
    engine = backend(builtin, backend="compile", precision=precision)
    assert (engine.name, engine.precision) == ("compile", precision)
    assert_parity(engine, pixels, reference, half=precision != "f32")


def test_without_a_compiler_it_runs_on_torch_and_says_so(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    engine = backend(oracle.as_model(oracle.network("shufflenet_v2_x0_5")), backend="compile")
    assert engine.name == "torch"
    assert "runs on torch instead of compile: torch.compile" in caplog.text
