"""`vidcam cameras`: the list for people and for programs."""

import json

import pytest
from fake_camera import NAME, FakeCamera, needs_gcc


@pytest.fixture
def camera(tmp_path):
    return FakeCamera(tmp_path)


@needs_gcc
def test_the_cameras_and_their_modes(vidcam, camera):
    done = vidcam("cameras", env=camera.env)
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.splitlines() == [
        f"0  /dev/video0  {NAME}",
        "   640x360     YUYV 15 fps   MJPG 30 fps",
        "   320x180     MJPG 30 fps",
    ]


@needs_gcc
def test_the_list_for_programs(vidcam, camera):
    (listed,) = json.loads(vidcam("cameras", "--json", env=camera.env).stdout)
    assert listed["name"] == NAME and ["MJPG", 320, 180, 30.0] in listed["modes"]


@needs_gcc
def test_a_camera_that_may_not_be_opened_is_listed_with_the_reason(vidcam, camera):
    camera.set("forbidden")
    assert vidcam("cameras", env=camera.env).stdout == "0  /dev/video0  (permission denied)\n"


@needs_gcc
def test_without_a_camera_there_is_a_hint(vidcam, camera):
    camera.set("unplug")
    done = vidcam("cameras", env=camera.env)
    assert done.returncode == 0 and not done.stdout
    assert done.stderr.startswith("vidcam: no camera found")
    assert json.loads(vidcam("cameras", "--json", env=camera.env).stdout) == []
