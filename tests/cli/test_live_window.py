"""`vidcam live` under a real X server: a camera in the window, every key, every way to end."""

import re
import signal
import time

import av
import numpy as np
import pytest
from fake_camera import FakeCamera, needs_gcc
from live_looks import (
    BAR,
    CAMERA,
    MIDDLE,
    OTHER,
    PANEL,
    PAUSED,
    SAME,
    SQUARE,
    Watched,
    XServer,
    colours,
    difference,
    has_keys,
    has_red_dot,
    is_card,
    is_whole,
    name_of,
    need_x,
    padded,
    pictures_of,
    wait_for,
)
from live_runs import COLOURS, LOADED, SOON_S, START_S, Live
from PIL import Image

METHODS = 6


@pytest.fixture(scope="module")
def server():
    need_x()
    server = XServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def portrait(cat_clip):
    """The camera's picture, (360, 640, 3): a cat, and a place for a square that blinks."""
    with av.open(str(cat_clip)) as container:
        first = next(container.decode(video=0))
    return first.reformat(640, 360, "rgb24").to_ndarray()


@pytest.fixture(scope="module")
def camera(portrait, tmp_path_factory):
    """A camera that shows the cat, and a square that is black and white by turns."""
    pictures = []
    for number in range(30):
        rgb = portrait.copy()
        rgb[240:300, 560:620] = 255 * (number // 15)
        pictures.append(av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p"))
    modes = (("MJPG", 640, 360, 30),)
    return FakeCamera(tmp_path_factory.mktemp("camera"), modes, pictures)


@pytest.fixture(scope="module")
def watched(server, camera, portrait, tmp_path_factory):
    """`vidcam live --camera 0` with its window open; one run for the tests down to `q`."""
    folder = tmp_path_factory.mktemp("run")
    env = camera.env | {"DISPLAY": server.name}
    with Live("--camera", "0", folder=folder, env=env) as run:
        loaded = run.says(LOADED)
        wait_for(lambda: CAMERA in server.windows(), "the window", SOON_S)
        run.window_s = time.monotonic() - run.times_s[loaded]
        plain = Image.fromarray(portrait).resize((960, 540), Image.Resampling.BILINEAR)
        yield Watched(run, server, np.asarray(plain).astype(int))


@needs_gcc
def test_the_window_is_there_within_two_seconds_of_the_model(watched):
    assert watched.run.window_s < 2.0
    assert "headless" not in watched.run.said


@needs_gcc
def test_it_shows_the_picture_with_heat_labels_and_a_status_bar(watched):
    seen = watched.steady("the heat", watched.is_hot)
    assert seen.shape == (540, 960, 3)
    # Heat: the cat's face is redder than it is, the wall behind it is not.
    redness = (seen - watched.plain)[..., 0] - (seen - watched.plain)[..., 2]
    assert redness[260:430, 320:600].mean() > 40 and redness[100:300, 890:].mean() < 15
    assert is_card(seen, watched.plain, PANEL), "the labels"
    assert is_card(seen, watched.plain, BAR), "the status bar"
    bar = seen[BAR].min(axis=2) > 150
    assert bar[:, :110].any() and bar[:, 860:].any(), "the name left, the clock right"
    assert not bar[:, 130:600].any(), "nothing between them"


@needs_gcc
def test_h_and_the_brackets_change_the_heat(watched):
    heat = watched.steady("the heat", watched.is_hot)
    watched.press("h")
    watched.shows(watched.is_plain, "no heat after h")
    watched.press("h", *["bracketright"] * 5)
    more = difference(heat, watched.plain) * 1.4
    watched.shows(lambda seen: difference(seen, watched.plain) > more, "all of the heat")
    watched.press(*["bracketleft"] * 10)
    watched.shows(watched.is_plain, "heat of no opacity")
    watched.press(*["bracketright"] * 5)
    watched.shows(lambda seen: difference(seen, heat) < SAME, "the heat as it was")


@needs_gcc
def test_c_goes_through_the_methods_and_digits_pin_a_class(watched):
    heat = watched.steady("the heat", watched.is_hot)
    watched.press(*["c"] * (METHODS - 1))
    watched.shows(
        lambda seen: watched.is_hot(seen) and difference(seen, heat) > OTHER, "the last method"
    )
    watched.press("c")
    watched.shows(lambda seen: difference(seen, heat) < SAME, "the first method")
    watched.press("5")
    watched.shows(lambda seen: difference(seen, heat) > OTHER, "the heat of the fifth class")
    watched.press("0")
    watched.shows(lambda seen: difference(seen, heat) < SAME, "the heat of the top class")


@needs_gcc
def test_space_holds_the_picture(watched):
    levels = []

    def blinks(seen):
        levels.append(seen[SQUARE].mean())
        return max(levels) - min(levels) > 150

    watched.shows(blinks, "the square blinks")
    watched.press("space")
    watched.shows(lambda seen: is_card(seen, watched.plain, PAUSED), "it says that it is paused")
    held = [watched.look()[SQUARE].mean() for _ in range(12) if time.sleep(0.1) is None]
    assert max(held) - min(held) < 1
    levels.clear()
    watched.press("space")
    watched.shows(blinks, "the square blinks again")


@needs_gcc
def test_the_question_mark_lists_the_keys(watched):
    watched.press("question")
    watched.shows(lambda seen: is_card(seen, watched.plain, MIDDLE), "the list")
    watched.press("question")
    watched.shows(lambda seen: not is_card(seen, watched.plain, MIDDLE), "no list")
    watched.press("Tab")  # there is no other camera
    assert watched.server.windows() == [CAMERA]


@needs_gcc
def test_s_saves_what_the_window_shows(watched):
    seen = watched.steady("the heat", watched.is_hot)
    line = len(watched.run.stderr)
    watched.press("s")
    line = watched.run.says("saved the snapshot", SOON_S, line)
    (path,) = watched.run.folder.glob("vidcam-*.png")
    assert watched.run.stderr[line].endswith(path.name)
    with Image.open(path) as image:
        assert image.size == (640, 360)
        large = np.asarray(image.convert("RGB").resize((960, 540))).astype(int)
    assert difference(large, seen) < SAME and difference(large, seen, PANEL) < SAME


@needs_gcc
def test_r_records_what_the_command_line_says_whatever_the_keys_did(watched):
    watched.press("h")
    watched.shows(watched.is_plain, "no heat in the window")
    watched.press("r")
    watched.shows(has_red_dot, "the REC mark")
    pattern = "vidcam-*.mp4"
    wait_for(lambda: [p for p in watched.run.folder.glob(pattern) if p.stat().st_size > 40_000],
             "something of the recording is on the disk")  # fmt: skip
    watched.press("r")
    watched.shows(lambda seen: not has_red_dot(seen), "no REC mark")
    watched.press("h")
    (path,) = watched.run.folder.glob(pattern)
    assert re.fullmatch(r"vidcam-\d{8}-\d{6}\.mp4", path.name)
    wait_for(lambda: is_whole(path), "the recording is closed")
    pictures = pictures_of(path)
    assert len(pictures) > 10
    last = np.asarray(pictures[-1].to_image().resize((960, 540))).astype(int)
    assert watched.is_hot(last), "the recording has its heat"
    assert not is_card(last, watched.plain, BAR), "the status bar is the window's"


@needs_gcc
def test_an_unplugged_camera_is_waited_for_and_comes_back(watched, camera):
    watched.steady("the heat", watched.is_hot)
    camera.set("unplug")
    watched.run.says("camera 0: unplugged", SOON_S)

    def no_signal(seen):
        text = (seen.min(axis=2) > 150).mean()
        return np.median(seen) < 40 and 0.001 < text < 0.2

    watched.shows(no_signal, "the picture without a signal")
    camera.clear("unplug")
    watched.run.says("camera 0: back (640x360", SOON_S)
    watched.shows(watched.is_hot, "the picture is back")
    assert watched.run.count("unplugged") == 1, watched.run.said


@needs_gcc
def test_q_quits(watched):
    """The last of the tests that share the run."""
    watched.press("q")
    assert watched.run.ends() == 0, watched.run.said
    assert CAMERA not in watched.server.windows()
    (row,) = [line for line in watched.run.stderr if line.startswith("camera 0 ")]
    assert re.search(r"\d+/\d+/\d+ ms$", row), "the closing table tells the latencies"


GREEN, BLUE = "lavfi:color=c=0x20a040:size=320x180:rate=30", "lavfi:color=c=0x3040c0:size=320x180"


def test_the_close_button_is_a_regular_end_of_several_cameras(server, tmp_path):
    arguments = ["--camera", GREEN, "--camera", BLUE, "-o", "window", "-o", "cam{source}.mp4"]
    arguments += ["--cam", "none", "--topk", "0"]
    with Live(*arguments, folder=tmp_path, env=server.environment) as run:
        title = f"vidcam — {GREEN}, {BLUE}"
        wait_for(lambda: title in server.windows(), "the window", START_S)
        places = (135, 240), (135, 720)  # rows and columns in a window of 960x270
        wait_for(lambda: colours(server, title, *places) == ["green", "blue"], "side by side")
        assert has_red_dot(padded(server.screenshot(title))), "-o FILE is a recording"
        for name, camera in (("green", GREEN), ("blue", BLUE)):
            server.keys("Tab")
            wait_for(lambda c=camera: f"vidcam — {c}" in server.windows(), "one camera alone")
            wait_for(
                lambda n=name, c=camera: colours(server, c, (135, 480)) == [n], "it in the middle"
            )
        server.close_window(BLUE)
        assert run.ends() == 0, run.said
    assert "latency p50/p95/max" in run.said and "Traceback" not in run.said
    for number, name in enumerate(("green", "blue")):
        pictures = pictures_of(tmp_path / f"cam{number}.mp4")
        assert len(pictures) >= 3
        assert name_of(pictures[-1].to_ndarray(format="rgb24")[90, 160]) == name


def test_sigterm_ends_window_and_recording_within_two_seconds(server, tmp_path):
    file = tmp_path / "a.mp4"
    arguments = ["--camera", COLOURS, "-o", "window", "-o", "a.mp4"]
    with Live(*arguments, folder=tmp_path, env=server.environment) as run:
        wait_for(lambda: f"vidcam — {COLOURS}" in server.windows(), "the window", START_S)
        wait_for(lambda: file.exists() and file.stat().st_size > 50_000, "something is recorded")
        asked_s = time.monotonic()
        run.signal(signal.SIGTERM)
        table = run.says("latency p50", SOON_S)
        assert run.ends() == 0, run.said
    assert run.times_s[table] - asked_s < 2.0, "everything is final"
    assert is_whole(file) and len(pictures_of(file)) > 10


def test_a_recording_that_cannot_be_written_is_told_and_the_window_goes_on(server):
    """In a folder that takes no files."""
    with Live("--camera", COLOURS, folder="/proc", env=server.environment) as run:
        wait_for(lambda: has_keys(server, COLOURS), "the window has the keys", START_S)
        run.says("open (", SOON_S)
        server.keys("r", "s")
        run.says("vidcam: vidcam-", SOON_S)
        run.says("warning: the snapshot vidcam-", SOON_S)
        wait_for(lambda: not has_red_dot(padded(server.screenshot(COLOURS))), "no REC mark")
        server.keys("q")
        assert run.ends() == 5, run.said
    assert run.count("no such file") == 2 and "Traceback" not in run.said
