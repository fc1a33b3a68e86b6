"""Where pictures and predictions go."""

from typing import Protocol

import av

from vidcam.types import AudioPacket, Result, StreamInfo


class Sink(Protocol):
    """Takes one source's composed pictures, results and sound.

    `close(error)` is always called once: with None after a regular end, which makes the output
    final; with the error otherwise, which leaves nothing under the final name.
    """

    def open(self, info: StreamInfo) -> None:
        """Get ready; `info` has the size of the composed pictures."""
        ...

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """Take one composed picture and its result."""
        ...

    def audio(self, packet: AudioPacket) -> None:
        """Take one coded sound packet of the source."""
        ...

    def close(self, error: BaseException | None = None) -> None:
        """End. Raises OutputError when what was written fails its check."""
        ...
