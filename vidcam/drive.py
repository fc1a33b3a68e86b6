"""The caller's loop: composes every result and hands it, and all else of its source, to the sinks.

For `file` an error of a sink ends the run. For `live` it ends that sink with one sentence, and the
others go on.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import av

from vidcam import yuv
from vidcam.errors import OutputError
from vidcam.feed import Feed
from vidcam.pipeline import JOIN_S, TICK_S, Classified, Given, Pipeline
from vidcam.sinks import Sink
from vidcam.types import AudioPacket, Changed, CodedPacket, Lost, Result, RunStats, StreamInfo

log = logging.getLogger("vidcam")

# A sink that takes longer to close, on a disk that hangs, is left behind.
CLOSE_S = 10.0
# While a source is gone its placeholder is shown so often.
GAP_EVERY_S = 0.2
# The placeholder's size for a source that has shown nothing yet.
UNKNOWN_SIZE = 1280, 720


class Composes(Protocol):
    """Draws a result into its own picture, which is used up, or into a new one."""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The composed picture's size for a source of this size."""
        ...

    def __call__(self, result: Result) -> av.VideoFrame:
        """The composed picture."""
        ...


@dataclass
class Group:
    """Sinks that take the same composed pictures; `compose` None gives them as captured."""

    compose: Composes | None
    sinks: list[Sink] = field(default_factory=list)


NoSignal = Callable[[int, int, Lost], av.VideoFrame]


class Closing:
    """The end of one sink, and what it raised."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.failure: BaseException | None = None

    def close(self, error: BaseException | None) -> None:
        """Close the sink."""
        try:
            self.sink.close(error)
        except BaseException as failure:  # noqa: BLE001 - looked at when all are closed
            self.failure = failure


class Station:
    """Where everything of one feed arrives; `no_signal` makes what is shown while it is gone."""

    def __init__(self, feed: Feed, groups: Sequence[Group], no_signal: NoSignal | None = None,
                 isolate: bool = False) -> None:  # fmt: skip
        self.feed = feed
        self.groups = list(groups)
        self.failed: OutputError | None = None
        self._no_signal = no_signal
        self._isolate = isolate
        self._info: StreamInfo | None = None
        self._lost: Lost | None = None
        self._gap_s = 0.0

    @property
    def sinks(self) -> list[Sink]:
        """All sinks."""
        return [sink for group in self.groups for sink in group.sinks]

    def add(self, group: Group, sink: Sink) -> None:
        """Let a sink take part from now on."""
        group.sinks.append(sink)
        if self._info is not None:
            info = self._composed(group, self._info)
            self._each([sink], lambda one: one.open(info))

    def remove(self, group: Group, sink: Sink) -> None:
        """Close a sink and let it go."""
        group.sinks.remove(sink)
        self._each([sink], lambda one: one.close())

    def take(self, item: Given, pipeline: Pipeline) -> None:
        """Hand one item to the sinks that it is for."""
        if isinstance(item, Result):
            self._frame(item, pipeline)
        elif isinstance(item, AudioPacket):
            self._each(self.sinks, lambda sink: sink.audio(item))
        elif isinstance(item, CodedPacket):
            self._each(self.sinks, lambda sink: sink.coded(item))
        elif isinstance(item, Classified):
            self._each(self.sinks, lambda sink: sink.classified(item.result))
        elif isinstance(item, Changed):
            self._changed(item.info)
        else:
            self._lost = item
            self.feed.latest = self.feed.shown = None
            self._each(self.sinks, lambda sink: sink.lost(item.cause))

    def tick(self) -> None:
        """Let time pass; while the source is gone, its placeholder is shown."""
        self._each(self.sinks, lambda sink: sink.tick())
        now_s = time.monotonic()
        if self._lost is None or self._no_signal is None or now_s - self._gap_s < GAP_EVERY_S:
            return
        self._gap_s = now_s
        for group in self.groups:
            size = UNKNOWN_SIZE
            if self._info is not None:
                composed = self._composed(group, self._info)
                size = composed.width, composed.height
            for sink in group.sinks:
                self._each([sink], self._show_gap(*size, self._lost))

    def close(self, error: BaseException | None = None) -> BaseException | None:
        """Close every sink, whatever another's close raises; gives the first failure.

        Live sinks are closed beside each other, so that a slow one does not make the end late.
        """
        closing = [Closing(sink) for sink in self.sinks]
        raised: BaseException | None = None
        if self._isolate:
            threads = [threading.Thread(target=one.close, args=(error,)) for one in closing]
            for thread in threads:
                thread.daemon = True
                thread.start()
            until_s = time.monotonic() + CLOSE_S
            for thread in threads:
                thread.join(max(0.0, until_s - time.monotonic()))
        for one in closing:
            if not self._isolate:
                one.close(error or raised)
            else:
                self.feed.stats.undelivered += one.sink.undelivered
            raised = raised or one.failure
        for group in self.groups:
            group.sinks.clear()
        if self._isolate and isinstance(raised, OutputError):
            for failure in filter(None, (one.failure for one in closing)):
                log.error("%s", failure)
            self.failed = self.failed or raised
            return None
        return raised

    def _frame(self, result: Result, pipeline: Pipeline) -> None:
        original = result.frame.picture
        drawing = [group for group in self.groups if group.sinks and group.compose]
        for group in self.groups:
            if not group.sinks:
                continue
            own = result
            if group.compose and group is not drawing[-1]:
                own = replace(result, frame=replace(result.frame, picture=yuv.copy(original)))
            with pipeline.timed("draw"):
                picture = group.compose(own) if group.compose else original
            with pipeline.timed("encode"):
                self._each(group.sinks, lambda sink, p=picture: sink.frame(p, result))  # type: ignore[misc]
        stats = self.feed.stats
        stats.written += 1
        stats.drawn.add()
        stats.latency.add(time.monotonic() - result.frame.captured_s)

    def _show_gap(self, width: int, height: int, lost: Lost) -> Callable[[Sink], None]:
        assert self._no_signal is not None
        picture = self._no_signal(width, height, lost)
        return lambda sink: sink.gap(picture)

    def _changed(self, info: StreamInfo) -> None:
        first, self._info, self._lost = self._info is None, info, None
        for group in self.groups:
            composed = self._composed(group, info)
            for sink in list(group.sinks):
                step = sink.open if first else sink.changed
                self._each([sink], lambda _sink, s=step, i=composed: s(i))  # type: ignore[misc]

    def _composed(self, group: Group, info: StreamInfo) -> StreamInfo:
        if group.compose is None:
            return info
        width, height = group.compose.size(info.width, info.height)
        return replace(info, width=width, height=height)

    def _each(self, sinks: Sequence[Sink], step: Callable[[Sink], None]) -> None:
        for sink in list(sinks):
            try:
                step(sink)
            except BrokenPipeError:
                raise  # the reader of our stdout has gone, and with it the run's reason
            except Exception as error:
                if not self._isolate:
                    raise
                self._fail(sink, error)

    def _fail(self, sink: Sink, failure: Exception) -> None:
        error = failure
        if not isinstance(error, OutputError):  # a fault of ours ends one output, not all of them
            log.debug("an output failed", exc_info=failure)
            kind = f"{type(sink).__name__}: {type(failure).__name__}"
            error = OutputError(f"an output ends by an error inside vidcam ({kind}: {failure})")
        log.error("%s", error)
        self.failed = self.failed or error
        for group in self.groups:
            if sink in group.sinks:
                group.sinks.remove(sink)
        try:
            sink.close(error)
        except Exception as again:  # noqa: BLE001 - it has failed already
            log.debug("closing after an error: %s", again)


def drive(
    pipeline: Pipeline,
    stations: Sequence[Station],
    progress: Callable[[RunStats], None] | None = None,
    tick: Callable[[], bool] | None = None,
    join_s: float = JOIN_S,
) -> RunStats:
    """Run a pipeline to its end; the sinks are always closed.

    `progress` is called for every picture, `tick` several times a second: True ends the run.
    Raises what any part raised, after the sinks have been closed with it.
    """
    start_s = time.perf_counter()
    stats = pipeline.stats
    by_feed = {id(station.feed): station for station in stations}
    failure: BaseException | None = None
    try:
        next_s = time.monotonic()
        for given in pipeline:
            if given is not None:
                feed, item = given
                by_feed[id(feed)].take(item, pipeline)
                if isinstance(item, Result):
                    stats.written += 1
                    if progress:
                        progress(stats)
            if tick and time.monotonic() >= next_s:
                next_s = time.monotonic() + TICK_S
                for station in stations:
                    station.tick()
                if tick():
                    break
    except BaseException as error:
        failure = error
        raise
    finally:
        pipeline.stop()
        try:
            with pipeline.timed("finish"):
                raised = _close(stations, failure)
        finally:
            pipeline.close(join_s)
            stats.wall_s = time.perf_counter() - start_s
        first = next((error for error in raised if error is not None), None)
        if first is not None and failure is None:
            raise first
    return stats


def _close(stations: Sequence[Station], error: BaseException | None) -> list[BaseException | None]:
    """Close the sinks of all stations, beside each other; what each raised."""
    raised: list[BaseException | None] = [None] * len(stations)

    def close(number: int) -> None:
        raised[number] = stations[number].close(error)

    beside = [
        threading.Thread(target=close, args=(number,), daemon=True)
        for number in range(1, len(stations))
    ]
    for thread in beside:
        thread.start()
    if stations:
        close(0)
    for thread in beside:
        thread.join(CLOSE_S)
    return raised
