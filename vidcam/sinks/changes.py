"""Which label changes of a live source count: those that hold."""

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from vidcam.types import Result, Score

# Frame times are fractions: 0.5 s of them may come out as 0.4999999.
TIME_SLACK_S = 1e-6


@dataclass(frozen=True, slots=True)
class Event:
    """A label that has taken the place of another and held.

    `time_s`, `frame` and `wall_s` (of `time.time`) say when it began, `confirmed_s` when it had
    held for long enough. `before` is None for a source's first label; its score is its last one,
    that of `after` the one at the confirmation. `snapshots` is None when none were asked for.
    """

    source: str
    time_s: float
    confirmed_s: float
    wall_s: float
    frame: int
    before: Score | None
    after: Score
    snapshots: dict[str, str | None] | None = None

    def as_record(self) -> dict[str, Any]:
        """The form of the JSON records."""
        time = datetime.fromtimestamp(self.wall_s).astimezone()
        record = {
            "source": self.source,
            "time_s": round(self.time_s, 6),
            "confirmed_s": round(self.confirmed_s, 6),
            "time": time.isoformat(timespec="milliseconds"),
            "before": self.before and self.before.as_record(),
            "after": self.after.as_record(),
            "frame": self.frame,
        }
        return record if self.snapshots is None else record | {"snapshots": self.snapshots}


class Hold:
    """Tells which labels of one source count: those that hold for `confirm_s` of frame time."""

    def __init__(self, source: str, confirm_s: float) -> None:
        self._source, self._confirm_s = source, confirm_s
        self.label: Score | None = None  # the one that counts, None before the first
        self._before: Score | None = None
        self._coming: Event | None = None
        self._seen_s = 0.0
        self._gone = False

    def lost(self) -> None:
        """The source has gone."""
        self._gone = True

    def __call__(self, result: Result) -> Event | None:
        """The event that a result confirms."""
        score, time_s = top_of(result), result.frame.time_s
        if self._gone:
            self._gone = False
            if time_s - self._seen_s > self._confirm_s:
                # What was there meanwhile nobody saw: the next label counts anew.
                self.label = self._coming = None
        self._seen_s = time_s
        if score is None:
            self._coming = None
            return None
        if self.label and score.index == self.label.index:
            self.label = self._before = score
            self._coming = None
            return None
        if self._coming is None or self._coming.after.index != score.index:
            wall_s = time.time() - (time.monotonic() - result.frame.captured_s)
            self._coming = Event(
                self._source, time_s, time_s, wall_s, result.frame.index, self._before, score
            )
        if time_s - self._coming.time_s < self._confirm_s - TIME_SLACK_S:
            return None
        event = replace(self._coming, confirmed_s=time_s, after=score)
        self.label = self._before = score
        self._coming = None
        return event


def top_of(result: Result) -> Score | None:
    """The label that counts of a result; "unknown" is one."""
    shown = result.prediction.shown
    return shown[0] if shown else None
