"""What all live sources share: what a run gives them, and how a picture or packet is finished."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2

from vidcam import yuv
from vidcam.errors import SourceLost, redact
from vidcam.sources.capture import Capture
from vidcam.sources.causes import SIZE_CHANGED
from vidcam.sources.clock import TIME_BASE, RunClock
from vidcam.sources.inputs import name_of
from vidcam.types import Frame

FLIP_CODES = {"horizontal": 1, "vertical": 0, "both": -1}
# Pixels, not coded pictures; FFmpeg's own graphs even give addresses of pictures.
RAW_CODECS = {"rawvideo", "wrapped_avframe"}
# Streams that were looked at only briefly claim rates such as 90000.
SLOWEST, FASTEST, FALLBACK = Fraction(1, 60), Fraction(300), Fraction(25)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run gives each connection: its clock, the numbers of the frames, the sign to stop."""

    clock: RunClock
    numbers: Iterator[int]
    stop: threading.Event


class Finisher:
    """Turns the decoded pictures of one connection into frames: upright, flipped, numbered."""

    def __init__(self, capture: Capture, run: Run) -> None:
        self._capture = capture
        self._name = name_of(capture.uri)
        self._numbers = run.numbers
        self._normaliser = yuv.Normaliser()
        self._size: tuple[int, int, int] | None = None
        self.duration = 0

    @property
    def sideways(self) -> bool:
        """Whether the pictures come turned by a quarter."""
        return self._size is not None and self._size[2] % 2 != 0

    def frame(self, picture: av.VideoFrame, pts: int, captured_s: float) -> Frame:
        """The frame of a picture; `pts` in TIME_BASE. Raises SourceLost when the size changes."""
        quarter_turns = round(picture.rotation / 90) % 4
        size = picture.width, picture.height, quarter_turns
        if self._size is not None and size != self._size:
            before, after = (f"{width}x{height}" for width, height, _ in (self._size, size))
            raise SourceLost(
                f"{where(self._capture)}: its pictures changed from {before} to {after}",
                cause=SIZE_CHANGED,
            )
        self._size = size
        return self.stamped(self._normaliser(picture, quarter_turns * 90), pts, captured_s)

    def stamped(self, upright: av.VideoFrame, pts: int, captured_s: float) -> Frame:
        """The frame of a picture that is upright yuv420p already."""
        finished = flipped(upright, self._capture.flip)
        finished.pts, finished.time_base, finished.duration = pts, TIME_BASE, self.duration
        finished.pict_type = 0
        return Frame(finished, self._name, next(self._numbers), captured_s)


def where(capture: Capture) -> str:
    """The source as messages call it: without passwords."""
    return name_of(capture.uri) if capture.uri.isdigit() else redact(capture.uri)


def flipped(picture: av.VideoFrame, how: str) -> av.VideoFrame:
    """A yuv420p picture mirrored as one of FLIPS says."""
    if how == "none":
        return picture
    target = av.VideoFrame(picture.width, picture.height, "yuv420p")
    for source, mirrored in zip(yuv.planes(picture), yuv.planes(target), strict=True):
        cv2.flip(source, FLIP_CODES[how], dst=mirrored)
    return yuv.copy_tags(picture, target)


def believable_rate(*claims: Any) -> Fraction:
    """The first claim that can be a rate of frames per second."""
    for claim in claims:
        if claim and SLOWEST <= claim <= FASTEST:
            return Fraction(claim)
    return FALLBACK


def copies_pictures(capture: Capture, video: Any) -> bool:
    """Whether the coded pictures of a stream are wanted, and are coded at all."""
    return capture.coded and video.codec_context.name not in RAW_CODECS


def template_of(stream: Any) -> Any:
    """A stream for `add_stream_from_template` that outlives the container of `stream`."""
    hold = av.open(os.devnull, "w", format="matroska")
    # Pictures are copied without an encoder; sound may need one, so it keeps its parameters.
    opaque = stream.type == "video" or None
    template = hold.add_stream_from_template(stream, opaque=opaque)
    template.time_base = stream.time_base
    return template


def copy_of(packet: Any) -> Any:
    """A packet with data of its own, which lives on when the source is closed."""
    copy: Any = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
    return copy


class Shifter:
    """Gives copies of one track's packets times of the run; `dts` always rises."""

    def __init__(self, lossless: bool) -> None:
        """With `lossless` a packet whose time goes back is moved; else it is left out."""
        self._lossless = lossless
        self._last: int | None = None

    def __call__(self, packet: Any, offset_s: float) -> Any | None:
        """The shifted copy, or None. A packet without a time is moved behind the last one."""
        copy = copy_of(packet)
        shift = round(offset_s / float(packet.time_base))
        after = None if self._last is None else self._last + 1
        if copy.dts is None:
            if not self._lossless:
                return None
            untimed = shift if copy.pts is None else copy.pts + shift
            dts = untimed if after is None else after
        else:
            dts = copy.dts + shift
        if after is not None and dts < after:
            if not self._lossless:
                return None
            dts = after
        pts = dts if copy.pts is None else copy.pts + shift
        copy.dts, copy.pts = dts, max(dts, pts)
        self._last = dts
        return copy
