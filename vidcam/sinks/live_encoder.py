"""An encoder that holds little back, can be emptied at any time and then goes on.

What an encoder holds is lost when the process is killed, so its look-ahead, B-frames and threads
are bounded by the rate at which frames really come.
"""

from fractions import Fraction
from typing import Any

import av
from av.codec import CodecContext
from av.codec.codec import Capabilities
from av.codec.context import Flags
from av.video.frame import PictureType

from vidcam.machine import cores
from vidcam.options import EncodeOptions
from vidcam.sinks.encoder import configure, set_colours
from vidcam.sinks.file import SMALL_CLOCK
from vidcam.sinks.track import CLOCK, TICKS_PER_S
from vidcam.types import StreamInfo

SMALLER_CLOCK = Fraction(1, 30_000)
# An encoder holds frames of so much time (x264 at 30 fps: 9 frames).
HELD_S = 0.3
KEY_FRAME_EVERY_S = 1
# Beyond this, more look-ahead and more threads gain next to nothing at the quick presets.
LONGEST_LOOKAHEAD, MOST_B_FRAMES, MOST_THREADS = 10, 3, 6
X265_HOLDS = 7
X264 = {"libx264", "libx264rgb"}
# A rate that differs by more than this from the one that the bounds were made for is a new one.
SLOWER, FASTER = 0.7, 1.4


def bounds(rate: float) -> tuple[int, int, int]:
    """Look-ahead, B-frames and threads with which x264 holds at most HELD_S at `rate`.

    It holds max(look-ahead, B-frames) + threads - 1 frames, and one more for their times.
    """
    held = max(0, int(HELD_S * rate + 1e-6) - 1)
    threads = min(MOST_THREADS, 1 + held // 4, cores() + 1)
    lookahead = min(LONGEST_LOOKAHEAD, held - (threads - 1))
    return lookahead, min(MOST_B_FRAMES, lookahead), threads


class LiveEncoder:
    """Encodes the pictures of one file's video stream, a key frame at least every second."""

    def __init__(self, stream: Any, info: StreamInfo, options: EncodeOptions) -> None:
        """Set up `stream`, which has been added for the encoder of `options`, before its header."""
        self._stream = stream
        self._info, self._options = info, options
        self._rate = float(info.rate)
        self._context: Any = None
        self._first: Any = stream.codec_context
        small = options.encoder in SMALL_CLOCK
        self._clock = SMALLER_CLOCK if small else CLOCK
        self._pts = -1
        self._key: int | None = None
        self._since_key = 0

    def encode(self, picture: av.VideoFrame, ticks: int) -> list[Any]:
        """The packets that one more picture gives; `ticks` of CLOCK from the start of the file.

        The picture is left as it was. Raises what FFmpeg raises.
        """
        packets: list[Any] = []
        is_key = self._key is None or ticks - self._key >= KEY_FRAME_EVERY_S * TICKS_PER_S
        if is_key and self._key is not None:
            packets += self._adapted(self._since_key * TICKS_PER_S / (ticks - self._key))
        if self._context is None:
            self._context, self._first = self._set_up(picture), None
        if is_key or self._key is None:
            self._key, self._since_key = ticks, 0
        self._since_key += 1
        own = picture.pict_type, picture.pts, picture.time_base, picture.duration
        picture.pict_type = PictureType.I if is_key else PictureType.NONE
        self._pts = max(self._pts + 1, round(ticks * CLOCK / self._clock))
        picture.pts, picture.time_base, picture.duration = self._pts, self._clock, 0
        try:
            packets += self._ours(self._context.encode(picture))
        finally:
            # The picture is other sinks' too.
            picture.pict_type, picture.pts, picture.time_base, picture.duration = own
        return packets

    def drain(self) -> list[Any]:
        """All that the encoder still holds; the next picture is a key frame."""
        if self._context is None:
            return []
        packets = self._ours(self._context.encode(None))
        self._context = self._key = None
        return packets

    def _adapted(self, rate: float) -> list[Any]:
        """Make the bounds fit the rate that the last second had; what a new encoder drains."""
        rate = min(rate, float(self._info.rate))
        if self._options.encoder not in X264:
            return []
        if SLOWER < rate / self._rate < FASTER or bounds(rate) == bounds(self._rate):
            return []
        self._rate = rate
        return self.drain()

    def _ours(self, packets: list[Any]) -> list[Any]:
        for packet in packets:
            packet.stream, packet.time_base = self._stream, self._clock
        return packets

    def _set_up(self, picture: av.VideoFrame) -> Any:
        """An encoder for pictures like `picture`: the stream's own, later ones just like it."""
        context = self._first
        if context is None:
            context = CodecContext.create(self._options.encoder, "w")
            if bounds(self._rate)[1] == bounds(float(self._info.rate))[1]:
                # Other B-frames, other parameter sets: those stand before each key frame then.
                context.flags |= Flags.global_header
        context.width, context.height = self._info.width, self._info.height
        context.framerate = self._info.rate
        configure(context, self._options)
        context.time_base = self._clock
        context.sample_aspect_ratio = self._info.sample_aspect_ratio
        # Key frames are asked for; this is for encoders that do not listen.
        context.gop_size = max(1, round(2 * KEY_FRAME_EVERY_S * self._info.rate))
        _bound(context, self._options.encoder, self._rate)
        set_colours(context, picture)
        return context


def _bound(context: Any, name: str, rate: float) -> None:
    """Keep what an encoder holds back within HELD_S; what the user asks for goes first."""
    lookahead, b_frames, threads = bounds(rate)
    given = dict(context.options)
    own: dict[str, str] = {}
    if name in X264:
        context.thread_count = threads
        own = {"rc-lookahead": str(lookahead), "bf": str(b_frames), "forced-idr": "1"}
        # Parameter sets that differ must have numbers that differ, or seeking mixes them up.
        params = [f"sync-lookahead=0:sps-id={b_frames}", given.get("x264-params")]
        given["x264-params"] = ":".join(filter(None, params))
    elif name == "libx265":
        # With B-frames it holds seven frames at the least.
        some = "bframes=1:rc-lookahead=2:frame-threads=2"
        ours = some if rate >= X265_HOLDS / HELD_S else "bframes=0:rc-lookahead=0:frame-threads=1"
        own = {"forced-idr": "1"}
        given["x265-params"] = ":".join(filter(None, [ours, given.get("x265-params")]))
    elif name == "libsvtav1":
        params = ["pred-struct=1:lookahead=0", given.get("svtav1-params")]
        given["svtav1-params"] = ":".join(filter(None, params))
    elif name.startswith("libvpx"):
        own = {"lag-in-frames": "0", "deadline": "realtime", "cpu-used": "8"}
    else:
        context.max_b_frames = 0
        if "nvenc" in name:
            own = {"delay": "0", "forced-idr": "1"}
        elif context.codec.capabilities & Capabilities.frame_threads:
            # FFmpeg's own threads hold a frame each, and read it after it has been drawn on.
            context.thread_count = 1
    context.options = own | given
