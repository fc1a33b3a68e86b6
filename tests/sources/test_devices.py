"""Cameras of this machine: FFmpeg's and OpenCV's real capture code on a camera of the tests."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from fake_camera import NAME, FakeCamera, needs_gcc

from vidcam.errors import SourceError
from vidcam.sources.capture import Capture
from vidcam.sources.clock import RunClock
from vidcam.sources.finish import Run
from vidcam.sources.live import open_capture

pytestmark = needs_gcc

HERE = Path(__file__).parent
# What runs in the process with the camera; it prints one JSON value.
PROGRAM = """
import json, logging, sys, threading
from pathlib import Path
import av
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(message)s")
logging.getLogger("libav").setLevel(logging.CRITICAL)
from live_run import LiveRun, Taken
from vidcam.errors import SourceError
run, folder, found = LiveRun(), Path(sys.argv[1]), {}

def colours(frame):
    picture = frame.picture.to_ndarray(format="rgb24")
    middles = [picture.shape[1] * n // 12 for n in (1, 3, 5, 7, 9, 11)]
    return [np.median(picture[:, middle], axis=0).tolist() for middle in middles]

def take(uri="0", count=20, **wanted):
    taken = run.take(uri, count, **wanted)
    return tell(taken)

def tell(taken):
    info = taken.info
    return {"size": [info.width, info.height], "rate": float(info.rate), "steps": taken.steps_s,
            "coded": len(taken.coded), "template": info.coded and info.coded.name,
            "colours": colours(taken.frames[-1]), "cause": taken.lost and taken.lost.cause,
            "said": str(taken.lost), "frames": len(taken.frames), "sound": info.audio,
            "late": max(f.captured_s - run.clock.start_s - f.time_s for f in taken.frames)}

def refused(uri="0", **wanted):
    try:
        run.take(uri, 1, **wanted)
    except SourceError as error:
        return {"cause": error.cause, "said": str(error)}
"""
# The bars of the test pattern, behind what moves on them.
BARS = [[255, 0, 0], [0, 255, 0], [255, 255, 0], [0, 0, 255], [255, 0, 255], [0, 255, 255]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A camera that is never changed."""
    return FakeCamera(tmp_path_factory.mktemp("camera"))


@pytest.fixture
def camera(tmp_path):
    """A camera of the test's own."""
    return FakeCamera(tmp_path)


def with_camera(camera, code):
    """What `code` leaves in `found`, and what was logged."""
    path = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parents[1])])
    program = PROGRAM + textwrap.dedent(code) + "\nprint(json.dumps(found))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(camera.folder)],
        env=camera.env | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def assert_bars(colours):
    for seen, bar in zip(colours, BARS, strict=True):
        assert max(abs(one - other) for one, other in zip(seen, bar, strict=True)) < 12


def test_mjpg_is_asked_for_first(shared):
    taken, said = with_camera(shared, 'found = take("0", 30, coded=True)')
    assert (taken["size"], taken["rate"]) == ([640, 360], 30)
    assert taken["steps"][3:] == pytest.approx([1 / 30] * 26, abs=0.025)
    assert taken["coded"] >= 30 and taken["template"] == "mjpeg" and taken["sound"] is None
    assert taken["late"] < 0.2
    assert_bars(taken["colours"])
    assert said == "camera 0: 640x360 by PyAV\n"


def test_size_and_format_are_as_asked_for(shared):
    found, _ = with_camera(
        shared,
        """
        found["small"] = take("/dev/video0", 5, size=(320, 180))
        found["raw"] = take("Fake UVC camera", 5, format="YUYV", coded=True)
        """,
    )
    assert found["small"]["size"] == [320, 180] and found["small"]["rate"] == 30
    assert found["raw"]["size"] == [640, 360] and found["raw"]["rate"] == 15
    assert found["raw"]["coded"] == 0 and found["raw"]["template"] is None
    assert_bars(found["small"]["colours"])
    assert_bars(found["raw"]["colours"])


def test_raw_pictures_may_be_touched_after_the_camera_is_closed(shared):
    found, _ = with_camera(
        shared,
        """
        import gc
        for round in range(3):
            taken = run.take("0", 5, format="YUYV")
            gc.collect()
            found = [colours(frame) for frame in taken.frames]
        """,
    )
    for colours in found:
        assert_bars(colours)


def test_a_camera_that_is_unplugged_and_comes_back(camera):
    found, _ = with_camera(
        camera,
        """
        with run.source("0") as source:
            threading.Timer(0.4, (folder / "unplug").touch).start()
            found["lost"] = tell(Taken(source))
        found["gone"] = refused()
        (folder / "unplug").unlink()
        found["back"] = take(count=3)
        """,
    )
    assert found["lost"]["cause"] == "unplugged" and found["lost"]["said"] == "camera 0: unplugged"
    assert found["lost"]["frames"] >= 3 and found["back"]["frames"] == 3
    assert found["gone"]["cause"] == "not found" and "no such camera" in found["gone"]["said"]


def test_a_camera_that_says_nothing_is_noticed_in_time(camera):
    found, _ = with_camera(
        camera,
        """
        import time
        with run.source("0", timeout_s=0.5) as source:
            threading.Timer(0.3, (folder / "silent").touch).start()
            found["lost"] = tell(Taken(source))
        began_s = time.monotonic()
        found["dead"] = refused(timeout_s=0.5)
        found["waited_s"] = time.monotonic() - began_s
        """,
    )
    assert found["lost"]["cause"] == "timeout" and "silent for 0.5 s" in found["lost"]["said"]
    assert found["dead"]["cause"] == "timeout" and 0.4 < found["waited_s"] < 3


def test_a_camera_that_is_busy_or_forbidden(camera):
    found, _ = with_camera(
        camera,
        """
        with run.source("0"):
            found["busy"] = refused()
        (folder / "forbidden").touch()
        found["forbidden"] = refused()
        """,
    )
    assert found["busy"]["cause"] == "busy" and "another program" in found["busy"]["said"]
    assert found["forbidden"]["cause"] == "permission denied"
    assert "group video" in found["forbidden"]["said"]


def test_opencv_takes_what_ffmpeg_does_not_know(tmp_path):
    camera = FakeCamera(tmp_path, modes=[("NV21", 640, 360, 30)])
    found, said = with_camera(
        camera,
        """
        with run.source("0", flip="horizontal") as source:
            threading.Timer(0.5, (folder / "unplug").touch).start()
            found = tell(Taken(source))
        """,
    )
    assert found["size"] == [640, 360] and found["rate"] == 30 and found["frames"] >= 5
    assert found["cause"] == "unplugged" and found["coded"] == 0
    assert_bars(found["colours"][::-1])
    assert "camera 0: 640x360 by OpenCV, because PyAV cannot" in said


def test_cameras_are_listed(shared):
    found, _ = with_camera(
        shared,
        """
        from dataclasses import asdict
        from vidcam.sources.devices import list_cameras
        found = [asdict(camera) for camera in list_cameras()]
        """,
    )
    modes = [["YUYV", 640, 360, 15.0], ["MJPG", 640, 360, 30.0], ["MJPG", 320, 180, 30.0]]
    assert found == [{"index": 0, "name": NAME, "path": "/dev/video0", "modes": modes}]


def test_a_camera_that_is_not_there():
    run = Run(RunClock(), iter(()), None)
    with pytest.raises(SourceError, match=r"camera /dev/video63: no such camera") as caught:
        open_capture(Capture("63"), run)
    assert caught.value.cause == "not found"
