"""The time of a live source: its own time stamps, anchored to when its pictures arrive.

Streams count from anywhere, begin anew, jump and drift, and some have no time stamps at all; the
time of a run only goes forwards. Everything here is arithmetic on the times that it is given.
"""

import time
from dataclasses import dataclass, field
from fractions import Fraction

TIME_BASE = Fraction(1, 90_000)
# Time stamps that go back further, or are further behind, are a clock that began anew.
BACK_S, LAG_S = 1.0, 5.0
# A network that stalled delivers what it held in a rush; who stays this far behind for so long has
# a clock that stood still.
BEHIND_S, BEHIND_FOR_S = 1.0, 2.0
# A clock that runs slower than ours is followed with this time constant; the network's jitter,
# which comes and goes, then moves the time by less than a tenth of itself a second.
FOLLOW_S = 10.0
# Sound and coded packets move only when the pictures' clock has moved so far: players hear steps.
HOLD_S = 0.03
# What is played in real time and is later than this has lost its place: it goes on from now.
LARGEST_DEBT_S = 1.0


@dataclass(frozen=True, slots=True)
class RunClock:
    """When a run began: `start_s` of `time.monotonic`, `wall_start_s` of `time.time`."""

    start_s: float = field(default_factory=time.monotonic)
    wall_start_s: float = field(default_factory=time.time)

    def wall_s(self, run_s: float) -> float:
        """The wall-clock time of a time of the run."""
        return self.wall_start_s + run_s


class ConnectionClock:
    """Turns the time stamps of one connection into ticks of TIME_BASE since the run's start.

    A picture is never in the future, so the one that arrives with the least delay sets the anchor:
    what a server sends at once from its memory is moved back to when it came.
    """

    def __init__(self, run: RunClock) -> None:
        self._start_s = run.start_s
        self._offset_s: float | None = None
        self._held_s: float | None = None
        self._stamp_s: float | None = None
        self._arrival_s = run.start_s
        self._behind_since_s: float | None = None
        self._last_pts: int | None = None

    def anchor(self, stamp_s: float, arrival_s: float) -> None:
        """From now on `stamp_s` of the stream is `arrival_s` of `time.monotonic`."""
        self._offset_s = arrival_s - self._start_s - stamp_s

    def frame_pts(self, stamp_s: float | None, arrival_s: float) -> int:
        """The time of a picture, always after the one before.

        `stamp_s` is its time stamp in seconds, None when it has none or none that can be believed.
        """
        if stamp_s is None:
            time_s = arrival_s - self._start_s
        else:
            time_s = self._followed(stamp_s, arrival_s) + stamp_s
        pts = round(time_s / TIME_BASE)
        if self._last_pts is not None:
            pts = max(pts, self._last_pts + 1)
        self._last_pts = pts
        return pts

    def packet_offset_s(self, stamp_s: float | None, arrival_s: float) -> float:
        """What makes a packet's time stamp, in seconds, a time of the run, as its frames'."""
        if self._offset_s is None:
            if stamp_s is None:
                return arrival_s - self._start_s
            self.anchor(stamp_s, arrival_s)
        offset_s = self._offset_s or 0.0
        if self._held_s is None or abs(offset_s - self._held_s) > HOLD_S:
            self._held_s = offset_s
        return self._held_s

    def _followed(self, stamp_s: float, arrival_s: float) -> float:
        """The offset, brought up to date with a picture."""
        newest_s = arrival_s - self._start_s - stamp_s  # the offset that puts it at its arrival
        lag_s = 0.0 if self._offset_s is None else newest_s - self._offset_s
        if lag_s <= BEHIND_S:
            self._behind_since_s = None
        elif self._behind_since_s is None:
            self._behind_since_s = arrival_s
        since_s = self._behind_since_s
        stood = since_s is not None and arrival_s - since_s > BEHIND_FOR_S
        last_s = stamp_s if self._stamp_s is None else self._stamp_s
        back = stamp_s < last_s - BACK_S
        if self._offset_s is None or back or stood or lag_s > LAG_S or lag_s < 0:
            self._offset_s, self._behind_since_s = newest_s, None
        else:
            # While it is held up, and in the rush that follows, one of the two hardly moves.
            elapsed_s = max(0.0, min(arrival_s - self._arrival_s, stamp_s - last_s))
            self._offset_s += lag_s * min(1.0, elapsed_s / FOLLOW_S)
        self._stamp_s, self._arrival_s = stamp_s, arrival_s
        return self._offset_s


class Pacer:
    """When each picture of a recording is due that is played in real time."""

    def __init__(self) -> None:
        self._base_s: float | None = None

    def due_s(self, media_s: float, now_s: float) -> tuple[float, bool]:
        """When (`time.monotonic`) the picture at `media_s` is due, and whether it begins anew.

        It begins anew at the first picture, and when playing is too late to catch up.
        """
        if self._base_s is None or now_s - self._base_s - media_s > LARGEST_DEBT_S:
            self._base_s = now_s - media_s
            return now_s, True
        return self._base_s + media_s, False
