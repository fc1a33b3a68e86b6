"""Opening a container, choosing its track, and why it could not be opened."""

from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

from vidcam.errors import SourceError, UsageError, redact, system_reason

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 10.0
MICROSECONDS = Fraction(1, 1_000_000)
# FFmpeg "plays" text files as terminal art; nobody means that.
NO_VIDEO_FORMATS = {"tty", "bin", "xbin", "idf", "adf"}


def open_container(uri: str, file: str, **arguments: Any) -> InputContainer:
    """The opened `file`, which messages call `uri`. Raises SourceError."""
    try:
        container: InputContainer = av.open(file, "r", metadata_errors="ignore", **arguments)
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{redact(uri)}: {reason(error)}") from error
    if container.format.name in NO_VIDEO_FORMATS:
        container.close()
        raise SourceError(f"{redact(uri)}: is not a video")
    return container


def video_track(container: InputContainer, name: str, number: int | None) -> Any:
    """Video track `number`, covers left out; None is FFmpeg's best.

    Raises SourceError or UsageError.
    """
    tracks = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not tracks:
        raise SourceError(f"{name}: has no video track")
    if number is not None:
        if number >= len(tracks):
            raise UsageError(f"--track {number}: {name} has video tracks 0 to {len(tracks) - 1}")
        return tracks[number]
    best = container.streams.best("video")
    return best if best in tracks else tracks[0]


def claimed_duration_s(container: InputContainer, video: Any) -> float | None:
    """How long the file says that its pictures last; its sound may be longer."""
    if video.duration is not None:
        return float(video.duration * video.time_base)
    hours, _, rest = video.metadata.get("DURATION", "").partition(":")
    if rest:  # Matroska's tag, 00:01:02.345
        minutes, _, seconds = rest.partition(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return float(container.duration * MICROSECONDS) if container.duration else None


def reason(error: Exception) -> str:
    """Why opening or reading failed, in words of the user's."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, av.error.InvalidDataError | EOFError):
        return "is not a video, or is damaged at its start"
    if isinstance(error, TimeoutError | av.error.ExitError):
        return f"no answer within {OPEN_TIMEOUT_S:g} s"
    return system_reason(error)
