"""Is what was written what it should be? Reads the packets of a finished file, not its pictures.

Decoding every picture costs 2.4 ms a 720p frame; its packets, index and last group tell almost as
much for nothing (2026-11).
"""

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from vidcam.errors import OutputError

CLOCK_S = 0.002  # Matroska keeps milliseconds
SOUND_SLACK_S = 0.1  # a codec's priming and last packet


@dataclass(slots=True)
class Tally:
    """What was handed to a muxer; `times_s` are the pictures' in order."""

    times_s: "array[float]" = field(default_factory=lambda: array("d"))
    frame_s: float = 0.0
    sound_packets: int = 0
    sound_last_s: float = 0.0


def check_file(path: Path, tally: Tally) -> None:
    """Raise OutputError when the file's packets, times or last pictures are not those written."""
    try:
        with av.open(str(path)) as container:
            _check(container, tally)
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path}: what was written cannot be read back ({error})") from error


def _check(container: Any, tally: Tally) -> None:
    name = container.name
    video = container.streams.video[0]
    sound = container.streams.audio[0] if container.streams.audio else None
    times: list[float] = []
    keys: list[int] = []
    sound_times: list[float] = []
    for packet in container.demux([stream for stream in (video, sound) if stream]):
        if packet.size == 0 or packet.pts is None:
            continue
        if packet.stream is video:
            times.append(float(packet.pts * packet.time_base))
            if packet.is_keyframe:
                keys.append(packet.pts)
        else:
            sound_times.append(float(packet.pts * packet.time_base))
    written = len(tally.times_s)
    if len(times) != written:
        raise OutputError(f"{name}: holds {len(times)} of {written} frames written")
    slack_s = tally.frame_s + CLOCK_S
    off_s = max(abs(got - meant) for got, meant in zip(sorted(times), tally.times_s, strict=True))
    if off_s > slack_s:
        raise OutputError(f"{name}: a frame is {off_s:.3f} s away from its time")
    if tally.sound_packets:
        if not sound_times:
            raise OutputError(f"{name}: has lost its sound")
        if len(sound_times) < tally.sound_packets:
            raise OutputError(
                f"{name}: holds {len(sound_times)} of {tally.sound_packets} sound packets"
            )
        if abs(max(sound_times) - tally.sound_last_s) > slack_s + SOUND_SLACK_S:
            raise OutputError(
                f"{name}: sound ends at {max(sound_times):.3f} s "
                f"instead of {tally.sound_last_s:.3f} s"
            )
    if not keys:
        raise OutputError(f"{name}: has no key frame")
    # Whether pictures decode does not depend on their smoothing; threads cost more than they give.
    video.codec_context.thread_count = 1
    video.codec_context.options = {"skip_loop_filter": "all"}
    container.seek(max(keys), stream=video)
    shown = [picture.pts for picture in container.decode(video) if picture.pts is not None]
    if not shown or abs(max(shown) * float(video.time_base) - max(times)) > slack_s:
        raise OutputError(f"{name}: its last pictures cannot be decoded")
