"""A run's side of live sources, for their tests: its clock, its numbers, and what came."""

import itertools
import threading
import time
from contextlib import contextmanager

from vidcam.errors import SourceLost
from vidcam.sources import open_live
from vidcam.sources.capture import Capture
from vidcam.sources.clock import RunClock
from vidcam.types import AudioPacket, CodedPacket, Frame

# A camera that works gives its pictures long before.
DEADLINE_S = 20.0


class LiveRun:
    """One run: connections are opened one after the other on the same clock."""

    def __init__(self) -> None:
        self.clock = RunClock()
        self.stop = threading.Event()
        self._numbers = itertools.count()

    @contextmanager
    def source(self, uri, **wanted):
        """An opened source; closed in the end."""
        source = open_live(Capture(str(uri), **wanted), self.clock, self._numbers, self.stop)
        try:
            yield source
        finally:
            source.close()

    def take(self, uri, count, **wanted):
        """What comes until `count` frames have come, and the source's info."""
        with self.source(uri, **wanted) as source:
            return Taken(source, count)

    @property
    def now_s(self) -> float:
        """The time of the run."""
        return time.monotonic() - self.clock.start_s


class Taken:
    """What a source gave: `frames`, `sounds`, `coded`, and `lost`, the error that ended it."""

    def __init__(self, source, count=10**9) -> None:
        self.info = source.info
        self.frames, self.sounds, self.coded = [], [], []
        self.lost, self.ended = None, False
        self._sorted = {Frame: self.frames, AudioPacket: self.sounds, CodedPacket: self.coded}
        until_s = time.monotonic() + DEADLINE_S
        try:
            for item in source:
                self._sorted[type(item)].append(item)
                if len(self.frames) >= count:
                    return
                assert time.monotonic() < until_s, f"only {len(self.frames)} frames"
            self.ended = True
        except SourceLost as error:
            self.lost = error

    @property
    def times_s(self) -> list[float]:
        """The times of the frames."""
        return [frame.time_s for frame in self.frames]

    @property
    def steps_s(self) -> list[float]:
        """From each frame to the next."""
        return [later - one for one, later in zip(self.times_s, self.times_s[1:], strict=False)]
