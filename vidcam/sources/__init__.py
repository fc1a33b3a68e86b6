"""Where frames come from. A source iterates frames and sound packets and ends by StopIteration."""

from collections.abc import Iterator
from typing import Protocol

from vidcam.options import ReadOptions
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
