"""Where pictures and predictions go."""

from collections import Counter

import av

from vidcam.types import AudioPacket, CodedPacket, Result, StreamInfo


class Sink:
    """Takes one source's composed pictures, results and sound; each sink overrides what it needs.

    All calls come from one thread, `open` first. `close(error)` is always called once: with None
    after a regular end, which makes the output final; with the error otherwise, which leaves
    nothing under the final name of a file of `vidcam file`. `open` and `close` apart, `file` calls
    only `frame` and `audio`. What a sink of a live run raises as OutputError ends this sink alone.
    """

    @property
    def undelivered(self) -> Counter[str]:
        """Pictures that were taken and could not be delivered, by cause."""
        return Counter()

    def open(self, info: StreamInfo) -> None:
        """Get ready; `info` has the size of the composed pictures."""

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """Take one composed picture and its result; it may be drawn on after the call: copy it."""

    def gap(self, picture: av.VideoFrame) -> None:
        """Take a picture that says that the source is gone; files leave a gap instead."""

    def classified(self, result: Result) -> None:
        """Take the result of a frame that was itself classified, whether it is drawn or not."""

    def audio(self, packet: AudioPacket) -> None:
        """Take one coded sound packet of the source."""

    def coded(self, packet: CodedPacket) -> None:
        """Take one coded packet of the source's pictures."""

    def changed(self, info: StreamInfo) -> None:
        """The source is back after `lost`, perhaps with another size, rate or sound."""

    def lost(self, cause: str) -> None:
        """The source has gone; its time goes on, so the next frame comes after a gap."""

    def tick(self) -> None:
        """Called several times a second, whether frames come or not."""

    def close(self, error: BaseException | None = None) -> None:
        """End. Raises OutputError when what was written fails its check."""
