"""The window under a real X server: what it shows where, its beginning and its end."""

import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
from test_yuv import BT709, SMPTE170M
from window_shown import BLUE, COLOURS, GREEN, RED, middles, plain, quarters
from xvfb import wait_for

from vidcam.errors import OutputError
from vidcam.options import LiveOptions
from vidcam.overlays.status import NoSignal
from vidcam.sinks.window import Window, display_problem, has_display
from vidcam.types import StreamInfo
from vidcam.view import View


def test_the_picture_fills_the_window_with_its_own_colours(opened):
    shown = opened("front door")
    shown.frame(quarters())
    shown.until_colours(COLOURS, *middles())
    assert shown.server.windows() == ["vidcam — front door"]
    pixels = shown.inside()
    assert pixels.shape == (540, 960, 3)
    edge = np.abs(pixels[:, 479].astype(int) - pixels[:, 481]).sum(axis=1)
    assert (edge > 60).all(), "the quarters meet in the middle"


def test_each_matrix_and_range_is_shown_right_side_by_side(opened):
    kinds = [(BT709, False), (BT709, True), (SMPTE170M, False), (SMPTE170M, True)]
    shown = opened("a", "b", "c", "d")
    for number, kind in enumerate(kinds):
        shown.frame(quarters(matrix=kind[0], full=kind[1]), number)
    cells = [(0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)]
    places = [place for cell in cells for place in middles(*cell)]
    shown.until_colours(COLOURS * 4, *places)


def test_the_kind_and_the_size_of_the_pictures_may_change(opened):
    shown = opened()
    shown.frame(quarters())
    shown.until_colours(COLOURS, *middles())
    shown.frame(quarters(320, 180, SMPTE170M, full=True))
    shown.until_colours(COLOURS, *middles())
    shown.frame(quarters(360, 360))
    side = (960 - 540) / 2 / 960
    shown.until_colours(COLOURS, *middles(side, 0, 1 - side, 1))


@pytest.mark.parametrize("size", [(700, 650), (1200, 300)])
def test_another_window_size_keeps_the_aspect(opened, size):
    shown = opened()
    shown.frame(quarters())
    shown.focused()
    shown.server.resize_window("vidcam", *size)
    shown.until(lambda: shown.inside().shape[:2] == size[::-1], "the new size")
    width, height = min(size[0], size[1] * 16 / 9), min(size[1], size[0] * 9 / 16)
    left, top = (1 - width / size[0]) / 2, (1 - height / size[1]) / 2
    shown.until_colours(COLOURS, *middles(left, top, 1 - left, 1 - top))
    coloured = shown.inside().max(axis=2) > 30
    rows, columns = np.flatnonzero(coloured.any(axis=1)), np.flatnonzero(coloured.any(axis=0))
    assert abs(len(rows) - height) <= 2 and abs(len(columns) - width) <= 2
    assert abs(rows[0] - top * size[1]) <= 2 and abs(columns[0] - left * size[0]) <= 2


def test_a_large_picture_opens_a_window_that_fits_the_screen(opened):
    shown = opened()
    shown.frame(quarters(3840, 2160))
    shown.until_colours(COLOURS, *middles())
    height, width = shown.inside().shape[:2]
    assert 1000 < width <= 0.9 * 1280 and width / height == pytest.approx(16 / 9, rel=0.01)


def test_pixels_that_are_not_square_are_shown_as_they_are_meant(opened):
    shown = opened()
    info = StreamInfo("", "", 720, 576, Fraction(25), Fraction(1, 25),
                      sample_aspect_ratio=Fraction(64, 45))  # fmt: skip
    shown.sinks[0].open(info)
    shown.frame(quarters(720, 576))
    shown.until_colours(COLOURS, *middles())
    height, width = shown.inside().shape[:2]
    assert width / height == pytest.approx(16 / 9, rel=0.01)


def test_no_signal_is_shown_in_the_place_of_the_picture(ready):
    ready.until_colours([RED], (0.5, 0.5))
    ready.sinks[0].gap(NoSignal(LiveOptions())(320, 180, "door", "timeout", time.time()))
    ready.until(lambda: ready.inside().max(axis=2)[:50].max() < 40, "the dark picture")
    assert (ready.inside().max(axis=2) > 150).mean() > 0.01


def test_a_window_without_a_picture_comes_up_and_can_be_closed(opened):
    shown = opened("front door")
    shown.until(shown.server.windows, "the window")
    shown.until(lambda: 0.0005 < (shown.inside().max(axis=2) > 150).mean() < 0.2, "its text")
    shown.focused()
    shown.press("q")
    shown.until(lambda: shown.view.quit, "q")


def test_tab_goes_through_the_cameras_and_back_to_all(opened):
    shown = opened("one", "two", "three")
    for number, colour in enumerate((RED, GREEN, BLUE)):
        shown.frame(plain(colour), number)
    shown.focused()
    below = (0.5, 0.7)
    everything = [RED, GREEN, BLUE], (0.25, 0.25), (0.75, 0.25), below
    shown.until_colours(*everything)
    for title, colour in (("one", RED), ("two", GREEN), ("three", BLUE)):
        shown.press("Tab")
        shown.until_colours([colour] * 3, (0.1, 0.2), (0.9, 0.2), (0.1, 0.9))
        assert shown.server.windows() == [f"vidcam — {title}"]
    shown.press("Tab")
    shown.until_colours(*everything)
    assert shown.server.windows() == ["vidcam — one, two, three"]


def test_a_camera_that_was_hidden_shows_its_new_pictures(opened):
    shown = opened("one", "two")
    shown.frame(plain(RED), 0)
    shown.frame(plain(GREEN), 1)
    shown.focused()
    shown.press("Tab", "Tab")
    shown.until_colours([GREEN], (0.5, 0.5))
    shown.frame(plain(BLUE), 0)
    shown.press("Tab", "Tab")
    shown.until(lambda: shown.server.windows() == ["vidcam — one"], "the first camera alone")
    shown.frame(plain(BLUE), 0)
    shown.until_colours([BLUE], (0.5, 0.5))


def test_a_display_that_is_there_is_found(display):
    assert has_display() and display_problem() is None


def test_without_a_display_there_is_no_window(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_display() and "DISPLAY" in display_problem()
    with pytest.raises(OutputError, match=r"the window cannot open: .*DISPLAY"):
        Window(["door"], View.of(LiveOptions()), LiveOptions())


def test_a_display_that_is_gone_is_none(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":9876")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_display()
    with pytest.raises(OutputError, match="the window cannot open: the display"):
        Window(["door"], View.of(LiveOptions()), LiveOptions())


@pytest.mark.parametrize("driver", ["offscreen", "dummy"])
def test_a_driver_that_shows_nothing_is_no_display(display, monkeypatch, driver):
    monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    assert not has_display() and driver in display_problem()


WITH_TRITON = """
import importlib.util
from vidcam.options import LiveOptions
from vidcam.sinks.window import Window
from vidcam.view import View

Window(["door"], View.of(LiveOptions()), LiveOptions()).poll()
with open("/proc/self/maps") as file:
    print("LLVM" in file.read())
if importlib.util.find_spec("triton"):
    import triton
"""


@pytest.mark.parametrize("driver", ["", "opengl"])
def test_the_window_and_triton_live_in_one_process(display, root, driver):
    environment = {**display.environment, "SDL_RENDER_DRIVER": driver}
    done = subprocess.run(
        [sys.executable, "-c", WITH_TRITON], env=environment, cwd=root, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert driver or done.stdout.strip() == "False", "OpenGL comes only when it is asked for"


def test_closing_takes_the_window_away_and_what_follows_is_harmless(ready):
    ready.window.close()
    wait_for(lambda: not ready.server.windows(), "the window is gone")
    ready.window.close()
    ready.window.poll()
    ready.frame(plain(GREEN))
    ready.sinks[0].close()


def test_nothing_waits_and_nothing_is_drawn_too_often(ready):
    ready.until_colours([RED], (0.5, 0.5))
    drawn = []
    present = ready.window._screen.present
    ready.window._screen.present = lambda: (drawn.append(time.monotonic()), present())
    longest, start = 0.0, time.monotonic()
    while time.monotonic() - start < 0.5:
        ready.frame(plain(GREEN, 64, 36))
        before = time.monotonic()
        ready.window.poll()
        longest = max(longest, time.monotonic() - before)
    assert 5 <= len(drawn) <= 31 and longest < 0.3
    drawn.clear()
    for _ in range(200):
        ready.window.poll()
    assert len(drawn) <= 1, "without news nothing is drawn"


def test_no_memory_is_kept_from_picture_to_picture(ready):
    def resident_bytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    def show(count):
        for number in range(count):
            size = (640, 360) if number % 20 else (320, 180)
            ready.frame(plain(RED, *size) if number % 20 == 0 else picture)
            ready.window._dirty = True
            ready.window._presented_s = 0.0
            ready.window.poll()

    picture = plain(GREEN, 640, 360)
    show(60)
    before = resident_bytes()
    show(200)
    assert resident_bytes() - before < 10_000_000
