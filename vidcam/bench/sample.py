"""A clip for measuring where there is none: a camera that moves over a picture made of noise.

The noise has the spectrum of photographs, so that the clip costs what they cost (2026-11, 720p, CPU
per frame, beside sample_media/cat.mp4: x264 veryfast 12.2 and 10.0 ms, decoding 2.6 and 1.8 ms).
"""

from fractions import Fraction
from math import pi, sin
from pathlib import Path

import av
import cv2
import numpy as np

from vidcam import yuv
from vidcam.errors import UsageError, VidcamError
from vidcam.options import EncodeOptions
from vidcam.sinks.file import VideoFileSink
from vidcam.types import Frame, Pixels, Prediction, Rect, Result, StreamInfo

RATE = Fraction(30)
# The picture is periodic: the camera never meets its edge.
TILE_PX = 1024
# Photographs have amplitudes that fall with the spatial frequency to the power of 1 to 1.2.
FALL = 1.2
LUMA_LEVELS, CHROMA_LEVELS = 45, 12
LIMITED_RANGE = 1
SMALLEST_PX, LARGEST_PX = 64, 8192


def make_sample(path: Path, size: tuple[int, int], frames: int) -> None:
    """Write an H.264 clip of `size` (width, height), both even, at 30 fps and without sound.

    Raises UsageError for a size that it does not make, OutputError when it cannot be written.
    """
    width, height = size
    if not all(SMALLEST_PX <= side <= LARGEST_PX and side % 2 == 0 for side in size):
        raise UsageError(
            f"--size {width}x{height}: even numbers from {SMALLEST_PX} to {LARGEST_PX} make a clip"
        )
    sink = VideoFileSink(path, EncodeOptions(), overwrite=True)
    try:
        sink.open(StreamInfo(path.name, path.name, width, height, RATE, 1 / RATE, frames))
        tiles = [noise(TILE_PX, LUMA_LEVELS, 0)]
        tiles += [noise(TILE_PX // 2, CHROMA_LEVELS, seed) for seed in (1, 2)]
        empty = Prediction((), (), Rect(0, 0, width, height))
        for number in range(frames):
            picture = av.VideoFrame(width, height, "yuv420p")
            film(tiles, number, picture)
            picture.pts, picture.time_base, picture.duration = number, 1 / RATE, 1
            picture.colorspace, picture.color_range = yuv.matrix_of(picture), LIMITED_RANGE
            sink.frame(picture, Result(Frame(picture, path.name, number, 0.0), empty, 0.0))
    except BaseException:
        sink.close(VidcamError("the clip was not finished"))
        raise
    sink.close()


def film(tiles: list[Pixels], number: int, picture: av.VideoFrame) -> None:
    """Take frame `number` of the tiles (Y, and U and V at half size) into a picture."""
    time_s = float(number / RATE)
    turn_degrees, zoom = 3 * sin(2 * pi * time_s / 15), 1 + 0.2 * sin(2 * pi * time_s / 20)
    move = cv2.getRotationMatrix2D((picture.width / 2, picture.height / 2), turn_degrees, zoom)
    move[:, 2] += 40 * time_s, 15 * time_s
    for plane, tile, scale in zip(yuv.planes(picture), tiles, (1, 0.5, 0.5), strict=True):
        move_here = move * (1, 1, scale)
        cv2.warpAffine(
            tile, move_here, plane.shape[::-1], dst=plane,
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP,
        )  # fmt: skip


def noise(side_px: int, levels: float, seed: int) -> Pixels:
    """A periodic (S, S) picture around 128, `levels` its standard deviation."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.rfftfreq(side_px))
    frequency[0, 0] = 1
    waves = random.standard_normal((*frequency.shape, 2)) @ (1, 1j) / frequency**FALL
    waves[0, 0] = 0
    picture = np.fft.irfft2(waves, (side_px, side_px))
    return np.asarray(np.clip(128 + picture * (levels / picture.std()), 16, 235), np.uint8)
