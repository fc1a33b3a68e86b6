"""Where everything of one source arrives: its compositors, its sinks, and how they end.

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
from vidcam.pipeline import Classified, Given, Pipeline
from vidcam.sinks import Sink
from vidcam.types import AudioPacket, Changed, CodedPacket, Lost, Result, StreamInfo

log = logging.getLogger("vidcam")

# A sink that takes longer to close, on a disk that hangs, is left behind. Recordings wait for 10 s.
CLOSE_S = 12.0
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


class Closing(threading.Thread):
    """The end of one sink, in a thread of its own, and what it raised."""

    def __init__(self, sink: Sink, error: BaseException | None) -> None:
        super().__init__(daemon=True, name="vidcam-close")
        self.sink = sink
        self.failure: BaseException | None = None
        self._error = error

    def run(self) -> None:
        """Close the sink."""
        try:
            self.sink.close(self._error)
        except BaseException as failure:  # noqa: BLE001 - looked at when it has ended
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
        self._leaving: list[Closing] = []
        self._said: set[int] = set()

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
        self._leave(sink, None)

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
        self._collect()
        now_s = time.monotonic()
        if self._lost is None or self._no_signal is None or now_s - self._gap_s < GAP_EVERY_S:
            return
        self._gap_s = now_s
        for group in self.groups:
            size = UNKNOWN_SIZE
            if self._info is not None:
                composed = self._composed(group, self._info)
                size = composed.width, composed.height
            showing = [sink for sink in group.sinks if type(sink).gap is not Sink.gap]
            if showing:
                picture = self._no_signal(*size, self._lost)
                self._each(showing, lambda sink, p=picture: sink.gap(p))  # type: ignore[misc]

    def close(self, error: BaseException | None = None) -> BaseException | None:
        """Close every sink, whatever another's close raises; gives the first failure.

        Live sinks are closed beside each other, so that a slow one does not make the end late;
        what they raise has been said when this returns, and is in `failed`.
        """
        sinks = self.sinks
        for group in self.groups:
            group.sinks.clear()
        if not self._isolate:
            return _close_in_turn(sinks, error)
        for sink in sinks:
            self._leave(sink, error)
        until_s = time.monotonic() + CLOSE_S
        for closing in self._leaving:
            closing.join(max(0.0, until_s - time.monotonic()))
            if closing.is_alive():
                name = type(closing.sink).__name__
                closing.failure = OutputError(f"{name}: not closed within {CLOSE_S:g} s")
        self._collect(at_end=True)
        return None

    def _leave(self, sink: Sink, error: BaseException | None) -> None:
        """Close a sink beside the others: an index that is written must not hold up a camera."""
        closing = Closing(sink, error)
        closing.start()
        self._leaving.append(closing)

    def _collect(self, at_end: bool = False) -> None:
        """Look at the sinks that have been closed meanwhile."""
        for closing in list(self._leaving):
            if closing.is_alive() and not at_end:
                continue
            self._leaving.remove(closing)
            self.feed.stats.undelivered += closing.sink.undelivered
            if closing.failure is not None:
                self._say(closing.sink, closing.failure)

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
            except Exception as error:
                gone = isinstance(error, BrokenPipeError)
                if not self._isolate or (gone and self.sinks == [sink]):
                    raise  # the reader of our stdout has gone, and with it the run's only reason
                for group in self.groups:
                    if sink in group.sinks:
                        group.sinks.remove(sink)
                self._say(sink, OutputError("stdout: its reader has gone") if gone else error)
                self._leave(sink, error)

    def _say(self, sink: Sink, failure: BaseException) -> None:
        """Tell what an output raised, and once only what follows from it."""
        error = failure
        if not isinstance(error, OutputError):  # a fault of ours ends one output, not all of them
            log.debug("an output failed", exc_info=failure)
            kind = f"{type(sink).__name__}: {type(failure).__name__}"
            error = OutputError(f"an output ends by an error inside vidcam ({kind}: {failure})")
        if id(sink) in self._said:
            log.debug("closing after an error: %s", error)
            return
        self._said.add(id(sink))
        log.error("%s", error)
        self.failed = self.failed or error


def _close_in_turn(sinks: Sequence[Sink], error: BaseException | None) -> BaseException | None:
    raised: BaseException | None = None
    for sink in sinks:
        closing = Closing(sink, error or raised)
        closing.run()
        raised = raised or closing.failure
    return raised
