"""Pictures and sound pushed live to a receiver: RTMP, RTSP, MPEG-TS over UDP or TCP, HLS.

The encoder runs here, in the caller's thread; all that may hang runs in a process of its own, see
`link.py`. Without a receiver, or with one that stalls, pictures are dropped before they are coded.
"""

import io
import logging
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import ceil, inf
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType

from vidcam.errors import UsageError, system_reason
from vidcam.machine import cores
from vidcam.options import EncodeOptions, LiveOptions
from vidcam.sinks import Sink
from vidcam.sinks.encoder import check_output, configure, encoder, set_colours
from vidcam.sinks.link import Link
from vidcam.sinks.queue import PICTURES, SOUND, PacketQueue, Parcel
from vidcam.sinks.sound import EncodedSound
from vidcam.sinks.target import HELD, is_stream, target_of
from vidcam.types import AudioPacket, Result, StreamInfo

__all__ = ["StreamSink", "is_stream"]

log = logging.getLogger("vidcam")

KEY_FRAME_EVERY_S = 2.0
# Each further thread of the encoder costs one picture of delay: as few as the size needs.
PIXELS_PER_THREAD_S = 40e6
CLOCK, FALLBACK_RATE = Fraction(1, 90_000), Fraction(30)
# What makes an encoder give each picture at once, where it knows the option.
LOW_DELAY = (
    ("libx264", {"tune": "zerolatency"}),
    ("libx265", {"tune": "zerolatency"}),
    ("nvenc", {"tune": "ll", "zerolatency": "1", "delay": "0"}),
)
# A broken encoder is made anew at most so often.
REPAIR_AFTER_S = 2.0
DISCONNECTED, STALLED, LATE, BROKEN = "no receiver", "receiver stalled", "late", "encoder failed"


class StreamSink(Sink):
    """Codes composed pictures and pushes them with the sound; nothing in it ever waits.

    `dropped` counts pictures that were not sent, by cause. What goes wrong is logged, and the
    stream begins again; no failure reaches the run.
    """

    def __init__(self, uri: str, options: LiveOptions, number: int = 0) -> None:
        """Check address, encoder and folder. `{source}` in `uri` becomes the camera's `number`.

        Raises UsageError or OutputError.
        """
        self._target = target_of(uri.replace("{source}", str(number)))
        self._options = options
        codec = encoder(options.encoder).canonical_name
        held = HELD[self._target.muxer]
        if codec not in held:
            raise UsageError(
                f"{self._target.shown}: --encoder {options.encoder} gives {codec}, and this "
                f"stream carries {', '.join(held)}; libx264 goes everywhere"
            )
        check_output(Path("stream.ts"), options)
        self.name = self._target.shown
        self.dropped: Counter[str] = Counter()
        self._link = Link(self._target, options.timeout)
        self._info: StreamInfo | None = None
        self._coder: Coder | None = None
        self._last_ticks = -1
        self._key_s = self._broken_s = -inf

    @property
    def pid(self) -> int | None:
        """The number of the process that pushes, None while there is none."""
        return self._link.pid

    @property
    def is_connected(self) -> bool:
        """Whether there is a receiver."""
        return self._link.queue is not None

    @property
    def waiting(self) -> int:
        """How many coded packets wait for the receiver."""
        queue = self._link.queue
        return 0 if queue is None else len(queue)

    @property
    def undelivered(self) -> Counter[str]:
        """As `Sink`, with the stream's name."""
        return Counter({f"{self.name}: {cause}": n for cause, n in self.dropped.items()})

    def open(self, info: StreamInfo) -> None:
        """As `Sink`. It may come after `gap`, which streams without it."""
        self.changed(info)

    def changed(self, info: StreamInfo) -> None:
        """As `Sink`: another size or another sound begin the stream anew."""
        if not self._options.audio:
            info = replace(info, audio=None)
        self._info = info
        if self._coder is not None and not self._coder.fits(info):
            self._forget_coder()

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """As `Sink`."""
        self._take(picture)

    def gap(self, picture: av.VideoFrame) -> None:
        """As `Sink`: the placeholder is streamed as other pictures are."""
        if self._info is None:
            self._info = StreamInfo(
                self.name, self.name, picture.width, picture.height, FALLBACK_RATE, CLOCK, live=True
            )
        self._take(picture)

    def audio(self, packet: AudioPacket) -> None:
        """As `Sink`."""
        queue = self._link.queue
        if queue is None or self._coder is None or not self._coder.has_sound:
            return
        try:
            self._put(queue, self._coder.sound(packet))
        except (av.FFmpegError, OSError, ValueError) as error:
            log.debug("%s: sound: %s", self.name, error)

    def close(self, error: BaseException | None = None) -> None:
        """As `Sink`: what was taken is sent, within about a second."""
        queue = self._link.queue
        if self._coder is not None and queue is not None:
            try:
                self._put(queue, self._coder.rest())
            except (av.FFmpegError, OSError, ValueError) as failure:
                log.debug("%s: %s", self.name, failure)
        self._forget_coder()
        self._link.close()

    def _take(self, picture: av.VideoFrame) -> None:
        assert picture.pts is not None and picture.time_base is not None
        ticks = round(picture.pts * picture.time_base / CLOCK)
        if ticks <= self._last_ticks:
            self.dropped[LATE] += 1
            return
        self._last_ticks = ticks
        time_s = float(ticks * CLOCK)
        if time_s - self._broken_s < REPAIR_AFTER_S:
            self.dropped[BROKEN] += 1
            return
        try:
            self._code(picture, time_s)
        except (av.FFmpegError, OSError, ValueError) as error:
            self.dropped[BROKEN] += 1
            self._link.say(f"the encoder failed ({system_reason(error)}); trying again")
            self._broken_s = time_s
            self._forget_coder()

    def _forget_coder(self) -> None:
        coder, self._coder = self._coder, None
        if coder is not None:
            coder.close()

    def _code(self, picture: av.VideoFrame, time_s: float) -> None:
        if self._coder is None:
            assert self._info is not None
            self._coder = Coder(self._info, picture, self._options)
            if self._coder.encodes_sound:
                log.info("%s: its sound becomes AAC", self.name)
            self._link.start(self._coder.header, self._coder.extradata)
        queue = self._link.queue
        if queue is None or queue.is_closed_to_pictures:
            self.dropped[DISCONNECTED if queue is None else STALLED] += 1
            self._key_s = -inf
            return
        is_key = time_s - self._key_s >= KEY_FRAME_EVERY_S
        if is_key:
            self._key_s = time_s
        self._put(queue, self._coder.pictures(picture, is_key))

    def _put(self, queue: PacketQueue, parcels: list[Parcel]) -> None:
        for parcel in parcels:
            was_stalled = queue.is_stalled
            if not queue.put(parcel) and parcel.track == PICTURES:
                self.dropped[STALLED if queue.is_stalled else DISCONNECTED] += 1
            if queue.is_stalled != was_stalled:
                self._link.say("goes on" if was_stalled else "stalled, dropping", was_stalled)
                if not was_stalled:
                    self._key_s = -inf


class Coder:
    """The encoders of one stream's pictures and sound.

    `header` is an mp4 file without pictures that describes both; `extradata` is what the encoder
    of the pictures says of itself.
    """

    def __init__(self, info: StreamInfo, picture: av.VideoFrame, options: EncodeOptions) -> None:
        """Open them for pictures like `picture`. Raises what FFmpeg raises."""
        self._key = _key(info)
        self._sound: EncodedSound | None = None
        file = io.BytesIO()
        self._container = av.open(
            file, "w", format="mp4", options={"movflags": "empty_moov+frag_custom"}
        )
        self._video: Any = self._container.add_stream(options.encoder, rate=info.rate)
        _set_up(self._video.codec_context, info, options)
        set_colours(self._video.codec_context, picture)
        self.has_sound = info.audio is not None
        if info.audio is not None and _is_ready_aac(info.audio):
            self._container.add_stream_from_template(info.audio)
        elif info.audio is not None:
            self._sound = EncodedSound(self._container, info.audio, "aac")
        self.encodes_sound = self._sound is not None
        self._container.start_encoding()
        self.header = file.getvalue()
        self.extradata: bytes | None = self._video.codec_context.extradata

    def fits(self, info: StreamInfo) -> bool:
        """Whether pictures and sound of `info` can go on in this stream."""
        return _key(info) == self._key

    def pictures(self, picture: av.VideoFrame, is_key: bool) -> list[Parcel]:
        """What the encoder gives for one more picture, which is left as it was."""
        own = picture.pict_type, picture.pts, picture.time_base
        assert picture.pts is not None and picture.time_base is not None
        ticks = round(picture.pts * picture.time_base / CLOCK)
        picture.pict_type = PictureType.I if is_key else PictureType.NONE
        picture.pts, picture.time_base = ticks, CLOCK
        try:
            return _parcels(self._video.encode(picture), PICTURES)
        finally:
            # The picture is other sinks' too.
            picture.pict_type, picture.pts, picture.time_base = own

    def sound(self, packet: AudioPacket) -> list[Parcel]:
        """What goes out for one more packet of the source's sound."""
        if self._sound is None:
            return _parcels([packet.packet], SOUND)
        return _parcels(self._sound.packets(packet), SOUND)

    def rest(self) -> list[Parcel]:
        """What the encoders still hold; they take nothing more."""
        sound = _parcels(self._sound.rest(), SOUND) if self._sound is not None else []
        return _parcels(self._video.encode(None), PICTURES) + sound

    def close(self) -> None:
        """Free the encoders at once: container and tracks hold each other."""
        try:
            self._container.close()
        except (av.FFmpegError, OSError, ValueError) as error:
            log.debug("closing an encoder: %s", error)


def _key(info: StreamInfo) -> tuple[object, ...]:
    """What cannot change within a stream."""
    if info.audio is None:
        return info.width, info.height
    sound = info.audio.codec_context
    own = sound.name, sound.sample_rate, sound.layout.name, sound.extradata
    return info.width, info.height, *own


def _set_up(context: Any, info: StreamInfo, options: EncodeOptions) -> None:
    context.width, context.height = info.width, info.height
    configure(context, options)
    known = {option.name for option in context.supported_options.private}
    for family, values in LOW_DELAY:
        if family in options.encoder:
            own = {name: value for name, value in values.items() if name in known}
            context.options = own | context.options
    context.max_b_frames = 0
    # Key frames are asked for by time, since a live rate is not what it claims; this is a limit.
    context.gop_size = max(1, round(2 * KEY_FRAME_EVERY_S * float(info.rate)))
    pixels_per_s = info.width * info.height * float(info.rate)
    context.thread_count = min(1 + ceil(pixels_per_s / PIXELS_PER_THREAD_S), cores())
    context.time_base = CLOCK
    context.sample_aspect_ratio = info.sample_aspect_ratio


def _is_ready_aac(template: Any) -> bool:
    """AAC that RTMP and RTSP can describe: in a transport stream it lacks what they need."""
    return template.codec_context.name == "aac" and bool(template.codec_context.extradata)


def _parcels(packets: Any, track: int) -> list[Parcel]:
    return [parcel for packet in packets if (parcel := Parcel.of(packet, track)) is not None]
