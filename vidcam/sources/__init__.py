"""Where frames come from. A source iterates frames and sound packets and ends by StopIteration."""

import threading
from collections.abc import Iterator
from typing import Protocol

from vidcam.options import ReadOptions
from vidcam.sources.capture import Capture
from vidcam.sources.clock import RunClock
from vidcam.types import AudioPacket, CodedPacket, Frame, StreamInfo

Item = Frame | AudioPacket | CodedPacket


class Source(Protocol):
    """Iterates Items; a failure is an exception, the end is the end."""

    info: StreamInfo
    corrupt: int

    def __iter__(self) -> Iterator[Item]:
        """Frames in order of time, with the sound packets between them."""
        ...

    def close(self) -> None:
        """Let go of the source; safe to call twice."""
        ...


def open_source(uri: str, options: ReadOptions, audio: bool = True) -> Source:
    """The source of a path, an http(s) URL or `lavfi:GRAPH`. Raises SourceError, UsageError."""
    from vidcam.sources.file import FileSource
    from vidcam.sources.lavfi import LAVFI, LavfiSource

    kind = LavfiSource if uri.startswith(LAVFI) else FileSource
    return kind(uri, options, audio)


class LiveSource(Source, Protocol):
    """A source in real time, iterated and closed by one thread.

    The pictures' `pts` count 1/90000 s from the run's start and rise through every connection;
    sound and coded packets have data of their own. When `ends`, the end of the iteration is the
    end; else it is a loss, as is SourceLost, whose `cause` says why. `info.live` is True.
    """

    name: str
    ends: bool


def open_live(
    capture: Capture, clock: RunClock, numbers: Iterator[int], stop: threading.Event
) -> LiveSource:
    """One connection to the source of a `--camera`; `numbers` gives the frames theirs.

    Opening may take `capture.timeout_s` and reading may hang as long; what waits by itself ends
    when `stop` is set. Raises SourceError with its `cause`, or UsageError.
    """
    from vidcam.sources.finish import Run
    from vidcam.sources.live import open_capture

    return open_capture(capture, Run(clock, numbers, stop))
