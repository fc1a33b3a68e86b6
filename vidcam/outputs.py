"""What a live run writes: `-o` sorted into window, files and streams, and the sinks of each."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from vidcam.compositor import Compositor, WindowCompositor
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
from vidcam.station import Group, NoSignal, Station
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

    def __post_init__(self) -> None:
        # Before a model is loaded: what is wrong with a name is said at once.
        cameras = range(len(self.options.camera))
        self._drawn = [self._drawn_sinks(number) for number in cameras]
        self._raw = [self._raw_sinks(number) for number in cameras]

    def station(self, feed: Feed, number: int, no_signal: NoSignal) -> Station:
        """Where everything of one camera goes."""
        options, counts = self.options, feed.stats
        plain = Group(None, [ClassifiedSink(write) for write in self.records])
        drawn = Group(Compositor(options), self._drawn[number])
        if self.events:
            event_sink = self.events(counts.name, number)
            (drawn if options.event_snapshots else plain).sinks.append(event_sink)
        plain.sinks += self._raw[number]
        groups = [plain, drawn]
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
        options = replace(self.options, keep=None)  # that is for the files of `-o`
        sinks = [
            RecordingSink(template, options, number, overwrite=False)
            for number in range(len(self.stations))
        ]
        for station, sink in zip(self.stations, sinks, strict=True):
            group = station.groups[1]
            station.add(group, sink)
            self._by_key.append((station, group, sink))

    def check(self) -> bool:
        """Look after what has failed: whether outputs were asked for, and nothing is left."""
        if self._by_key and not any(sink in group.sinks for _, group, sink in self._by_key):
            self._by_key.clear()
            self.view.recording = False
        for station in self.stations:
            station.feed.stats.recording = any(
                isinstance(sink, RecordingSink) for sink in station.sinks
            )
        return not any(station.sinks for station in self.stations)

    def lose_window(self) -> None:
        """Go on without the window."""
        if self.window is not None:
            self.window.close()
        self.window = None
        for station in self.stations:
            station.groups[-1].sinks.clear()

    @property
    def failed(self) -> OutputError | None:
        """The first failure of an output."""
        return next((s.failed for s in self.stations if s.failed is not None), None)

    def _drawn_sinks(self, number: int) -> list[Sink]:
        files = [
            RecordingSink(name, self.options, number, self.overwrite) for name in self.targets.files
        ]
        return [*files, *(StreamSink(uri, self.options, number) for uri in self.targets.streams)]

    def _raw_sinks(self, number: int) -> list[Sink]:
        name = self.options.record_raw
        return [RawSink(name, self.options, number, self.overwrite)] if name else []
