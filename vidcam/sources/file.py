"""A video file or an http(s) URL: every frame in order, upright, with its time and its sound."""

import logging
import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer

from vidcam.errors import SourceError, SourceLost, redact
from vidcam.machine import cores
from vidcam.options import ReadOptions
from vidcam.sources.container import (
    MICROSECONDS,
    OPEN_TIMEOUT_S,
    READ_TIMEOUT_S,
    claimed_duration_s,
    open_container,
    reason,
    video_track,
)
from vidcam.sources.inputs import is_url, name_of
from vidcam.types import AudioPacket, Frame, StreamInfo
from vidcam.yuv import Normaliser

if TYPE_CHECKING:
    from vidcam.sources import Item

log = logging.getLogger("vidcam")

# So many failed reads in a row, without a packet between them, are the end of the file.
MOST_FAILED_READS = 50
# Times that jump back further are a clock that began anew, as in joined recordings.
CLOCK_RESTART_S = 1.0
# Sound is stored at most so far from the pictures that it belongs to.
SOUND_LAG_S = 1.0
FALLBACK_RATE = Fraction(25)
# Each thread of a decoder holds a picture or two (4K: 25 MB), and so many outrun every encoder.
MOST_THREADS = 8


class FileSource:
    """Frames and sound packets of one file. Times count from its start (or from `--start`)."""

    def __init__(self, uri: str, options: ReadOptions, audio: bool = True) -> None:
        """Open `uri` and decode its first frame. Raises SourceError or UsageError."""
        self.name = name_of(uri)
        self.corrupt = 0
        self._uri = uri
        self._options = options
        self._container = self._open()
        try:
            self._video = video_track(self._container, self.name, options.track)
            self._audio = self._container.streams.best("audio") if audio else None
            self._video.thread_type = "AUTO"
            self._video.codec_context.thread_count = min(MOST_THREADS, cores() + 1)
            self._time_base: Fraction = self._video.time_base or Fraction(1, 90_000)
            self._rate = self._video.average_rate or self._video.guessed_rate or FALLBACK_RATE
            self._normaliser = Normaliser()
            self._frames_read = 0
            self._last_pts: int | None = None
            self._sound_dts: int | None = None
            self._read_s = 0.0
            self._end_s = inf if options.duration is None else options.duration
            self._video_done = self._sound_done = False
            self._offset_s = self._start_offset()
            self._items: Iterator[Item] = self._read()
            self._waiting: list[Item] = []
            self.info = self._info(self._first_frame())
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> "Iterator[Item]":
        while self._waiting:
            yield self._waiting.pop(0)
        yield from self._items

    def close(self) -> None:
        """As `Source`."""
        self._items = iter(())  # the generator holds this source, and so the decoder's pictures
        self._container.close()

    def _open(self) -> InputContainer:
        timeout = (OPEN_TIMEOUT_S, READ_TIMEOUT_S) if is_url(self._uri) else None
        return open_container(self._uri, self._uri, timeout=timeout)

    def _start_offset(self) -> float:
        """The container's time, in seconds, that becomes 0."""
        offset_s = float((self._container.start_time or 0) * MICROSECONDS)
        if self._options.start:
            offset_s += self._options.start
            try:
                self._container.seek(int(offset_s * 1_000_000))
            except av.FFmpegError as error:
                log.warning("%s: cannot seek (%s): reads from the start", self.name, error)
        return offset_s

    def _first_frame(self) -> Frame:
        for item in self._items:
            self._waiting.append(item)
            if isinstance(item, Frame):
                return item
        where = f" from {self._options.start:g} s on" if self._options.start else ""
        raise SourceError(f"{redact(self._uri)}: holds no frame that can be decoded{where}")

    def _info(self, first: Frame) -> StreamInfo:
        duration_s = claimed_duration_s(self._container, self._video)
        frames = self._video.frames or None
        if duration_s is not None:
            duration_s -= self._options.start
            if self._options.duration is not None:
                duration_s = min(duration_s, self._options.duration)
            if frames is None or self._options.start or self._options.duration is not None:
                frames = max(1, round(duration_s * self._rate))
        if self._options.max_frames is not None:
            frames = min(frames or self._options.max_frames, self._options.max_frames)
        aspect = self._video.sample_aspect_ratio or Fraction(1)
        if self._rotated:
            aspect = 1 / aspect
        return StreamInfo(
            name=self.name,
            uri=redact(self._uri),
            width=first.picture.width,
            height=first.picture.height,
            rate=Fraction(self._rate),
            time_base=self._time_base,
            frames=frames,
            duration_s=duration_s,
            audio=self._audio,
            sample_aspect_ratio=Fraction(aspect),
        )

    def _read(self) -> "Iterator[Item]":
        """Frames and sound in order of time: a sound waits for the picture that it belongs to."""
        sounds: deque[tuple[float, AudioPacket]] = deque()
        for packet in self._packets():
            if packet.stream is not self._video:
                self._keep_sound(packet, sounds)
            elif not self._video_done:
                for picture in self._decoded(packet):
                    frame = self._frame(picture)
                    if frame is None:
                        continue
                    while sounds and sounds[0][0] <= frame.time_s:
                        yield sounds.popleft()[1]
                    yield frame
            if self._done(packet):
                break
        else:
            self._check_end()
        yield from (sound for time_s, sound in sounds if time_s < self._end_s)

    def _packets(self) -> Iterator[Any]:
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        failed = 0
        packets = self._container.demux(*streams)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.InvalidDataError, ValueError) as error:
                self.corrupt += 1
                failed += 1
                if failed > MOST_FAILED_READS:
                    log.warning("%s: unreadable from here (%s)", self.name, error)
                    yield self._flush()
                    return
                packets = self._container.demux(*streams)
                continue
            except (av.FFmpegError, OSError) as error:
                raise SourceLost(f"{redact(self._uri)}: broke off: {reason(error)}") from error
            failed = 0
            yield packet

    def _flush(self) -> Any:
        """The packet that makes the decoder give what it holds."""
        packet: Any = av.Packet()
        packet.stream = self._video
        return packet

    def _decoded(self, packet: Any) -> list[av.VideoFrame]:
        if packet.is_corrupt:
            # Cut off by the end of the file: a threaded decoder would lose its last frames on it.
            self.corrupt += 1
            return []
        try:
            return list(packet.decode())
        except av.FFmpegError:
            # A corrupt packet is not the end: the decoder goes on with the next.
            self.corrupt += 1
            return []

    def _frame(self, picture: av.VideoFrame) -> Frame | None:
        pts = self._shifted_pts(picture)
        time_s = float(pts * self._time_base)
        if self._video_done or time_s >= self._end_s - 1e-9:
            self._video_done = True
            return None
        if pts < 0 and self._options.start:
            return None
        if picture.is_corrupt:
            self.corrupt += 1
        quarter_turns = round(picture.rotation / 90)
        self._rotated = quarter_turns % 2 != 0
        upright = self._normaliser(picture, quarter_turns * 90 % 360)
        upright.pts, upright.time_base = pts, self._time_base
        upright.duration = picture.duration
        upright.pict_type = 0
        self._last_pts = pts
        self._read_s = time_s + max(
            float(picture.duration * self._time_base), float(1 / self._rate)
        )
        self._frames_read += 1
        if self._frames_read == self._options.max_frames:
            self._video_done = True
            self._end_s = min(self._read_s, self._end_s)
        return Frame(upright, self.name, self._frames_read - 1, time.monotonic())

    def _shifted_pts(self, picture: av.VideoFrame) -> int:
        """Presentation time in the track's unit from the start, always after the last frame's."""
        step = max(1, round(1 / (self._rate * self._time_base)))
        pts = picture.pts if picture.pts is not None else picture.dts
        if pts is None:
            return 0 if self._last_pts is None else self._last_pts + step
        shifted = pts - round(self._offset_s / self._time_base)
        if self._last_pts is not None and shifted <= self._last_pts:
            back_s = float((self._last_pts - shifted) * self._time_base)
            if back_s > CLOCK_RESTART_S:
                self._offset_s -= back_s + float(step * self._time_base)
                return self._last_pts + step
            return self._last_pts + 1
        return int(shifted)

    def _keep_sound(self, packet: Any, sounds: deque[tuple[float, AudioPacket]]) -> None:
        if packet.dts is None or packet.pts is None:
            return
        shift = round(self._offset_s / packet.time_base)
        time_s = float((packet.pts - shift) * packet.time_base)
        if self._options.start and time_s < 0:
            return
        if time_s >= self._end_s:
            self._sound_done = True
            return
        packet.pts -= shift
        packet.dts -= shift
        if self._sound_dts is not None and packet.dts <= self._sound_dts:
            self.corrupt += 1  # no container takes times that go back
            return
        self._sound_dts = packet.dts
        sounds.append((time_s, AudioPacket(packet, self.name)))

    def _done(self, packet: Any) -> bool:
        """Whether all that was asked for has been read, the sound that lags behind included."""
        if not self._video_done:
            return False
        if self._audio is None or self._sound_done:
            return True
        time = packet.dts if packet.dts is not None else packet.pts
        if time is None:
            return False
        return float(time * packet.time_base) - self._offset_s - self._end_s >= SOUND_LAG_S

    def _check_end(self) -> None:
        if not self._frames_read or self._options.max_frames:
            return
        claimed_s = self.info.duration_s or 0.0
        if claimed_s - self._read_s <= max(1.0, 0.05 * claimed_s):
            return
        text = f"ended after {self._read_s:.1f} of {claimed_s:.1f} s"
        if is_url(self._uri):
            raise SourceLost(f"{self.info.uri}: {text}")
        log.warning("%s: %s: what could be read is written", self.name, text)
