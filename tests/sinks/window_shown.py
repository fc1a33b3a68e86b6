"""A window as tests see it: pictures go in, colours of the display come out."""

import numpy as np
import pytest
from test_yuv import BT709, picture_of
from xvfb import wait_for

from vidcam.options import LiveOptions
from vidcam.sinks.window import Window
from vidcam.types import Frame, Prediction, Rect, Result, Score
from vidcam.view import View

# Top left, top right, bottom left, bottom right.
COLOURS = ((200, 40, 40), (40, 180, 60), (50, 70, 210), (180, 180, 180))
RED, GREEN, BLUE = (np.array(colour) for colour in COLOURS[:3])
SHOWN = tuple(
    Score(n, label, label, 0.5) for n, label in ((281, "tabby"), (282, "tiger cat"), (285, "lynx"))
)


class Shown:
    """A window with its view and sinks, and what it looks like."""

    def __init__(self, server, folder, names, lang="en"):
        options = LiveOptions(lang=lang)
        self.server = server
        self.view = View.of(options)
        self.window = Window(names, self.view, options, folder)
        self.sinks = [self.window.sink(n) for n in range(len(names))]

    def frame(self, picture, number=0, shown=SHOWN):
        whole = Rect(0, 0, picture.width, picture.height)
        prediction = Prediction(shown, shown, whole)
        self.sinks[number].frame(picture, Result(Frame(picture, "", 0, 0.0), prediction, 0.0))

    def until(self, ready, what):
        def polled():
            self.window.poll()
            return ready()

        wait_for(polled, what)

    def focused(self, title="vidcam"):
        self.until(lambda: title in self.server.active(), f"{title} has the keys")

    def inside(self):
        """The pixels inside the window's frame, (H, W, 3) RGB as int."""
        return self.server.screenshot("vidcam").astype(int)

    def at(self, *places):
        """Colours at places that are shares of the width and height."""
        pixels = self.inside()
        height, width = pixels.shape[:2]
        return [pixels[int(down * height), int(across * width)] for across, down in places]

    def until_colours(self, expected, *places, tolerance=6):
        seen = []

        def same():
            seen[:] = self.at(*places)
            return np.abs(np.array(seen) - np.array(expected)).max() <= tolerance

        try:
            self.until(same, "the colours")
        except pytest.fail.Exception:
            pytest.fail(f"seen {seen}, not {expected}")

    def press(self, *keys):
        self.server.keys(*keys)


def quarters(width=640, height=360, matrix=BT709, full=False):
    rgb = np.empty((height, width, 3))
    rgb[: height // 2, : width // 2], rgb[: height // 2, width // 2 :] = COLOURS[:2]
    rgb[height // 2 :, : width // 2], rgb[height // 2 :, width // 2 :] = COLOURS[2:]
    return picture_of(rgb, matrix, full)


def plain(rgb, width=320, height=180):
    return picture_of(np.broadcast_to(np.asarray(rgb, float), (height, width, 3)))


def middles(left=0.0, top=0.0, right=1.0, bottom=1.0):
    """The middles of the four quarters of a rectangle, in shares."""
    return [(left + (right - left) * a, top + (bottom - top) * b)
            for b in (0.25, 0.75) for a in (0.25, 0.75)]  # fmt: skip
