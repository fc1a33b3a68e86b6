"""Make the samples of this folder: ``python sample_media/make.py [OUTDIR]``.

Each clip is a slow camera move over photographs that come inside the scikit-image wheel (all CC0
or public domain, see README.md); nothing is downloaded. The sound of ``cat.mp4`` is synthesised
here. Needs scikit-image from pip besides numpy, OpenCV and PyAV.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from numpy.typing import NDArray

SIZE = (1280, 720)
AUDIO_RATE = 48_000
UPSCALE = 4
AVCOL_SPC_BT709 = 1  # FFmpeg's number for the BT.709 matrix
CONVERSION = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


@dataclass(frozen=True)
class View:
    """What the camera sees: centre and width, as fractions of the picture."""

    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Shot:
    """A move of the camera over one scikit-image picture, ``frames`` frames long."""

    picture: str
    frames: int
    start: View
    end: View


@dataclass(frozen=True)
class Clip:
    """One file: shots joined by hard cuts."""

    name: str
    rate: Fraction
    shots: tuple[Shot, ...]
    sound: bool = False


CAT = (Shot("chelsea", 180, View(0.50, 0.46, 1.00), View(0.47, 0.54, 0.72)),)
COFFEE = (Shot("coffee", 100, View(0.46, 0.32, 0.66), View(0.50, 0.45, 0.98)),)
TOUR = (
    Shot("rocket", 48, View(0.52, 0.60, 0.92), View(0.52, 0.57, 0.76)),
    Shot("chelsea", 48, View(0.50, 0.50, 0.78), View(0.52, 0.46, 0.96)),
    Shot("camera", 48, View(0.54, 0.60, 0.84), View(0.50, 0.45, 0.98)),
    Shot("coffee", 48, View(0.54, 0.42, 0.92), View(0.49, 0.35, 0.74)),
)
CLIPS = (
    Clip("cat.mp4", Fraction(30), CAT, sound=True),
    Clip("coffee.mp4", Fraction(25), COFFEE),
    Clip("tour.mp4", Fraction(24_000, 1001), TOUR),
)
# Two photographs side by side: a picture with two classes in it. Names, and left, top and side of
# the square that is taken of each.
PAIR_NAME, PAIR_PX = "cat-and-coffee.jpg", 480
PAIR = (("chelsea", (72, 0, 300)), ("coffee", (90, 0, 400)))
# Start in seconds, frequency in hertz and pan (0 left, 1 right) of each note: C major pentatonic.
NOTES: tuple[tuple[float, float, float], ...]
NOTES = ((0.1, 261.63, 0.40), (0.7, 329.63, 0.55), (1.3, 392.00, 0.65), (1.9, 523.25, 0.45))
NOTES += ((2.8, 440.00, 0.60), (3.4, 392.00, 0.40), (4.0, 329.63, 0.55), (4.6, 261.63, 0.50))


@cache
def load_picture(name: str) -> NDArray[np.uint8]:
    """Return the scikit-image picture ``name`` as RGB, enlarged so that moves are smooth."""
    try:
        from skimage import data
    except ImportError:
        sys.exit("make.py needs scikit-image for its pictures: pip install scikit-image")
    picture = np.asarray(getattr(data, name)())
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    size = (picture.shape[1] * UPSCALE, picture.shape[0] * UPSCALE)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4), np.uint8)


def render_view(picture: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Return the frame that ``view`` sees, kept inside the picture so that it has no bars."""
    height, width = picture.shape[:2]
    scale = min(view.width * width / SIZE[0], height / SIZE[1])
    half_w, half_h = scale * SIZE[0] / 2, scale * SIZE[1] / 2
    left = np.clip(view.x * width, half_w, width - half_w) - half_w
    top = np.clip(view.y * height, half_h, height - half_h) - half_h
    # Pixel centres lie at half-integers of the picture plane, hence the offset.
    offset = (scale - 1) / 2
    matrix = np.array([[scale, 0, left + offset], [0, scale, top + offset]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    frame = cv2.warpAffine(picture, matrix, SIZE, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(frame, np.uint8)


def shot_views(shot: Shot) -> Iterator[View]:
    """Yield the view of each frame: an eased move whose zoom is even to the eye."""
    for index in range(shot.frames):
        t = index / (shot.frames - 1)
        ease = t * t * (3 - 2 * t)
        width = shot.start.width * (shot.end.width / shot.start.width) ** ease
        # Pan in step with the width, so that zoom and pan share one fixed point.
        change = shot.end.width - shot.start.width
        share = (width - shot.start.width) / change if change else ease
        yield View(
            shot.start.x + (shot.end.x - shot.start.x) * share,
            shot.start.y + (shot.end.y - shot.start.y) * share,
            width,
        )


def synthesise(seconds: float) -> NDArray[np.float32]:
    """Return soft stereo notes that ring and fade, shaped (2, samples)."""
    time = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    sound = np.zeros((2, time.size))
    for start, hertz, pan in NOTES:
        t = np.maximum(time - start, 0.0)
        attack = 1 - np.exp(-t / 0.012)
        note = np.zeros_like(t)
        for harmonic, level, decay in ((1, 1.0, 0.9), (2, 0.25, 0.5), (3, 0.08, 0.3)):
            note += level * np.exp(-t / decay) * np.sin(2 * np.pi * harmonic * hertz * t)
        sound += np.array([[np.cos(pan * np.pi / 2)], [np.sin(pan * np.pi / 2)]]) * attack * note
    sound *= np.clip((seconds - time) / 0.6, 0.0, 1.0)
    return np.asarray(0.3 * sound / np.abs(sound).max(), np.float32)


def add_video(container: av.container.OutputContainer, rate: Fraction) -> av.VideoStream:
    """Add an H.264 High stream tagged BT.709, limited range."""
    options = {"profile": "high", "preset": "slow", "crf": "19"}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height = SIZE
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.gop_size = round(rate) * 2
    context.thread_type = "FRAME"
    context.thread_count = 2  # fixed: the number of threads changes what x264 writes
    context.colorspace = AVCOL_SPC_BT709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.color_range = ColorRange.MPEG
    return stream


def to_yuv(image: NDArray[np.uint8]) -> av.VideoFrame:
    """Convert an RGB image to limited-range YUV with the BT.709 matrix."""
    return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=CONVERSION,
    )


def write_clip(clip: Clip, path: Path) -> None:
    """Render ``clip`` and write it to ``path``."""
    pictures = [load_picture(shot.picture) for shot in clip.shots]
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = add_video(container, clip.rate)
        if clip.sound:
            audio = container.add_stream("aac", rate=AUDIO_RATE, layout="stereo")
            audio.codec_context.bit_rate = 96_000
            seconds = float(sum(shot.frames for shot in clip.shots) / clip.rate)
            sound = av.AudioFrame.from_ndarray(synthesise(seconds), "fltp", "stereo")
            sound.sample_rate, sound.time_base = AUDIO_RATE, Fraction(1, AUDIO_RATE)
            sound.pts = 0  # so that the encoder's priming gets a negative time and is skipped
            container.mux(audio.encode(sound))
            container.mux(audio.encode(None))
        pairs = zip(pictures, clip.shots, strict=True)
        images = (
            render_view(picture, view) for picture, shot in pairs for view in shot_views(shot)
        )
        for pts, image in enumerate(images):
            frame = to_yuv(image)
            frame.pts, frame.time_base = pts, 1 / clip.rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


def write_pair(path: Path) -> None:
    """Write the picture of a cat and an espresso."""
    halves = []
    for name, (left, top, side) in PAIR:
        rgb = load_picture(name)
        rows, columns = (slice(UPSCALE * edge, UPSCALE * (edge + side)) for edge in (top, left))
        square = rgb[rows, columns]
        halves.append(cv2.resize(square, (PAIR_PX, PAIR_PX), interpolation=cv2.INTER_AREA))
    bgr = cv2.cvtColor(np.hstack(halves), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])


def main() -> None:
    """Write all samples into the folder named on the command line, or beside this script."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    write_pair(folder / PAIR_NAME)
    for clip in CLIPS:
        path = folder / clip.name
        write_clip(clip, path)
        sys.stderr.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
