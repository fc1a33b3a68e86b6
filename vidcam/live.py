"""A run over live sources: each kept open by a Keeper, all through one classifier."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import av

from vidcam.drive import drive
from vidcam.errors import SourceError, SourceLost
from vidcam.feed import Feed
from vidcam.keeper import Keeper, Patience
from vidcam.options import LiveOptions
from vidcam.pipeline import Pipeline
from vidcam.policy import Policy
from vidcam.session import Session
from vidcam.sources import LiveSource, open_live
from vidcam.sources.capture import Capture
from vidcam.sources.clock import TIME_BASE, RunClock
from vidcam.sources.devices import path_of_device
from vidcam.sources.inputs import is_live_url, is_url
from vidcam.sources.live import SCREEN
from vidcam.station import Station
from vidcam.stats import SourceStats
from vidcam.types import Lost, RunStats
from vidcam.view import View

# Stopping is done within two seconds: the threads get what the sinks leave of it.
JOIN_S = 0.5
# A source that is gone at the end of `--duration` is waited for no longer than this.
OVERTIME_S = 1.0


def live_policy(cameras: int, options: LiveOptions) -> Policy:
    """The policy of `vidcam live`: at the sources' rate, every camera in one batch."""
    return Policy(wait_for_result=False, batch=cameras, every=options.classify_every or 1)


def check_devices(captures: Sequence[Capture]) -> None:
    """Raise SourceError at once when no source can be there: before a model is loaded."""
    failures = []
    for capture in captures:
        if is_url(capture.uri) or "://" in capture.uri or capture.uri == SCREEN:
            return
        if not capture.uri.isdigit() and Path(capture.uri).exists():
            return
        try:
            path = path_of_device(capture.uri)
        except SourceError as error:
            failures.append(error)
            continue
        if not path.startswith("/dev/") or _is_there(path):
            return
        failures.append(SourceError(f"camera {path}: no such camera (vidcam cameras lists them)"))
    if len(failures) == len(captures):
        raise failures[0]


def _is_there(device: str) -> bool:
    """Whether a device can be opened, or says more than that it is absent."""
    try:
        os.close(os.open(device, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)))
    except FileNotFoundError:
        return False
    except OSError:
        pass  # opening it for good says what is the matter
    return True


class LiveRun:
    """Live sources through one session. `view` is what the keys of a window set."""

    def __init__(self, session: Session, captures: Sequence[Capture], stats: Sequence[SourceStats],
                 options: LiveOptions, view: View | None = None) -> None:  # fmt: skip
        self.clock = RunClock()
        self._options = options
        self._opened = False
        self._refused: set[int] = set()
        self._keepers = []
        feeds = []
        for capture, counts in zip(captures, stats, strict=True):
            keeper = Keeper(
                partial(self._open, capture, itertools.count()), counts,
                self._patience(capture, view is not None), partial(self._refuse, capture.number),
            )  # fmt: skip
            geometry = session.geometry_of(capture.roi)
            self._keepers.append(keeper)
            feeds.append(Feed(keeper, counts, geometry, session.classifier, options))
        self.pipeline = Pipeline(feeds, session.classifier, options, session.policy, view)

    def run(self, stations: Sequence[Station], tick: Callable[[], bool]) -> RunStats:
        """Run until the sources end, `--duration` is over, `tick` says so or `stop` is called.

        Raises SourceError when no source could be opened, SourceLost when one was lost for good.
        """
        stats = drive(
            self.pipeline, stations, tick=lambda: tick() or self._is_late(), join_s=JOIN_S
        )
        lost = [keeper.lost for keeper in self._keepers if keeper.lost is not None]
        if lost:
            what = "source was" if len(self._keepers) == 1 else "sources were"
            raise SourceLost(f"{len(lost)} of {len(self._keepers)} {what} lost for good")
        return stats

    def stop(self, error: BaseException | None = None) -> None:
        """End soon, regularly without `error`; may be called from a signal handler."""
        self.pipeline.stop(error)

    def _open(
        self, capture: Capture, numbers: "itertools.count[int]", stop: threading.Event
    ) -> LiveSource:
        source = open_live(capture, self.clock, numbers, stop)
        self._opened = True
        return source

    def _patience(self, capture: Capture, has_window: bool) -> Patience:
        options = self._options
        at_start_s: float | None = None
        if not (is_live_url(capture.uri) or capture.uri.startswith("http")):
            at_start_s = 0.0
        elif has_window and options.reconnect is None:
            at_start_s = options.timeout
        return Patience(
            options.timeout, options.reconnect, at_start_s, options.duration, options.max_frames
        )

    def _refuse(self, number: int, error: Exception) -> bool:
        """A source could not be opened at the start: the run ends when none could."""
        self._refused.add(number)
        if self._opened or len(self._refused) < len(self._keepers):
            return False
        if isinstance(error, SourceLost):  # it broke off before its first picture
            error = SourceError(str(error))
        self.pipeline.stop(error)
        return True

    def _is_late(self) -> bool:
        if self._options.duration is None:
            return False
        first_s = [k.first_s for k in self._keepers if k.first_s is not None]
        last_s = max(first_s) if first_s else self._options.timeout
        now_s = time.monotonic() - self.clock.start_s
        return now_s > last_s + self._options.duration + OVERTIME_S


class Placeholder:
    """Pictures that say that a source is gone, on the run's clock; each is drawn once."""

    def __init__(self, draw: Callable[[int, int, Lost], av.VideoFrame], clock: RunClock) -> None:
        self._draw = draw
        self._clock = clock
        self._pictures: dict[tuple[str, int, int], tuple[Lost, av.VideoFrame]] = {}

    def __call__(self, width: int, height: int, lost: Lost) -> av.VideoFrame:
        """The placeholder of this size, its time now."""
        key = lost.source, width, height
        known = self._pictures.get(key)
        if known is None or known[0] != lost:
            known = lost, self._draw(width, height, lost)
            self._pictures[key] = known
        picture = known[1]
        picture.pts = round((time.monotonic() - self._clock.start_s) / TIME_BASE)
        picture.time_base = TIME_BASE
        return picture
