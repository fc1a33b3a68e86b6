"""One file of a live recording: what is in it survives the death of the process."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer

from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.sinks.sound import CopiedSound, EncodedSound, open_sound
from vidcam.sinks.track import CLOCK, TICKS_PER_S, Track
from vidcam.types import AudioPacket

log = logging.getLogger("vidcam")

# A fragment or cluster, which a muxer holds until it is complete, lasts so long.
FRAGMENT_S = 0.2
# Packets of one track wait so long in the muxer for those of the others.
INTERLEAVE_S = 0.001
# What makes a muxer write all that it holds: packets so far apart, and so many of them.
NUDGE_S, NUDGES = 0.002, 5
# Sound that is further ahead of its pictures no longer waits for them.
MOST_AHEAD_S = 1
# mp4 writes nothing before every track has a packet: sound that comes later is left out.
SOUND_WAIT_S = 0.5
_MP4 = {
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": str(round(FRAGMENT_S * 1e6)),
}
# A cluster of its own for each packet costs 30 bytes, and leaves one packet in the muxer at most.
_MKV = {"cluster_time_limit": "0"}
# The muxers that can be cut off anywhere, and what makes them so.
MUXERS = {"mp4": _MP4, "mov": _MP4, "matroska": _MKV, "webm": _MKV}
# Files up to this size are read through when they are checked, where the index has no count.
READ_THROUGH_BYTES = 64_000_000
CHECK_SLACK_S = 0.01


class LiveFile:
    """A container that is written as it comes. `path` exists already and is overwritten.

    `container` is for adding the video stream, named to `begin`. Times are ticks of 1/90000 s;
    `start` is the source's time that becomes 0. All methods raise OutputError.
    """

    def __init__(self, path: Path, muxer: str, start: int, audio: Any = None) -> None:
        """`audio` is the template of the sound that is expected, None without."""
        self.path, self.start = path, start
        self.frames = 0
        self.sound_missed = False
        self._muxer, self._audio = muxer, audio
        options = MUXERS[muxer] | {
            "flush_packets": "1", "max_interleave_delta": str(round(INTERLEAVE_S * 1e6))
        }  # fmt: skip
        self._playable_bytes = 0
        self.closed = False
        with writing(path):
            # A name such as 12:05:09.mp4 is no protocol.
            self.container: OutputContainer = av.open(
                f"file:{path}", "w", format=muxer, options=options
            )
        self._video: Track | None = None
        self._sound: CopiedSound | EncodedSound | None = None
        self._sound_track: Track | None = None
        self._nudge: Any = None
        self._nudge_ticks = -1
        self._waiting: list[Any] | None = []
        self._sounds: deque[Any] = deque()
        self._last = 0

    @property
    def has_sound(self) -> bool:
        """Whether sound has come."""
        return self._sound_track is not None

    def begin(self, stream: Any) -> None:
        """Say which stream of the container is the video."""
        stream.time_base = CLOCK
        self._video = Track(stream, moves=True)

    def video(self, packets: Iterable[Any], now: int = 0) -> None:
        """Take coded pictures; `now` is the time of the newest picture, coded or not, from 0."""
        assert self._video is not None
        with writing(self.path, self.abandon):
            for packet in packets:
                self.frames += 1
                self._last = max(self._last, round(packet.pts * packet.time_base / CLOCK))
                if self._waiting is None:
                    self._put_picture(packet)
                else:
                    self._waiting.append(packet)
            if self._waiting and self._is_ready(now):
                self._start()

    def sound(self, packet: AudioPacket, level: int = logging.DEBUG) -> None:
        """Take a packet of the source's sound; what it becomes is said at a log `level`."""
        if self._audio is None or not self._is_within(packet.packet):
            return
        if self._waiting is None and self._sound_track is None:
            self.sound_missed = True
            return
        with writing(self.path, self.abandon):
            if self._sound_track is None:
                self._sound = open_sound(self.container, self._audio, level)
                if self._sound is None:
                    self._audio = None
                    return
                self._sound_track = Track(self._sound.stream, moves=False)
            assert self._sound is not None
            try:
                self._sounds += list(self._sound.packets(packet, self.start * CLOCK))
            except (av.FFmpegError, ValueError) as error:
                log.debug("%s: sound left out: %s", self.path, error)
            if self._waiting is None and self._sounds:
                self._put_sounds(_time(self._sounds[-1]) - MOST_AHEAD_S)

    def flush(self) -> None:
        """Bring all that has been taken to the disk: nothing more may come for a while.

        FRAGMENT_S of a .mov stay in its muxer, which has no kind of track to nudge it with.
        """
        with writing(self.path, self.abandon):
            self._flush_tracks()
            if self._nudge is not None:
                self._nudge_mp4()
            elif self._muxer != "mov":
                self._nudge_mkv()
            self._mark()

    def finish(self, decodes: bool = True) -> None:
        """Write the index, close and check; on failure what is there stays playable.

        `decodes` says whether the last pictures are known to be whole.
        """
        if self.closed:
            return
        with writing(self.path, self.abandon):
            if self._sound is not None and self._sound_track is not None:
                self._sounds += self._sound.rest()
            self._flush_tracks()
            self._mark()
            self.container.close()
            self.closed = True
        check(self.path, self.frames, self._last / TICKS_PER_S if decodes else None)

    def abandon(self) -> None:
        """Close after a failure; where no index could be written, cut off what is not whole."""
        self.closed = True
        try:
            self.container.close()
        except (av.FFmpegError, OSError, ValueError) as error:
            log.debug("closing %s: %s", self.path, error)
            with suppress(OSError):
                os.truncate(self.path, self._playable_bytes)

    def _mark(self) -> None:
        """Note that all that has been written so far is whole."""
        self._playable_bytes = self.path.stat().st_size

    def _is_ready(self, now: int) -> bool:
        late = now >= SOUND_WAIT_S * TICKS_PER_S
        return self._audio is None or bool(self._sounds) or late

    def _start(self) -> None:
        """Write the header, and the pictures that have waited for the sound."""
        waiting, self._waiting = self._waiting or [], None
        if not self._sounds and isinstance(self._sound, EncodedSound):
            # What cannot be decoded gives no packet, and mp4 waits for one.
            self._sounds += self._sound.silence()
        if self._muxer == "mp4":
            # Only a packet makes this muxer write out what it holds; the pictures' must not lie.
            self._nudge = self.container.add_data_stream("bin_data")
            self._nudge.time_base, self._nudge_ticks = CLOCK, 0
        self.container.start_encoding()
        if self._nudge is not None:
            self.container.mux(_packet(b"0", 0, self._nudge))
        for packet in waiting:
            self._put_picture(packet)

    def _put_picture(self, packet: Any) -> None:
        assert self._video is not None
        self._put_sounds(packet.dts * packet.time_base)
        self.container.mux(self._video.put(packet))
        self._mark()

    def _put_sounds(self, until: Fraction | float) -> None:
        """Mux the sound up to a time: behind its pictures, so that seeking finds both."""
        while self._sounds and _time(self._sounds[0]) <= until:
            assert self._sound_track is not None
            self.container.mux(self._sound_track.put(self._sounds.popleft()))

    def _flush_tracks(self) -> None:
        if self._waiting is not None:
            self._start()
        self._put_sounds(inf)
        for track in (self._video, self._sound_track):
            if track is not None:
                self.container.mux(track.rest())

    def _nudge_mp4(self) -> None:
        """Three data packets: a fragment ends when one track has packets that far apart in it."""
        fragment = round(TICKS_PER_S * FRAGMENT_S)
        first = max(self._nudge_ticks + 1, self._last - fragment)
        last = first + fragment + round(TICKS_PER_S * NUDGE_S)
        for ticks in (first, first + fragment, last):
            self.container.mux(_packet(b"0", ticks, self._nudge))
        self._nudge_ticks = last

    def _nudge_mkv(self) -> None:
        """Empty packets end the clusters; nothing is written for them."""
        assert self._video is not None
        tracks = filter(None, (self._video, self._sound_track))
        after = max(track.shown_until for track in tracks)
        for _ in range(NUDGES):
            after += round(TICKS_PER_S * NUDGE_S)
            self.container.mux(_packet(b"", after, self._video.stream))
        self._video.goes_on_after(after)

    def _is_within(self, packet: Any) -> bool:
        """Whether a sound packet belongs to this file: mp4 can say that sound begins before 0."""
        time = packet.dts if packet.pts is None else packet.pts
        if self._muxer in ("mp4", "mov"):
            time += (packet.duration or 1) - 1
        return bool(time * packet.time_base >= self.start * CLOCK)


@contextmanager
def writing(path: Path, on_failure: Callable[[], None] | None = None) -> Iterator[None]:
    """Turn what FFmpeg and the system raise while writing into an OutputError."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        if on_failure is not None:
            on_failure()
        if isinstance(error, OutputError | UsageError):
            raise
        raise OutputError(f"{path}: {system_reason(error)}") from error


def check(path: Path, frames: int, last_s: float | None) -> None:
    """Raise OutputError when a finished file lacks frames, or its last ones cannot be decoded.

    `last_s` is the time of the last one; None leaves the decoding out. Where the index has a count
    only the packets are read that follow the last key frame.
    """
    try:
        with av.open(f"file:{path}") as container:
            video = container.streams.video[0]
            found = video.frames or None
            if found is None and path.stat().st_size <= READ_THROUGH_BYTES:
                found = sum(1 for packet in container.demux(video) if packet.size)
            if found not in (None, frames):
                raise OutputError(f"{path}: holds {found} of {frames} frames written")
            if last_s is None:
                return
            container.seek(max(0, round(last_s * 1e6)))
            shown_s = [picture.time for picture in container.decode(video)]
    except (av.FFmpegError, OSError, IndexError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path}: what was written cannot be read back ({error})") from error
    if not shown_s or abs(max(time_s or 0.0 for time_s in shown_s) - last_s) > CHECK_SLACK_S:
        raise OutputError(f"{path}: its last pictures cannot be decoded")


def _time(packet: Any) -> Fraction:
    return Fraction(packet.dts * packet.time_base)


def _packet(data: bytes, ticks: int, stream: Any) -> Any:
    packet: Any = av.Packet(data)
    packet.pts, packet.dts, packet.duration = ticks, ticks, 1
    packet.time_base, packet.is_keyframe = CLOCK, bool(data)
    packet.stream = stream
    return packet
