"""The source's sound: its packets as they are where the container can hold them, else AAC."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import av
from av.container import OutputContainer

from vidcam.types import AudioPacket

log = logging.getLogger("vidcam")

# The mp4 muxer takes these, browsers do not.
NOT_IN_BROWSERS = {"vorbis", "pcm_alaw", "pcm_mulaw"}
BROWSER_MUXERS = {"mp4", "mov"}
AAC_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


def open_sound(container: OutputContainer, source: Any) -> "CopiedSound | EncodedSound":
    """A sound track for the packets of the av stream `source`, added to `container`."""
    codec = source.codec_context.name
    canonical = source.codec_context.codec.canonical_name
    held = canonical in container.supported_codecs
    if container.format.name in BROWSER_MUXERS:
        held = held and canonical not in NOT_IN_BROWSERS and not canonical.startswith("pcm_")
    if held:
        return CopiedSound(container, source)
    log.warning("sound: %s becomes AAC, because the output cannot carry it as it is", codec)
    return EncodedSound(container, source)


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
    """Decodes packets and encodes them as AAC."""

    def __init__(self, container: OutputContainer, source: Any) -> None:
        rate = source.codec_context.sample_rate
        rate = rate if rate in AAC_RATES else AAC_RATES[0]
        layout = "mono" if source.codec_context.channels == 1 else "stereo"
        codec = "aac" if "aac" in container.supported_codecs else container.default_audio_codec
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        self.stream = stream
        self.stream.bit_rate = 96_000 if layout == "mono" else 160_000
        frame_size = 1024 if codec == "aac" else None
        self._resampler = av.AudioResampler("fltp", layout, rate, frame_size)

    def packets(self, packet: AudioPacket) -> Iterator[Any]:
        """The packets to mux for one packet of the source."""
        try:
            frames = packet.packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            yield from self._encoded(frame)

    def rest(self) -> Iterator[Any]:
        """What is still held back at the end."""
        yield from self._encoded(None)
        yield from self.stream.encode(None)

    def _encoded(self, frame: Any) -> Iterator[Any]:
        encode: Callable[[Any], list[Any]] = self.stream.encode
        for piece in self._resampler.resample(frame):
            yield from encode(piece)
