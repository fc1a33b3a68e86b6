"""A camera by OpenCV, for devices that FFmpeg does not understand."""

import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import av
import cv2

from vidcam.errors import SourceError, SourceLost
from vidcam.sources.capture import Capture
from vidcam.sources.causes import BROKEN_OFF, UNPLUGGED, sentence
from vidcam.sources.clock import TIME_BASE, ConnectionClock
from vidcam.sources.finish import Finisher, Run, believable_rate
from vidcam.sources.inputs import name_of
from vidcam.types import Frame, StreamInfo

if TYPE_CHECKING:
    from vidcam.sources import Item

BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_DSHOW}
PREFERRED = "MJPG"


class OpenCvSource:
    """The pictures of a camera, at the time when they arrive; no sound, no coded packets."""

    ends = False

    def __init__(self, capture: Capture, run: Run, path: str) -> None:
        """Open the device and read its first picture. Raises SourceError."""
        self.name = name_of(capture.uri)
        self.corrupt = 0
        self._capture, self._run, self._path = capture, run, path
        self._clock = ConnectionClock(run.clock)
        self._finisher = Finisher(capture, run)
        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_SILENT
        )  # its warnings would go to stderr past our log
        self._camera = cv2.VideoCapture(self._target(), BACKENDS.get(sys.platform, cv2.CAP_ANY))
        try:
            self._ask()
            self._waiting: list[Frame] = [self._frame()]
        except SourceLost as error:
            self.close()
            raise SourceError(str(error), cause=error.cause) from None
        first = self._waiting[0].picture
        rate = believable_rate(self._camera.get(cv2.CAP_PROP_FPS), capture.fps)
        self._finisher.duration = first.duration = round(1 / (rate * TIME_BASE))
        self.info = StreamInfo(
            self.name, self.name, first.width, first.height, rate, TIME_BASE, live=True
        )

    def __iter__(self) -> "Iterator[Item]":
        while self._waiting:
            yield self._waiting.pop()
        while not self._run.stop.is_set():
            yield self._frame()

    def close(self) -> None:
        """As `Source`."""
        self._camera.release()

    def _target(self) -> int | str:
        """What OpenCV opens: outside Linux it knows cameras by their number only."""
        return int(self._capture.uri) if sys.platform != "linux" and self._capture.uri.isdigit() \
            else self._path  # fmt: skip

    def _ask(self) -> None:
        wanted = (self._capture.format or PREFERRED).upper()
        if len(wanted) == 4:
            self._camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wanted))
        if self._capture.size is not None:
            self._camera.set(cv2.CAP_PROP_FRAME_WIDTH, self._capture.size[0])
            self._camera.set(cv2.CAP_PROP_FRAME_HEIGHT, self._capture.size[1])
        if self._capture.fps is not None:
            self._camera.set(cv2.CAP_PROP_FPS, float(self._capture.fps))

    def _frame(self) -> Frame:
        read, bgr = self._camera.read()
        arrival_s = time.monotonic()
        if not read:
            cause = BROKEN_OFF if self._still_there() else UNPLUGGED
            words = sentence(cause, self._capture.timeout_s)
            raise SourceLost(f"camera {self._path}: {words}", cause=cause)
        picture = av.VideoFrame.from_ndarray(bgr, "bgr24")
        return self._finisher.frame(picture, self._clock.frame_pts(None, arrival_s), arrival_s)

    def _still_there(self) -> bool:
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_NONBLOCK))
        except OSError:
            return False
        return True
