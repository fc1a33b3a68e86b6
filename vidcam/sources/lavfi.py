"""FFmpeg's test sources: `lavfi:testsrc2=size=1280x720:rate=30`, as fast as they come."""

from av.container import InputContainer

from vidcam.errors import UsageError
from vidcam.options import ReadOptions
from vidcam.sources.container import open_container
from vidcam.sources.file import FileSource

LAVFI = "lavfi:"


class LavfiSource(FileSource):
    """The frames of a filter graph, which has no end of its own."""

    def __init__(self, uri: str, options: ReadOptions, audio: bool = True) -> None:
        """As `FileSource`. Raises UsageError without `--duration` or `--max-frames`."""
        if options.duration is None and options.max_frames is None:
            raise UsageError(f"{uri} has no end: give --duration or --max-frames")
        super().__init__(uri, options, audio)

    def _open(self) -> InputContainer:
        return open_container(self._uri, self._uri.removeprefix(LAVFI), format="lavfi")
