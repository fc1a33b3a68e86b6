"""The source's sound: its packets as they are where the container can hold them, else AAC."""

import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.codec import CodecContext
from av.container import OutputContainer

from vidcam.types import AudioPacket

log = logging.getLogger("vidcam")

# The mp4 muxer takes these, browsers do not.
NOT_IN_BROWSERS = {"vorbis", "pcm_alaw", "pcm_mulaw"}
BROWSER_MUXERS = {"mp4", "mov"}
ENCODERS = {"aac": "AAC", "libopus": "Opus"}
RATES = {
    "aac": (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
    "libopus": (48000, 24000, 16000, 12000, 8000),
}
# What a muxer lists and yet refuses; what one that lists nothing takes.
REFUSED = {"mov": {"opus", "flac"}}
IN_TRANSPORT_STREAMS = {"aac", "mp3", "mp2", "ac3", "eac3", "opus"}
NOTHING = Fraction(0)
# Time stamps tremble; what is further off than this is a gap.
JUMP_S = Fraction(1, 20)
SILENT_SAMPLES = 1024


def open_sound(
    container: OutputContainer, source: Any, level: int = logging.WARNING
) -> "CopiedSound | EncodedSound | None":
    """A sound track for the packets of the av stream `source`, added to `container`.

    None where the container has no sound. That, and what is encoded, is said at a log `level`.
    """
    codec = source.codec_context.name
    canonical = source.codec_context.codec.canonical_name
    name = container.format.name
    held = canonical in held_by(container)
    if name in BROWSER_MUXERS:
        held = held and canonical not in NOT_IN_BROWSERS and not canonical.startswith("pcm_")
    if held:
        return CopiedSound(container, source)
    encoder = encoder_for(container)
    if encoder is None:
        log.log(level, "sound: left out, because %s has none", name)
        return None
    log.log(level, "sound: %s becomes %s, because the output cannot carry it as it is",
            codec, ENCODERS[encoder])  # fmt: skip
    return EncodedSound(container, source, encoder)


def encoder_for(container: OutputContainer) -> str | None:
    """The sound encoder for a container: AAC, or Opus where that is not held."""
    held = held_by(container)
    return next((e for e in ENCODERS if e.removeprefix("lib") in held), None)


def held_by(container: OutputContainer) -> set[str]:
    """The codecs that a container can hold, as its muxer says."""
    name = container.format.name
    if name == "mpegts":
        return IN_TRANSPORT_STREAMS
    return set(container.supported_codecs) - REFUSED.get(name, set())


class CopiedSound:
    """Remuxes packets unchanged."""

    def __init__(self, container: OutputContainer, source: Any) -> None:
        self.stream = container.add_stream_from_template(source)
        self._dts: int | None = None

    def packets(self, packet: AudioPacket, start_s: Fraction = NOTHING) -> Iterator[Any]:
        """The packets to mux for one packet of the source; `start_s` of the source becomes 0."""
        copy = copied(packet.packet, self.stream, start_s)
        if self._dts is not None and copy.dts <= self._dts:
            copy.dts = self._dts + 1
            copy.pts = max(copy.pts, copy.dts)
        self._dts = copy.dts
        yield copy

    def rest(self) -> Iterator[Any]:
        """What is still held back at the end."""
        yield from ()


class EncodedSound:
    """Decodes packets and encodes them, at the times that they have: silence stays a gap."""

    def __init__(self, container: OutputContainer, source: Any, codec: str) -> None:
        self._source = source
        self._decoder: Any = None
        rate = source.codec_context.sample_rate
        rates = RATES[codec]
        layout = "mono" if source.codec_context.channels == 1 else "stereo"
        stream: Any = container.add_stream(
            codec, rate=rate if rate in rates else rates[0], layout=layout
        )
        stream.bit_rate = 96_000 if layout == "mono" else 160_000
        self.stream = stream
        self._encoder: Any = stream.codec_context
        self._next_s: Fraction | None = None
        self._dts: int | None = None

    def packets(self, packet: AudioPacket, start_s: Fraction = NOTHING) -> Iterator[Any]:
        """The packets to mux for one packet of the source; `start_s` of the source becomes 0."""
        try:
            frames = self._decoded(packet.packet)
        except av.FFmpegError:
            return
        for frame in frames:
            yield from self._encoded(frame, start_s)

    def rest(self) -> Iterator[Any]:
        """What is still held back at the end."""
        if self._next_s is not None:
            yield from self._muxable(self._encoder.encode(None))

    def silence(self) -> Iterator[Any]:
        """A first packet, for containers that wait for one when nothing can be decoded."""
        encoder = self._encoder
        frame = av.AudioFrame(encoder.format.name, encoder.layout.name, SILENT_SAMPLES)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = encoder.sample_rate, 0
        frame.time_base = Fraction(1, encoder.sample_rate)
        yield from self._encoded(frame, NOTHING)
        yield from self.rest()
        self._encoder = self._another_encoder()

    def _decoded(self, packet: Any) -> list[Any]:
        """The frames of a packet; one without a stream needs a decoder of ours."""
        if packet.stream is not None:
            return list(packet.decode())
        if self._decoder is None:
            source = self._source.codec_context
            decoder: Any = CodecContext.create(source.name, "r")
            decoder.sample_rate, decoder.layout = source.sample_rate, source.layout
            if source.extradata:
                decoder.extradata = source.extradata
            self._decoder = decoder
        return list(self._decoder.decode(packet))

    def _encoded(self, frame: Any, start_s: Fraction) -> Iterator[Any]:
        time_s = self._next_s or NOTHING
        if frame.pts is not None:
            time_s = frame.pts * frame.time_base - start_s
        if self._next_s is not None and abs(time_s - self._next_s) > JUMP_S:
            # An encoder counts samples: after a jump a new one counts from there.
            yield from self.rest()
            self._encoder = self._another_encoder()
        self._next_s = time_s + Fraction(frame.samples, frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(time_s * frame.sample_rate)
        yield from self._muxable(self._encoder.encode(frame))

    def _another_encoder(self) -> Any:
        old = self._encoder
        new: Any = CodecContext.create(old.name, "w")
        new.sample_rate, new.layout, new.format = old.sample_rate, old.layout, old.format
        new.bit_rate, new.time_base, new.flags = old.bit_rate, old.time_base, old.flags
        return new

    def _muxable(self, packets: Iterable[Any]) -> Iterator[Any]:
        for packet in packets:
            if self._dts is not None and packet.dts <= self._dts:
                continue  # the priming of a new encoder, over the end of the old one's
            self._dts = packet.dts
            packet.stream = self.stream
            yield packet


def copied(source: Any, stream: Any, start_s: Fraction = NOTHING) -> Any:
    """A packet of the same bytes for `stream`, its times less `start_s`.

    Muxing changes the times of the packet that it is given, and a packet is several sinks'.
    """
    copy: Any = av.Packet(bytes(source))
    shift = round(start_s / source.time_base)
    pts = source.dts if source.pts is None else source.pts
    dts = pts if source.dts is None else source.dts
    copy.pts, copy.dts, copy.duration = pts - shift, dts - shift, source.duration
    copy.time_base, copy.is_keyframe = source.time_base, source.is_keyframe
    for side_data in source.iter_sidedata():
        copy.set_sidedata(side_data)
    copy.stream = stream
    return copy
