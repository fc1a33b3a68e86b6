"""The source's sound: its packets as they are where the container can hold them, else AAC."""

import logging
from collections.abc import Iterator
from typing import Any

import av
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


def open_sound(container: OutputContainer, source: Any) -> "CopiedSound | EncodedSound | None":
    """A sound track for the packets of the av stream `source`, added to `container`.

    None, with a warning, where the container has no sound.
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
        log.warning("sound: left out, because %s has none", name)
        return None
    log.warning("sound: %s becomes %s, because the output cannot carry it as it is",
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

    def packets(self, packet: AudioPacket) -> Iterator[Any]:
        """The packets to mux for one packet of the source."""
        packet.packet.stream = self.stream
        yield packet.packet

    def rest(self) -> Iterator[Any]:
        """What is still held back at the end."""
        yield from ()


class EncodedSound:
    """Decodes packets and encodes them."""

    def __init__(self, container: OutputContainer, source: Any, codec: str) -> None:
        rate = source.codec_context.sample_rate
        rates = RATES[codec]
        layout = "mono" if source.codec_context.channels == 1 else "stereo"
        stream: Any = container.add_stream(
            codec, rate=rate if rate in rates else rates[0], layout=layout
        )
        stream.bit_rate = 96_000 if layout == "mono" else 160_000
        self.stream = stream

    def packets(self, packet: AudioPacket) -> Iterator[Any]:
        """The packets to mux for one packet of the source."""
        try:
            frames = packet.packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            yield from self.stream.encode(frame)

    def rest(self) -> Iterator[Any]:
        """What is still held back at the end."""
        yield from self.stream.encode(None)
