"""Keeps one live source open: opens it, watches it, and opens it again when it has gone.

Opening and reading happen in a thread of their own for each connection, because FFmpeg can hang in
both: a connection that gives nothing for too long is left behind as a daemon, and what it gives
later is thrown away.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import av

from vidcam.channel import Closed
from vidcam.errors import SourceError, SourceLost
from vidcam.feed import Accept, Timed
from vidcam.pauses import GOOD_AFTER_S, pause_s
from vidcam.sources import Item, LiveSource
from vidcam.sources.causes import NOT_FOUND, UNPLUGGED, cause_of
from vidcam.stats import SourceStats
from vidcam.types import Changed, Frame, Lost, StreamInfo

log = logging.getLogger("vidcam")

# FFmpeg has time-outs of its own; it is left behind when they do not help.
GRACE_S = 1.0
STEP_S = 0.1
# At the end a connection gets so long to close its source.
LAST_WORD_S = 0.3
MOST_ABANDONED = 2
# What tells of a source that is not there. Else, before its first picture, it is a fault of ours.
COMES_AND_GOES = (SourceError, SourceLost, OSError, av.FFmpegError)
END_OF_STREAM = "end of stream"


Open = Callable[[threading.Event], LiveSource]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a source is waited for.

    `timeout_s` of silence is a loss. `tries` in a row are made (None: for ever). `at_start_s` is
    how long a source is tried that has never been open: 0 gives up at the first failure, None is
    as for later losses. `duration_s` and `frames` end it.
    """

    timeout_s: float = 10.0
    tries: int | None = None
    at_start_s: float | None = None
    duration_s: float | None = None
    frames: int | None = None


class Keeper:
    """The Reader of a live source. `refused` is told when it could not be opened at the start."""

    def __init__(
        self, open_source: Open, stats: SourceStats, patience: Patience,
        refused: Callable[[Exception], bool],
    ) -> None:  # fmt: skip
        self.corrupt = 0
        self.lost: SourceLost | None = None
        self._open = open_source
        self._stats = stats
        self._patience = patience
        self._refused = refused
        self._stop = threading.Event()
        self._abandoned: list[Connection] = []
        self.first_s: float | None = None
        self._frames = 0
        self._finished = False

    def run(self, accept: Accept, timed: Timed) -> None:
        """As `Reader`. Raises UsageError, and SourceError through `refused`."""
        del timed  # a live source is waited for, which is no work
        self._accept = accept
        start_s = time.monotonic()
        tries = 0
        said = ""
        while not self._stop.is_set():
            connection = Connection(self._open, self._take, self._stop)
            failure = self._watch(connection)
            self.corrupt += connection.corrupt
            if failure is None or self._stop.is_set():
                return
            if isinstance(failure, Closed):
                return
            if self.first_s is None and not isinstance(failure, COMES_AND_GOES):
                raise failure
            if not isinstance(failure, Exception):
                raise failure
            log.debug("%s: lost", self._stats.name, exc_info=failure)
            if connection.ends:
                self._give_up(failure, "")
                return
            tries = 1 if connection.lasted_s > GOOD_AFTER_S else tries + 1
            cause = getattr(failure, "cause", "") or cause_of(failure)
            if cause == NOT_FOUND and said == UNPLUGGED:
                cause = said  # a camera without its plug is not found: no news
            if self.first_s is None and self._is_over(start_s, tries) and self._refused(failure):
                return
            if connection.lasted_s or cause != said:
                self._say_lost(failure, cause, again=not self._out_of_tries(tries))
                said = cause
            if self._out_of_tries(tries):
                count = self._patience.tries
                self._give_up(failure, f" after {count} {'try' if count == 1 else 'tries'}")
                return
            del failure, connection
            self._stop.wait(self._pause_s(start_s, tries))
            while sum(not one.over.is_set() for one in self._abandoned) >= MOST_ABANDONED:
                # What hangs for ever holds a thread each time: it is asked no more until it ends.
                if self._stop.wait(STEP_S):
                    return

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def close(self, ended: bool) -> None:
        """As `Reader`. The connection's own thread closes its source."""
        self._stop.set()

    def _watch(self, connection: "Connection") -> BaseException | None:
        """Wait for the end of a connection; None is the end for good."""
        silent_s = self._patience.timeout_s + GRACE_S
        while not connection.over.wait(STEP_S):
            if self._stop.is_set():
                connection.over.wait(LAST_WORD_S)
                return None
            if not connection.ends and time.monotonic() - connection.heard_s > silent_s:
                connection.abandon()
                self._abandoned = [c for c in self._abandoned if not c.over.is_set()]
                self._abandoned.append(connection)
                return SourceLost(
                    f"{self._stats.name}: silent for {self._patience.timeout_s:g} s",
                    cause="timeout",
                )
        if self._finished:
            return None
        failure, connection.failure = connection.failure, None
        if failure is not None:
            # Its traceback holds the connection: in a circle they would keep the source's threads
            # and memory until garbage is looked for, which with so much in memory is seldom.
            return failure
        if connection.ends:
            return None
        return SourceLost(f"{self._stats.name}: {END_OF_STREAM}", cause=END_OF_STREAM)

    def _take(self, connection: "Connection", item: Item | Changed) -> None:
        """Hand on what a connection gives. Raises Closed when nobody wants it any more."""
        if isinstance(item, Changed):
            self._say_open(item.info)
        elif isinstance(item, Frame):
            if self.first_s is None:
                self.first_s = item.time_s
            duration_s, frames = self._patience.duration_s, self._patience.frames
            late = duration_s is not None and item.time_s >= self.first_s + duration_s - 1e-6
            self._frames += 1
            self._finished = late or self._frames == frames
            if late:
                raise Closed
        if item.source != self._stats.name:  # two cameras may have one name
            item = replace(item, source=self._stats.name)
        self._accept(item)
        if self._finished:
            raise Closed

    def _pause_s(self, start_s: float, tries: int) -> float:
        limit_s = self._patience.at_start_s
        if self.first_s is not None or limit_s is None:
            return pause_s(tries)
        return min(pause_s(tries), max(STEP_S, start_s + limit_s - time.monotonic()))

    def _is_over(self, start_s: float, tries: int) -> bool:
        limit_s = self._patience.at_start_s
        if limit_s is None:
            return self._out_of_tries(tries)
        return time.monotonic() - start_s >= limit_s

    def _out_of_tries(self, tries: int) -> bool:
        return self._patience.tries is not None and tries > self._patience.tries

    def _say_open(self, info: StreamInfo) -> None:
        stats = self._stats
        size = f"{info.width}x{info.height}, {float(info.rate):.3g} fps"
        log.info("%s: %s (%s)", stats.name, "back" if stats.connections else "open", size)
        stats.connections += 1
        stats.state = "open"

    def _say_lost(self, failure: BaseException, cause: str, again: bool) -> None:
        why = _without_name(failure, self._stats)
        log.warning("%s: %s%s", self._stats.name, why, "; trying again" if again else "")
        if self._stats.state != "lost":
            self._lost_since_s = time.time()
        self._stats.state = "lost"
        self._accept(Lost(self._stats.name, cause, self._lost_since_s))

    def _give_up(self, failure: BaseException, when: str) -> None:
        self.lost = SourceLost(
            f"{self._stats.name}: lost for good{when}: {_without_name(failure, self._stats)}"
        )
        log.error("%s", self.lost)
        self._stats.state = "lost for good"


@dataclass
class Connection:
    """One opening of a source, in a thread of its own, which closes it."""

    open_source: Open
    take: Callable[["Connection", Item | Changed], None]
    stop: threading.Event
    failure: BaseException | None = None
    ends: bool = False
    corrupt: int = 0
    heard_s: float = field(default_factory=time.monotonic)
    opened_s: float | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._abandoned = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True, name="vidcam-connection")
        self.thread.start()

    @property
    def lasted_s(self) -> float:
        """How long it has delivered; 0 when it was never open."""
        return 0.0 if self.opened_s is None else max(1e-3, self.heard_s - self.opened_s)

    def abandon(self) -> None:
        """Want nothing more of it."""
        self._abandoned.set()

    def _run(self) -> None:
        try:
            source = self.open_source(self.stop)
            try:
                self._read(source)
            finally:
                self.corrupt = source.corrupt
                source.close()
        except Closed as error:
            self.failure = error
        except BaseException as error:  # noqa: BLE001 - looked at by the keeper
            self.failure = error
        finally:
            self.over.set()

    def _read(self, source: LiveSource) -> None:
        self.ends = source.ends
        self.heard_s = self.opened_s = time.monotonic()
        self._hand_on(Changed(source.info.name, source.info))
        for item in source:
            self.heard_s = time.monotonic()
            self._hand_on(item)
            if self.stop.is_set():
                raise Closed

    def _hand_on(self, item: Item | Changed) -> None:
        if self._abandoned.is_set():
            raise Closed
        self.take(self, item)


def _without_name(failure: BaseException, stats: SourceStats) -> str:
    """The sentence without the source's name or address, which the line begins with."""
    subject, colon, rest = str(failure).partition(": ")
    return rest if colon and stats.name.partition(" #")[0] in subject else str(failure)
