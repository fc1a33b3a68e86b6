"""What all tests share: the sample clips, and heavy things loaded once a session."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "sample_media"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Engines are made once for all tests, their processes included, and leave nothing behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDCAM_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def cat_clip() -> Path:
    """A cat, 1280x720, 30 fps, 180 frames, AAC sound."""
    return SAMPLES / "cat.mp4"


@pytest.fixture(scope="session")
def tour_clip() -> Path:
    """Rocket, cat, camera, espresso: cuts at frames 48, 96, 144; 192 frames, 24000/1001 fps."""
    return SAMPLES / "tour.mp4"


@pytest.fixture(scope="session")
def builtin():
    """The built-in model with English labels."""
    from vidcam.models import load_model
    from vidcam.options import FileOptions

    return load_model(FileOptions(lang=("en",)))


@pytest.fixture(scope="session")
def session():
    """A loaded session with the default options, in f32 so that numbers repeat."""
    from vidcam.options import FileOptions
    from vidcam.session import Session

    return Session(FileOptions(precision="f32"))


@pytest.fixture(scope="session")
def vidcam() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own."""

    def run(*arguments: object, **keywords: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vidcam", *map(str, arguments)]
        settings = {"capture_output": True, "text": True, "timeout": 120, "cwd": ROOT}
        return subprocess.run(command, **(settings | keywords), check=False)

    return run
