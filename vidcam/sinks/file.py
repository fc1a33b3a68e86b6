"""A video file that plays everywhere, under its name only when it is whole and checked."""

import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.codec.context import Flags
from av.container import OutputContainer

from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.options import EncodeOptions
from vidcam.sinks import Sink
from vidcam.sinks.check import Tally, check_file
from vidcam.sinks.encoder import check_output, configure, muxer_of, set_colours
from vidcam.sinks.partial import PartialFile
from vidcam.sinks.sound import CopiedSound, EncodedSound, open_sound
from vidcam.types import AudioPacket, Result, StreamInfo

log = logging.getLogger("vidcam")

# The index goes to the front, so that a browser plays before it has all.
MUXER_OPTIONS = {"mp4": {"movflags": "+faststart"}, "mov": {"movflags": "+faststart"}}
# Players seek to key frames, and the check decodes what follows the last one.
KEY_FRAME_EVERY_S = 2
# MPEG-4 part 2 and its kin count time in 16 bits.
LARGEST_CLOCK = 65535
# These have one time a packet, or begin at the first one stored: B-frames would come late.
NO_REORDERING = {"avi", "flv", "mpegts"}
SMALL_CLOCK = {"mpeg4", "libxvid", "h263", "h263p", "mpeg1video", "mpeg2video", "gif"}
GIF_CLOCK = Fraction(1, 100)


class VideoFileSink(Sink):
    """Encodes composed pictures and keeps sound and timing."""

    def __init__(self, target: str | Path, options: EncodeOptions, overwrite: bool = False) -> None:
        """Check name, folder, container and encoder. Raises UsageError or OutputError."""
        self._options = options
        check_output(Path(target), options)
        self._partial = PartialFile(target, overwrite)
        self._container: OutputContainer | None = None
        self._video: Any = None
        self._sound: CopiedSound | EncodedSound | None = None
        self._tally = Tally()

    def open(self, info: StreamInfo) -> None:
        """As `Sink`."""
        muxer = muxer_of(self._partial.target)
        self._info = info
        self._tally.frame_s = float(1 / info.rate)
        with self._writing():
            self._container = av.open(
                str(self._partial.path), "w", format=muxer, options=MUXER_OPTIONS.get(muxer, {})
            )
            self._video = self._container.add_stream(self._options.encoder, rate=info.rate)
            context = self._video.codec_context
            context.width, context.height = info.width, info.height
            configure(context, self._options)
            if muxer in NO_REORDERING:
                context.max_b_frames = 0
            if muxer in MUXER_OPTIONS and context.codec.canonical_name == "hevc":
                context.codec_tag = "hvc1"  # Apple's players know no other
            context.gop_size = max(1, round(KEY_FRAME_EVERY_S * info.rate))
            context.flags |= Flags.frame_duration
            context.time_base = self._clock(info.time_base)
            context.sample_aspect_ratio = info.sample_aspect_ratio
            if self._options.audio and info.audio is not None:
                self._sound = open_sound(self._container, info.audio)

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """As `Sink`."""
        context = self._video.codec_context
        with self._writing():
            if not self._tally.times_s:
                set_colours(context, picture)
            clock = context.time_base
            assert picture.pts is not None and picture.time_base is not None
            time = picture.pts * picture.time_base
            own = picture.pts, picture.time_base, picture.duration
            if picture.time_base != clock:
                ticks = round(picture.duration * picture.time_base / clock)
                picture.pts, picture.time_base, picture.duration = round(time / clock), clock, ticks
            self._mux(self._video.encode(picture))
            # The picture is other sinks' too.
            picture.pts, picture.time_base, picture.duration = own
        self._tally.times_s.append(float(time))

    def audio(self, packet: AudioPacket) -> None:
        """As `Sink`."""
        if self._sound is None:
            return
        with self._writing():
            source = packet.packet
            time_s = float((source.pts or 0) * source.time_base)
            if time_s < 0 and self._container and self._container.format.name == "avi":
                return  # AVI cannot begin before 0: its muxer would move the pictures instead
            self._tally.sound_packets += self._mux(self._sound.packets(packet))
        self._tally.sound_last_s = max(self._tally.sound_last_s, time_s)

    def close(self, error: BaseException | None = None) -> None:
        """Check and rename after a regular end; keep what plays of an interrupted one."""
        try:
            self._finish()
            if error is None:
                check_file(self._partial.path, self._tally)
        except BaseException as failure:
            self._partial.discard()
            if error is None:
                raise
            log.debug("closing after an error: %s", failure)
            return
        if error is None:
            self._partial.commit()
        elif isinstance(error, KeyboardInterrupt) and self._tally.times_s:
            log.error("%s keeps the first %d frames", self._partial.path, len(self._tally.times_s))
        else:
            self._partial.discard()

    def _finish(self) -> None:
        container, self._container = self._container, None
        if container is None:
            return
        try:
            if self._tally.times_s:
                with self._writing():
                    for packet in self._video.encode(None):
                        container.mux(packet)
                    if self._sound is not None:
                        for packet in self._sound.rest():
                            container.mux(packet)
                            self._tally.sound_packets += 1
        finally:
            with self._writing():
                container.close()
            self._video = None  # x264 holds 800 MB at 4K: not while the check decodes

    def _mux(self, packets: Iterable[Any]) -> int:
        """Mux packets; returns their number."""
        assert self._container is not None
        count = 0
        for packet in packets:
            self._container.mux(packet)
            count += 1
        return count

    def _clock(self, time_base: Fraction) -> Fraction:
        name = self._options.encoder
        if name == "gif":
            return GIF_CLOCK
        if muxer_of(self._partial.target) == "avi":
            return 1 / self._info.rate  # AVI counts frames: a finer clock fills it with empty ones
        if name in SMALL_CLOCK and time_base.denominator > LARGEST_CLOCK:
            return Fraction(1, 60_000)
        return time_base

    def _writing(self) -> "_Writing":
        return _Writing(self._partial.target)


class _Writing:
    """Turns what FFmpeg and the system raise while writing into an OutputError."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, av.FFmpegError | OSError) and not isinstance(
            error, OutputError | UsageError
        ):
            raise OutputError(f"{self._target}: {system_reason(error)}") from error
