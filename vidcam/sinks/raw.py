"""`--record-raw`: what a source sends, copied untouched; raw pixels are encoded first."""

import io
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import av

from vidcam.errors import OutputError
from vidcam.options import EncodeOptions, LiveOptions
from vidcam.sinks.live_file import LiveFile
from vidcam.sinks.recording import RecordingSink
from vidcam.sinks.sound import copied
from vidcam.sinks.track import CLOCK
from vidcam.types import CodedPacket, Result, StreamInfo

log = logging.getLogger("vidcam")

# How raw pixels are kept: near to what they were, and quickly.
RAW_CRF = 16


class RawSink(RecordingSink):
    """Records the coded packets of a source and its sound; files begin at key frames.

    A source without coded packets is encoded as it is before anything is drawn.
    """

    undrawn = True

    def __init__(self, template: str, options: LiveOptions, number: int, overwrite: bool) -> None:
        """As RecordingSink. Raises UsageError or OutputError."""
        usual = EncodeOptions()
        own = replace(
            options, encoder=usual.encoder, crf=RAW_CRF, preset=usual.preset, encoder_option=()
        )
        super().__init__(template, own, number, overwrite)
        self._awaits_key = True

    def open(self, info: StreamInfo) -> None:
        """As `Sink`. Raises OutputError when the container cannot hold what the source sends."""
        super().open(info)
        self._check(info)
        if info.coded is None:
            log.info("%s: sends raw pixels; --record-raw encodes them (crf %d)", info.name, RAW_CRF)

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """As `Sink`: encode the picture of a source that sends no coded ones."""
        if self._info is not None and self._info.coded is None:
            super().frame(picture, result)

    def coded(self, packet: CodedPacket) -> None:
        """As `Sink`."""
        source = packet.packet
        if self._info is None or self._info.coded is None or source.pts is None:
            return
        if self._awaits_key and not source.is_keyframe:
            return
        self._awaits_key = False
        ticks = round(source.pts * source.time_base / CLOCK)
        self._arrives(ticks)
        if source.is_keyframe and self._is_due(ticks):
            self._begin(ticks)
        file = self._file
        assert file is not None
        file.video([copied(source, self._stream, file.start * CLOCK)], ticks - file.start)

    def changed(self, info: StreamInfo) -> None:
        """As `Sink`. Raises OutputError as `open` does."""
        super().changed(info)
        self._check(info)
        self._awaits_key = True

    def lost(self, cause: str) -> None:
        """As `Sink`: what comes next is of use from its first key frame on."""
        super().lost(cause)
        self._awaits_key = True

    def _video_stream(self, file: LiveFile, info: StreamInfo) -> Any:
        if info.coded is None:
            return super()._video_stream(file, info)
        self._stream = file.container.add_stream_from_template(info.coded, opaque=True)
        return self._stream

    def _check(self, info: StreamInfo) -> None:
        if info.coded is None:
            return
        name = info.coded.codec_context.codec.canonical_name
        with av.open(io.BytesIO(), "w", format=self._muxer) as container:
            held = container.supported_codecs
        if name not in held:
            path = Path(self._template.text)
            raise OutputError(f"{path}: {path.suffix} cannot hold {name}; write {path.stem}.mkv")

    def _key(self, info: StreamInfo) -> object:
        if info.coded is None:
            return super()._key(info)
        context = info.coded.codec_context
        return super()._key(info), context.name, context.extradata
