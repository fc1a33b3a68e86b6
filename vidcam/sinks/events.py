"""Label changes of live sources: where they are told, with the pictures before and after."""

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import av

from vidcam import yuv
from vidcam.errors import OutputError, redact
from vidcam.options import LiveOptions
from vidcam.sinks import Sink
from vidcam.sinks.changes import TIME_SLACK_S, Event, Hold, top_of
from vidcam.sinks.hook import EventCommand
from vidcam.sinks.lines import live_record_file
from vidcam.sinks.snapshots import Snapshot, Snapshots, snapshot_name
from vidcam.types import Rect, Result, StreamInfo

log = logging.getLogger("vidcam")

# How often the picture is kept that would be the last one before a change.
KEEP_EVERY_S = 0.25
# An event waits so long for the picture after it and for the disk; at the end, half of that.
SNAPSHOTS_S = 1.0
CLOSE_S = 0.5


# Something that is told of events; raises OutputError when it can no longer take them.
Emit = Callable[[Event], None]


def event_lines(stream: TextIO) -> Emit:
    """Writes events to `stream` as JSON lines."""

    def write(event: Event) -> None:
        stream.write(json.dumps(event.as_record(), ensure_ascii=False) + "\n")

    return write


class LabelLog:
    """Logs a line for each event: `tabby 83 % (was: coffee mug)`."""

    def __init__(self, with_source: bool = False) -> None:
        self._with_source = with_source

    def __call__(self, event: Event) -> None:
        """Log an event."""
        source = f"{event.source}: " if self._with_source else ""
        score = "" if event.after.score is None else f" {event.after.score:.0%}".replace("%", " %")
        was = f" (was: {event.before.label})" if event.before else ""
        log.info("%s%s%s%s", source, event.after.label, score, was)


@dataclass(slots=True)
class Waiting:
    """An event whose snapshots are on their way until `deadline_s` (of `time.monotonic`)."""

    event: Event
    before: Snapshot | None
    after: Snapshot | None
    wants_after: bool
    deadline_s: float


@dataclass(slots=True)
class Kept:
    """A copy of the last picture that showed the label that counts; `width` is its file's."""

    label: int
    time_s: float
    width: int
    picture: av.VideoFrame


class EventSink(Sink):
    """Tells `emits` of the label changes of one source, with the pictures before and after.

    The picture after is the first that carries the new label once it is confirmed; the one before
    is the last that was kept with the old label, at most a quarter of a second older than it.
    """

    def __init__(self, emits: Sequence[Emit], options: LiveOptions, name: str, number: int,
                 snapshots: Snapshots | None = None) -> None:  # fmt: skip
        """`name` is the source's in the records, `number` its place among the cameras."""
        self._emits = list(emits)
        self._hold = Hold(redact(name), options.confirm)
        self._number = number
        self._snapshots = snapshots
        self._aspect = 1.0
        self._kept: Kept | None = None
        self._waiting: deque[Waiting] = deque()
        self._failure: OutputError | None = None

    def open(self, info: StreamInfo) -> None:
        """As `Sink`."""
        self._aspect = float(info.sample_aspect_ratio)

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """As `Sink`."""
        score = top_of(result)
        if self._snapshots and score:
            for waiting in self._waiting:
                if waiting.wants_after and waiting.event.after.index == score.index:
                    waiting.wants_after = False
                    width = self._width_of(picture)
                    waiting.after = self._save(waiting.event, "after", yuv.copy(picture), width)
            if self._hold.label and self._hold.label.index == score.index:
                self._keep(picture, score.index, result.frame.time_s)
        self._settle()

    def classified(self, result: Result) -> None:
        """As `Sink`."""
        event = self._hold(result)
        if event and self._snapshots:
            self._stop_waiting()
            deadline_s = time.monotonic() + SNAPSHOTS_S
            before = self._save_kept(event)
            self._waiting.append(Waiting(event, before, None, True, deadline_s))
        elif event:
            self._tell(event)
        self._settle()

    def lost(self, cause: str) -> None:
        """As `Sink`."""
        self._hold.lost()
        self._stop_waiting()
        self._settle()

    def changed(self, info: StreamInfo) -> None:
        """As `Sink`."""
        self._aspect = float(info.sample_aspect_ratio)

    def tick(self) -> None:
        """As `Sink`."""
        self._settle()

    def close(self, error: BaseException | None = None) -> None:
        """Tell what waits. Raises OutputError when one of several that are told had failed."""
        self._stop_waiting()
        deadline_s = time.monotonic() + CLOSE_S
        for waiting in self._waiting:
            waiting.deadline_s = deadline_s
            for snapshot in filter(None, (waiting.before, waiting.after)):
                snapshot.done.wait(max(0.0, deadline_s - time.monotonic()))
        self._settle(at_end=True)
        if self._failure and error is None:
            raise self._failure

    def _keep(self, picture: av.VideoFrame, label: int, time_s: float) -> None:
        """Copy the picture into the buffer of the one before it, when that is old enough."""
        kept, into = self._kept, None
        if kept:
            age_s = time_s - kept.time_s
            if kept.label == label and 0 <= age_s < KEEP_EVERY_S - TIME_SLACK_S:
                return
            if (kept.picture.width, kept.picture.height) == (picture.width, picture.height):
                into = kept.picture
        whole = Rect(0, 0, picture.width, picture.height)
        copy = yuv.crop(picture, whole, into)
        self._kept = Kept(label, time_s, self._width_of(picture), copy)

    def _save_kept(self, event: Event) -> Snapshot | None:
        kept, self._kept = self._kept, None
        if kept is None or event.before is None or kept.label != event.before.index:
            return None
        return self._save(event, "before", kept.picture, kept.width)

    def _save(self, event: Event, when: str, picture: av.VideoFrame, width: int) -> Snapshot:
        assert self._snapshots is not None
        score = event.after if when == "after" else event.before
        assert score is not None
        name = snapshot_name(event.wall_s, self._number, when, score)
        return self._snapshots.save(picture, name, width)

    def _width_of(self, picture: av.VideoFrame) -> int:
        """The picture's width in square pixels."""
        return round(picture.width * self._aspect)

    def _stop_waiting(self) -> None:
        """No picture will show the labels of the events so far any more."""
        for waiting in self._waiting:
            waiting.wants_after = False

    def _settle(self, at_end: bool = False) -> None:
        """Tell the events, in order, whose snapshots lie on the disk or have taken too long."""
        while self._waiting:
            first = self._waiting[0]
            both = {"before": first.before, "after": first.after}
            arrived = all(not snapshot or snapshot.done.is_set() for snapshot in both.values())
            is_ready = arrived and not first.wants_after
            if not (is_ready or at_end or time.monotonic() > first.deadline_s):
                return
            self._waiting.popleft()
            paths = {when: _path_of(snapshot) for when, snapshot in both.items()}
            self._tell(replace(first.event, snapshots=paths))

    def _tell(self, event: Event) -> None:
        for emit in tuple(self._emits):
            try:
                emit(event)
            except OutputError as error:
                self._emits.remove(emit)
                if not self._emits and self._snapshots is None:
                    raise
                # The others go on; the run's exit code is told of it at the end.
                log.error("%s", error)
                self._failure = error


@contextmanager
def event_sinks(
    options: LiveOptions, events: str | None, overwrite: bool = False, *, labels_logged: bool
) -> Iterator[Callable[[str, int], EventSink] | None]:
    """Makes the EventSink of a source from its name and number; None when nobody is to be told.

    `events` is the name of the JSON lines file, or `-`; `labels_logged` logs each event as well.
    The sources share the file, the command and the folder. Raises UsageError or OutputError.
    """
    with ExitStack() as stack:
        emits: list[Emit] = []
        if options.on_event is not None:
            command = EventCommand(options.on_event)
            stack.callback(command.close)
            emits.append(command)
        snapshots = None
        if options.event_snapshots is not None:
            snapshots = Snapshots(Path(options.event_snapshots))
            stack.callback(snapshots.close)
        if events is not None:
            emits.append(stack.enter_context(live_record_file(events, event_lines, overwrite)))
        if labels_logged:
            emits.append(LabelLog(len(options.camera) > 1))
        if not emits and snapshots is None:
            yield None
            return
        yield lambda name, number: EventSink(emits, options, name, number, snapshots)


def _path_of(snapshot: Snapshot | None) -> str | None:
    return str(snapshot.path) if snapshot and snapshot.done.is_set() and snapshot.path else None
