"""Live sources made of numbered pictures, for tests of what is built on them."""

import itertools
import threading
import time
from fractions import Fraction

import av
import numpy as np

from vidcam.errors import SourceLost
from vidcam.types import Frame, StreamInfo

CLOCK = Fraction(1, 90_000)


def info_of(name="camera", size=(64, 48), rate=30):
    """What a live source of this size and rate says of itself."""
    return StreamInfo(name, name, *size, Fraction(rate), CLOCK, live=True)


def numbered(index, size=(64, 48), time_s=0.0):
    """A grey yuv420p picture whose luma is its number modulo 200, at a time."""
    picture = av.VideoFrame(*size, "yuv420p")
    for plane, level in zip(picture.planes, (index % 200 + 20, 128, 128), strict=True):
        plane.update(np.full(plane.buffer_size, level, np.uint8).tobytes())
    picture.pts, picture.time_base = round(time_s / CLOCK), CLOCK
    return picture


class Ticking:
    """Numbered pictures at a rate, on the clock that begins at `start_s`.

    It ends after `count` pictures, by `failure` where one is given; `freezes` makes it silent for
    ever instead. `at_once` gives them without waiting.
    """

    def __init__(self, start_s, count=None, *, rate=30, size=(64, 48), ends=False, failure=None,
                 freezes=False, at_once=False, numbers=None, name="camera"):  # fmt: skip
        self.info, self.corrupt, self.ends, self.closed = info_of(name, size, rate), 0, ends, False
        self._start_s, self._count, self._rate, self._size = start_s, count, rate, size
        self._failure, self._freezes, self._at_once = failure, freezes, at_once
        self._numbers = numbers or itertools.count()
        self._never = threading.Event()

    def __iter__(self):
        first_s = time.monotonic()
        for n in itertools.count() if self._count is None else range(self._count):
            due_s = first_s + n / self._rate
            if not self._at_once:
                self._never.wait(max(0.0, due_s - time.monotonic()))
            now_s = due_s if self._at_once else time.monotonic()
            picture = numbered(n, self._size, now_s - self._start_s)
            yield Frame(picture, self.info.name, next(self._numbers), time.monotonic())
        if self._freezes:
            self._never.wait(60)
        if self._failure:
            raise self._failure

    def release(self):
        """End what `freezes` has begun."""
        self._never.set()

    def close(self):
        self.closed = True


def lost(cause):
    """The error of a source that broke off."""
    return SourceLost(f"camera: {cause}", cause=cause)
