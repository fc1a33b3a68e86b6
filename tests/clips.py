"""Small clips for tests, made with PyAV, and the way back: their packets and pictures."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidcam.options import FileOptions
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source
from vidcam.types import Frame, Prediction, Rect, Result

BT709, BT601 = 1, 6
LIMITED, FULL = 1, 2
SOUND_RATE = 48_000
# What QuickTime's tkhd holds for a picture that players turn clockwise: x' = a x + c y and
# y' = b x + d y with y downwards, as 16.16 numbers a b u c d v x y w.
TKHD_TURNS = {
    90: (0, 1, 0, -1, 0, 0, 0, 0, 0x4000),
    180: (-1, 0, 0, 0, -1, 0, 0, 0, 0x4000),
    270: (0, -1, 0, 1, 0, 0, 0, 0, 0x4000),
}
Planes = tuple[np.ndarray, np.ndarray, np.ndarray]


def scene(index: int, width: int, height: int, full: bool = False) -> Planes:
    """Full-size Y, U, V of a soft moving pattern that fills the whole range."""
    y, x = np.mgrid[:height, :width]
    x, y, phase = x / width, y / height, index / 24
    low, high = (0, 255) if full else (16, 235)
    luma = low + (high - low) * (0.5 + 0.5 * np.cos(2 * np.pi * (x + phase)))
    u = 128 + 90 * np.cos(np.pi * (y + phase))
    v = 128 + 90 * np.sin(np.pi * (x + y + phase))
    return luma, u, v


def quadrants(index: int, width: int, height: int, full: bool = False) -> Planes:
    """Full-size Y, U, V; top left is brightest, then top right, bottom left, bottom right."""
    del index, full
    luma = np.full((height, width), 220.0)
    luma[:, width // 2 :] -= 60
    luma[height // 2 :] -= 120
    return luma, np.full_like(luma, 128), np.full_like(luma, 128)


def quadrants_of(luma: np.ndarray) -> list[int]:
    """The levels of the four quadrants, as `quadrants` lists them, rounded to its steps of 60."""
    height, width = luma.shape
    parts = [luma[a : a + height // 2, b : b + width // 2] for a, b in
             ((0, 0), (0, width // 2), (height // 2, 0), (height // 2, width // 2))]  # fmt: skip
    return [round((float(part.mean()) - 40) / 60) for part in parts]


def picture_of(planes: Planes, pix_fmt: str) -> av.VideoFrame:
    """A picture of any planar YUV format, or by swscale of another, from full-size planes."""
    height, width = planes[0].shape
    layout = av.VideoFormat(pix_fmt, width, height)
    if layout.is_rgb or not layout.is_planar:
        return picture_of(planes, "yuv444p").reformat(format=pix_fmt)
    frame = av.VideoFrame(width, height, pix_fmt)
    depth = layout.components[0].bits
    dtype = np.dtype(np.uint8 if depth == 8 else "<u2")
    for full_size, plane in zip(planes, frame.planes, strict=False):
        across, down = round(width / plane.width), round(height / plane.height)
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        sampled = full_size[::down, ::across] * (1 << (depth - 8))
        rows[:, : plane.width] = np.rint(sampled[: plane.height, : plane.width])
    return frame


def planes_of(frame: av.VideoFrame) -> Planes:
    """Y, U, V of a planar YUV picture as 8-bit 4:2:0 in float, by plain arithmetic."""
    depth = frame.format.components[0].bits
    dtype = np.dtype(np.uint8 if depth == 8 else "<u2")
    width, height = frame.width // 2 * 2, frame.height // 2 * 2
    found = []
    for number, plane in enumerate(frame.planes[:3]):
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width]
        levels = rows.astype(float) / (1 << (depth - 8))
        target = (height, width) if number == 0 else (height // 2, width // 2)
        down, across = (round(rows.shape[n] / target[n]) for n in (0, 1))
        levels = levels[: target[0] * down, : target[1] * across]
        shaped = levels.reshape(target[0], down, target[1], across)
        found.append(shaped.mean((1, 3)))
    return tuple(found)


def make_clip(
    path: Path,
    *,
    frames: int = 24,
    size: tuple[int, int] = (160, 96),
    rate: Fraction | int = 24,
    encoder: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    muxer: str | None = None,
    muxer_options: dict[str, str] | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    last_duration: int | None = None,
    matrix: int = 2,
    full: bool = False,
    primaries: int = 2,
    transfer: int = 2,
    aspect: Fraction | None = None,
    picture: Callable[..., Planes] = scene,
    sound: Sequence[str] = (),
    sound_rate: int = SOUND_RATE,
    sound_s: float | None = None,
    tracks: Sequence[tuple[int, int]] = (),
) -> Path:
    """A clip at `path`. `pts` (in `time_base`) gives each frame's time, `sound` the encoders of
    its sound tracks, `tracks` the sizes of further video tracks before the main one."""
    time_base = time_base or 1 / Fraction(rate)
    pts = range(frames) if pts is None else pts
    with av.open(str(path), "w", format=muxer, options=muxer_options or {}) as container:
        videos = []
        for width, height in (*tracks, size):
            stream = container.add_stream(encoder, rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            context = stream.codec_context
            # Quick and of good quality; what an encoder does not know it is not told.
            names = {option.name for option in context.supported_options.private}
            usual = {"preset": "ultrafast" if "x26" in encoder else "8", "crf": "10"}
            context.options = {k: v for k, v in usual.items() if k in names} | (options or {})
            if encoder in ("mpeg4", "mjpeg", "mpeg2video"):
                context.bit_rate = 4_000_000
            context.time_base = time_base
            context.colorspace, context.color_range = matrix, FULL if full else LIMITED
            context.color_primaries, context.color_trc = primaries, transfer
            if aspect:
                context.sample_aspect_ratio = aspect
            videos.append(stream)
        if tracks:
            for stream in videos[:-1]:
                stream.disposition = 0
            videos[-1].disposition = av.stream.Disposition.default
        sounds = [sound_track(container, name, sound_rate) for name in sound]
        for n, time in enumerate(pts):
            for stream in videos:
                frame = picture_of(picture(n, stream.width, stream.height, full), pix_fmt)
                frame.pts, frame.time_base = time, time_base
                frame.colorspace, frame.color_range = matrix, FULL if full else LIMITED
                frame.color_primaries, frame.color_trc = primaries, transfer
                _mux(container, stream.encode(frame), pts[-1], last_duration)
            for number, stream in enumerate(sounds):
                hum(container, stream, float((time + 1) * time_base), 330 * (number + 1))
        for stream in videos:
            _mux(container, stream.encode(None), pts[-1], last_duration)
        for number, stream in enumerate(sounds):
            hum(container, stream, sound_s or 0.0, 330 * (number + 1))
            container.mux(stream.encode(None))
    return path


def _mux(container, packets, last_pts: int, last_duration: int | None) -> None:
    for packet in packets:
        if last_duration and packet.pts == last_pts:
            packet.duration = last_duration
        container.mux(packet)


def sound_track(container, name: str, rate: int = SOUND_RATE):
    """A stereo sound track for `hum`."""
    stream = container.add_stream(name, rate=rate, layout="stereo")
    stream.codec_context.options = {"strict": "experimental"}
    stream.metadata["hum_samples"] = "0"
    return stream


def hum(container, stream, until_s: float, hertz: int) -> None:
    """Encode a tone up to `until_s`, in pieces of the encoder's size."""
    context = stream.codec_context
    done = int(stream.metadata["hum_samples"])
    if not context.is_open:
        context.open()
    piece = context.frame_size or 960
    while (done + piece) / context.sample_rate <= until_s:
        seconds = (done + np.arange(piece)) / context.sample_rate
        tone = np.rint(8000 * np.sin(2 * np.pi * hertz * seconds)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = (
            context.sample_rate, done, Fraction(1, context.sample_rate),
        )  # fmt: skip
        for fitting in av.AudioResampler(context.format.name, "stereo").resample(frame):
            container.mux(stream.encode(fitting))
        done += piece
    stream.metadata["hum_samples"] = str(done)


def turn_clockwise(path: Path, degrees: int) -> None:
    """Patch an mp4's first track so that players turn its picture clockwise, as phones do."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    for number, value in enumerate(TKHD_TURNS[degrees]):
        fixed = (value << 16) if number != 8 else 1 << 30
        data[matrix + 4 * number : matrix + 4 * number + 4] = (fixed & 0xFFFFFFFF).to_bytes(4)
    path.write_bytes(data)


def packets(path: Path, kind: str = "video", number: int = 0) -> list[tuple[Fraction, bytes]]:
    """Presentation time and bytes of each packet of one track, in order of time."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[number]
        found = [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]
    return sorted(found, key=lambda pair: pair[0])


def times(path: Path, kind: str = "video") -> list[Fraction]:
    """Presentation times of the packets of the first track."""
    return [time for time, _ in packets(path, kind)]


def decode(path: Path) -> list[av.VideoFrame]:
    """All pictures of the first video track."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def read(path: Path | str, **options: object) -> list[Frame]:
    """All frames that a source gives."""
    source = open_source(str(path), FileOptions(**options), audio=False)
    try:
        return [item for item in source if isinstance(item, Frame)]
    finally:
        source.close()


def blank(frame: Frame) -> Result:
    """A result that says nothing."""
    crop = Rect(0, 0, frame.picture.width, frame.picture.height)
    return Result(frame, Prediction((), (), crop), 0.0)


def convert(origin: Path | str, target: Path, **options: object):
    """From source to sink without a network, as the pipeline does it; returns the closed source."""
    parsed = FileOptions(**options)
    source = open_source(str(origin), parsed, parsed.audio)
    try:
        sink = VideoFileSink(target, parsed)
        try:
            sink.open(source.info)
            for item in source:
                if isinstance(item, Frame):
                    sink.frame(item.picture, blank(item))
                else:
                    sink.audio(item)
        except BaseException as error:
            sink.close(error)
            raise
        sink.close()
    finally:
        source.close()
    return source


def mean_errors(one: av.VideoFrame, other: av.VideoFrame) -> list[float]:
    """Mean difference of Y, U and V, in levels."""
    pairs = zip(planes_of(one), planes_of(other), strict=True)
    return [float(np.abs(a - b).mean()) for a, b in pairs]


@contextmanager
def said(level: int = logging.WARNING) -> Iterator[list[str]]:
    """What vidcam logs in the block, from a level on; works whatever handlers a test has set."""
    lines: list[str] = []
    handler = logging.Handler(level)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("vidcam")
    before = log.level
    log.addHandler(handler)
    log.setLevel(level)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
