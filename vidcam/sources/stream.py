"""Pictures, sound and coded packets of what comes by itself: a network stream, a device."""

import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer

from vidcam.errors import SourceError, SourceLost, redact
from vidcam.sources.capture import Capture
from vidcam.sources.causes import BROKEN_OFF, TIMEOUT, UNSUPPORTED, cause_of, sentence
from vidcam.sources.clock import TIME_BASE, ConnectionClock, Pacer
from vidcam.sources.container import video_track
from vidcam.sources.finish import (
    Finisher,
    Run,
    Shifter,
    believable_rate,
    copies_pictures,
    copy_of,
    template_of,
    where,
)
from vidcam.sources.inputs import name_of
from vidcam.types import AudioPacket, CodedPacket, Frame, StreamInfo

if TYPE_CHECKING:
    from vidcam.sources import Item

# Motion JPEG over HTTP has no time stamps; FFmpeg makes some up at 25 fps.
UNTIMED_FORMATS = {"mpjpeg", "mjpeg", "jpeg_pipe"}
# HLS comes in pieces of some seconds each, so it is played in real time; a step ahead by more than
# this is a piece that was missed.
PIECES, MISSED_S = {"hls"}, 1.0
# Its packets lie in buffers of the device, which are gone when it is closed.
BORROWED = "v4l2"
MOST_FAILED_READS = 50
# A device that has no picture yet is asked again after this.
ASK_AGAIN_S = 0.003


class StreamSource:
    """What comes out of an opened container, when it comes; times on the clock of the run.

    It is iterated and closed in one thread; a read that hangs ends with the time-out. Names what
    breaks by SourceLost and its cause; the end of the iteration is the end of the stream, which a
    live source should not have.
    """

    ends = False

    def __init__(
        self, capture: Capture, run: Run, container: InputContainer, since_s: float
    ) -> None:
        """Take over `container`, whose opening began at `since_s`; decode its first picture.

        Raises SourceError.
        """
        self.name = name_of(capture.uri)
        self.corrupt = 0
        self._capture, self._run, self._container = capture, run, container
        self._heard_s, self._failed_reads = since_s, 0
        self._clock = ConnectionClock(run.clock)
        self._finisher = Finisher(capture, run)
        self._pacer = Pacer() if container.format.name in PIECES else None
        self._timed = container.format.name not in UNTIMED_FORMATS
        self._borrowed = BORROWED in container.format.name
        self._stamp_s: float | None = None
        self._items = self._read()
        self._waiting: list[Item] = []
        try:
            self._choose_tracks()
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
        self._items.close()  # what it holds of a device's buffers must go before the device
        self._waiting.clear()
        self._container.close()

    def _choose_tracks(self) -> None:
        try:
            self._video = video_track(self._container, where(self._capture), None)
        except SourceError as error:
            raise SourceError(str(error), cause="no video") from None
        if self._video.codec_context is None:
            raise self._failure(SourceError, UNSUPPORTED)
        # Frame threads would hold back a picture for each of them.
        self._video.thread_type = "SLICE"
        sound = self._container.streams.best("audio") if self._capture.audio else None
        self._sound = sound if sound is not None and sound.codec_context is not None else None
        self._shift_sound = Shifter(lossless=False)
        self._copies = copies_pictures(self._capture, self._video)
        self._shift_coded = Shifter(lossless=True)
        self._key_seen = False

    def _first_frame(self) -> Frame:
        until_s = self._heard_s + self._capture.timeout_s
        try:
            for item in self._items:
                self._waiting.append(item)
                if isinstance(item, Frame):
                    return item
                if time.monotonic() > until_s:
                    break
        except SourceLost as error:
            raise SourceError(str(error), cause=error.cause) from None
        raise SourceError(f"{where(self._capture)}: sends no picture", cause="no picture")

    def _info(self, first: Frame) -> StreamInfo:
        video = self._video
        claims = video.average_rate, video.codec_context.framerate, video.base_rate
        rate = believable_rate(*claims, self._capture.fps)
        aspect = Fraction(video.sample_aspect_ratio or 1)
        self._finisher.duration = first.picture.duration = round(1 / (rate * TIME_BASE))
        return StreamInfo(
            name=self.name,
            uri=redact(self._capture.uri),
            width=first.picture.width,
            height=first.picture.height,
            rate=rate,
            time_base=TIME_BASE,
            live=True,
            audio=template_of(self._sound) if self._sound is not None else None,
            coded=template_of(video) if self._copies else None,
            sample_aspect_ratio=1 / aspect if self._finisher.sideways else aspect,
        )

    def _read(self) -> "Generator[Item]":
        for packet, is_sound in self._packets():
            arrival_s = time.monotonic()
            if is_sound:
                offset_s = self._clock.packet_offset_s(_seconds(packet, packet.dts), arrival_s)
                if (sound := self._shift_sound(packet, offset_s)) is not None:
                    yield AudioPacket(sound, self.name)
                continue
            self._key_seen = self._key_seen or packet.is_keyframe
            if self._copies and self._key_seen and packet.size:
                offset_s = self._clock.packet_offset_s(_seconds(packet, packet.pts), arrival_s)
                yield CodedPacket(self._shift_coded(packet, offset_s), self.name)
            for picture in self._decoded(packet):
                yield self._frame(picture, arrival_s)

    def _packets(self) -> Iterator[tuple[Any, bool]]:
        """Packets that may be kept, and whether they are sound."""
        streams = [stream for stream in (self._video, self._sound) if stream is not None]
        packets = self._container.demux(*streams)
        while not self._run.stop.is_set():
            asked_s = time.monotonic()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError, ValueError) as error:
                # An error keeps this frame, and `packets` a buffer of the device: left here it
                # would be given back after the device is closed, which crashes the process.
                del packets
                self._bear(error)
                packets = self._container.demux(*streams)
                continue
            self._failed_reads, self._heard_s = 0, time.monotonic()
            yield copy_of(packet) if self._borrowed else packet, packet.stream is self._sound
            del packet
            # An interrupted read first gives the packet that the parser held back; to read on
            # would be to wait as long again.
            if self._heard_s - asked_s >= self._capture.timeout_s:
                raise self._failure(SourceLost, TIMEOUT)

    def _bear(self, error: Exception) -> None:
        """Get ready to read on after an error. Raises SourceLost when it is final."""
        if isinstance(error, BlockingIOError):  # a device that has nothing yet
            if time.monotonic() - self._heard_s > self._capture.timeout_s:
                raise self._failure(SourceLost, TIMEOUT) from None
            self._run.stop.wait(ASK_AGAIN_S)
        elif isinstance(error, av.error.InvalidDataError | ValueError):
            self.corrupt += 1
            self._failed_reads += 1
            if self._failed_reads > MOST_FAILED_READS:
                raise self._failure(SourceLost, BROKEN_OFF) from None
        else:
            raise self._failure(SourceLost, cause_of(error)) from None

    def _decoded(self, packet: Any) -> list[av.VideoFrame]:
        try:
            return list(self._video.codec_context.decode(packet if packet.size else None))
        except av.FFmpegError:
            self.corrupt += 1  # the decoder goes on with the next
            return []

    def _frame(self, picture: av.VideoFrame, arrival_s: float) -> Frame:
        if picture.is_corrupt:
            self.corrupt += 1
        stamp_s = _seconds(picture, picture.pts) if self._timed else None
        if self._pacer is not None and stamp_s is not None:
            arrival_s = self._wait_for(stamp_s, arrival_s)
        return self._finisher.frame(picture, self._clock.frame_pts(stamp_s, arrival_s), arrival_s)

    def _wait_for(self, stamp_s: float, arrival_s: float) -> float:
        """Wait until a picture of a stream in pieces is due; gives the time when it was."""
        if self._stamp_s is not None and abs(stamp_s - self._stamp_s) > MISSED_S:
            self._pacer = Pacer()
        assert self._pacer is not None
        self._stamp_s = stamp_s
        due_s, _ = self._pacer.due_s(stamp_s, arrival_s)
        self._run.stop.wait(max(0.0, due_s - arrival_s))
        return max(arrival_s, due_s)

    def _failure(
        self, kind: type[SourceError] | type[SourceLost], cause: str
    ) -> SourceError | SourceLost:
        words = sentence(cause, self._capture.timeout_s)
        return kind(f"{where(self._capture)}: {words}", cause=cause)


def _seconds(timed: Any, stamp: int | None) -> float | None:
    """A time stamp of a packet or picture in seconds."""
    return None if stamp is None or timed.time_base is None else float(stamp * timed.time_base)
