"""One source in the pipeline: who reads it, and what it carries from frame to frame."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from vidcam.classifier import Classifier, Seen
from vidcam.errors import UsageError
from vidcam.inbox import Answer
from vidcam.options import VideoOptions
from vidcam.prepare import Geometry, Preparer, map_on_picture
from vidcam.sources import Item, Source
from vidcam.stats import SourceStats
from vidcam.timeline import Timeline
from vidcam.types import Changed, Frame, Lost, Pixels, Rect

log = logging.getLogger("vidcam")

Accept = Callable[[Item | Changed | Lost], None]
Timed = Callable[[str], AbstractContextManager[None]]


class Reader(Protocol):
    """What runs in a feed's own thread and hands over what its source gives."""

    @property
    def corrupt(self) -> int:
        """Packets and frames that could not be read."""
        ...

    def run(self, accept: Accept, timed: Timed) -> None:
        """Hand over items until the source has ended for good, or `accept` raises Closed."""
        ...

    def stop(self) -> None:
        """End soon, without waiting for it."""
        ...

    def close(self, ended: bool) -> None:
        """Let go of the source; `ended` says that `run` has returned."""
        ...


class WholeReader:
    """Reads a source from its beginning to its end."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def corrupt(self) -> int:
        """Packets and frames that could not be read."""
        return self._source.corrupt

    def run(self, accept: Accept, timed: Timed) -> None:
        """As `Reader`."""
        accept(Changed(self._source.info.name, self._source.info))
        items = iter(self._source)
        while True:
            with timed("decode"):
                item = next(items, None)
            if item is None:
                return
            accept(item)

    def stop(self) -> None:
        """As `Reader`: it ends when nobody takes its next item."""

    def close(self, ended: bool) -> None:
        """As `Reader`: a source that still reads stays open; closing it would crash FFmpeg."""
        if ended:
            self._source.close()


class Feed:
    """One source: its reader, its geometry, its timeline and its counts.

    `latest` is the newest answer of the classifier, `shown` the one that was drawn last, and
    `waiting` the number of its frames that are captured and not yet drawn. `coded_broken` says
    that a coded packet was dropped, so that those up to the next key frame are of no use.
    """

    def __init__(
        self, reader: Reader, stats: SourceStats, geometry: Geometry, classifier: Classifier,
        options: VideoOptions,
    ) -> None:  # fmt: skip
        self.reader = reader
        self.stats = stats
        self.latest: Answer | None = None
        self.shown: Answer | None = None
        self.waiting = 0
        self.coded_broken = False
        self._geometry = geometry
        self._preparer = Preparer(geometry)
        self._size: tuple[int, int] | None = None
        self._seen = 0
        self._timeline = Timeline(classifier, options)

    def is_due_for_map(self, every: int) -> bool:
        """Whether the next classified frame is explained, when every `every`th one is."""
        self._seen += 1
        return (self._seen - 1) % every == 0

    def prepare(self, frame: Frame, out: Pixels) -> Rect:
        """Write the model pixels (S, S, 3) of a frame into `out`; gives what the network sees.

        Raises UsageError when the region leaves nothing of the first pictures.
        """
        size = frame.picture.width, frame.picture.height
        if size != self._size:
            self._preparer = Preparer(self._geometry_for(*size))
            self._size = size
        return self._preparer(frame.picture, out)

    def _geometry_for(self, width: int, height: int) -> Geometry:
        try:
            self._geometry.region(width, height)
        except UsageError as error:
            if self._size is None:
                raise
            # It came back in another size: to go on without the region beats to end.
            log.warning("%s: %s; the whole of it is classified", self.stats.name, error)
            return replace(self._geometry, roi=None)
        return self._geometry

    def answer(self, frame: Frame, seen: Seen, pixels: Pixels, crop: Rect) -> Answer:
        """What the network saw of a frame as what is shown of it; in order of time."""
        geometry = self._preparer.geometry
        if seen.map is not None:
            seen = replace(seen, map=map_on_picture(geometry, crop, seen.map))
        if seen.window_map is not None:
            seen = replace(seen, window_map=map_on_picture(geometry, crop, seen.window_map))
        prediction = self._timeline(seen, pixels, frame.time_s, crop)
        window = self._timeline.window(seen, prediction, frame.time_s)
        size = frame.picture.width, frame.picture.height
        self.latest = Answer(frame.time_s, size, prediction, window)
        return self.latest
