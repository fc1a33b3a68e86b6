"""What a live run writes: `-o` sorted into window, files and streams, and the sinks of each."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidcam.compositor import Compositor, WindowCompositor
from vidcam.drive import Group, NoSignal, Station
from vidcam.errors import OutputError, UsageError
from vidcam.feed import Feed
from vidcam.options import LiveOptions
from vidcam.sinks import Sink
from vidcam.sinks.events import EventSink
from vidcam.sinks.raw import RawSink
from vidcam.sinks.recording import RecordingSink
from vidcam.sinks.records import ClassifiedSink, Written
from vidcam.sinks.stream import StreamSink, is_stream
from vidcam.sinks.window import Window
from vidcam.view import View

log = logging.getLogger("vidcam")

WINDOW = "window"
SOURCE_FIELD = "{source}"
KEY_RECORDING, KEY_RECORDINGS = "vidcam-%Y%m%d-%H%M%S.mp4", "vidcam-%Y%m%d-%H%M%S-{source}.mp4"


@dataclass(frozen=True)
class Targets:
    """The `-o` values: files and streams, and whether the window is asked for by name."""

    files: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    window: bool = False


def parse_targets(given: Sequence[str], cameras: int, options: LiveOptions) -> Targets:
    """The outputs of a command line. Raises UsageError."""
    names = [name for name in given if name != WINDOW]
    streams = tuple(name for name in names if is_stream(name))
    files = tuple(name for name in names if not is_stream(name))
    for name in [*names, *filter(None, [options.record_raw])]:
        if cameras > 1 and SOURCE_FIELD not in name:
            raise UsageError(
                f"{name}: {cameras} cameras need an output each; write {SOURCE_FIELD} in the name"
            )
    if (options.segment or options.keep) and not (files or options.record_raw):
        raise UsageError("--segment and --keep are for recordings: give -o FILE")
    return Targets(files, streams, WINDOW in given)


@dataclass
class Outputs:
    """The sinks of all cameras, made from the targets and the record files.

    `window` is None without one. Making a sink checks its name; nothing is written before the first
    frame. Raises UsageError or OutputError.
    """

    targets: Targets
    options: LiveOptions
    overwrite: bool
    view: View
    window: Window | None = None
    records: Sequence[Written] = ()
    events: Callable[[str, int], EventSink] | None = None
    stations: list[Station] = field(default_factory=list)
    _by_key: list[tuple[Station, Group, Sink]] = field(default_factory=list)

    def station(self, feed: Feed, number: int, no_signal: NoSignal) -> Station:
        """Where everything of one camera goes."""
        options, counts = self.options, feed.stats
        plain = Group(None, [ClassifiedSink(write) for write in self.records])
        drawn = Group(Compositor(options))
        for name in self.targets.files:
            drawn.sinks.append(RecordingSink(name, options, number, self.overwrite))
        for uri in self.targets.streams:
            drawn.sinks.append(StreamSink(uri, options, number))
        if self.events:
            event_sink = self.events(counts.name, number)
            (drawn if options.event_snapshots else plain).sinks.append(event_sink)
        if options.record_raw:
            plain.sinks.append(RawSink(options.record_raw, options, number, self.overwrite))
        groups = [plain, drawn]
        counts.recording = bool(self.targets.files)
        if self.window is not None:
            shown = Group(WindowCompositor(options, self.view, counts))
            shown.sinks.append(self.window.sink(number))
            groups.append(shown)
        station = Station(feed, groups, no_signal, isolate=True)
        self.stations.append(station)
        return station

    def record(self, on: bool) -> None:
        """Start or stop the recording of the `r` key."""
        if not on:
            for station, group, sink in self._by_key:
                if sink in group.sinks:
                    station.remove(group, sink)
            self._by_key.clear()
            return
        template = KEY_RECORDING if len(self.stations) == 1 else KEY_RECORDINGS
        for number, station in enumerate(self.stations):
            group = station.groups[1]
            sink = RecordingSink(str(Path(template)), self.options, number, overwrite=False)
            station.add(group, sink)
            self._by_key.append((station, group, sink))

    def all_failed(self) -> bool:
        """Whether outputs were asked for, none is left, and no window shows anything."""
        asked = bool(self.targets.files or self.targets.streams)
        if self.window is not None or not asked or self.records or self.events:
            return False
        return not any(station.groups[1].sinks for station in self.stations)

    @property
    def failed(self) -> OutputError | None:
        """The first failure of an output."""
        return next((s.failed for s in self.stations if s.failed is not None), None)
