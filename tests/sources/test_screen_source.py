"""The screen as a source, on a display that the test starts."""

import os
import shutil
import subprocess
import sys

import pytest
from live_run import LiveRun

from vidcam.errors import SourceError

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems have one screen")


@pytest.fixture
def display(monkeypatch):
    """A display of 320x200, for this process too."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (apt-get install xvfb)")
    told, tell = os.pipe()
    command = ["Xvfb", "-displayfd", str(tell), "-screen", "0", "320x200x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[tell], stderr=subprocess.DEVNULL)
    os.close(tell)
    with os.fdopen(told) as number:
        monkeypatch.setenv("DISPLAY", f":{number.readline().strip()}")
    yield
    process.terminate()
    process.wait(10)


@ON_LINUX
def test_the_screen_is_recorded(display):
    taken = LiveRun().take("screen", 15)
    assert (taken.info.width, taken.info.height, taken.info.rate) == (320, 200, 30)
    assert taken.info.live and taken.info.coded is None
    assert taken.times_s[-1] - taken.times_s[0] == pytest.approx(14 / 30, abs=0.25)
    assert LiveRun().take("screen", 2, size=(160, 100), fps=10).info.width == 160


@ON_LINUX
def test_without_a_display_it_says_so(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SourceError, match="DISPLAY is not set") as caught:
        LiveRun().take("screen", 1)
    assert caught.value.cause == "not found"
    monkeypatch.setenv("DISPLAY", ":9999")
    with pytest.raises(SourceError, match="display :9999 cannot be recorded"):
        LiveRun().take("screen", 1)
