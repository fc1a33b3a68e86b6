"""Still pictures drawn on by the overlays of the video side, so that both look the same."""

from collections.abc import Sequence
from dataclasses import replace

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from vidcam import yuv
from vidcam.overlays import Overlay
from vidcam.types import Frame, Pixels, Prediction, Rect, Result

# swscale (FFmpeg 8.1) leaves what it finds in memory in the last columns of planar RGB of another
# width, when nothing is scaled.
WHOLE_PX = 32


def drawn(rgb: Pixels, prediction: Prediction, overlays: Sequence[Overlay]) -> Pixels:
    """A copy (H, W, 3) uint8 RGB of a picture with the overlays drawn on it, in order.

    `prediction.crop` is in its pixels. Colours have half the resolution, as in a JPEG.
    """
    height, width = rgb.shape[:2]
    edges = (0, -height % WHOLE_PX, 0, -width % WHOLE_PX)
    rgb = np.asarray(cv2.copyMakeBorder(rgb, *edges, cv2.BORDER_REPLICATE), np.uint8)
    picture = _yuv_of(rgb)
    inside = replace(prediction, crop=_even(prediction.crop, picture.width, picture.height))
    result = Result(Frame(picture, "", 0, 0.0), inside, 0.0)
    for overlay in overlays:
        overlay.draw(yuv.planes(picture), result)
    return np.ascontiguousarray(_rgb_of(picture)[:height, :width])


def _yuv_of(rgb: Pixels) -> av.VideoFrame:
    height, width = rgb.shape[:2]
    planar = av.VideoFrame(width, height, "gbrp")
    red, green, blue = cv2.split(rgb)
    for plane, channel in zip(yuv.planes(planar), (green, blue, red), strict=True):
        np.copyto(plane, channel)
    planar.color_range = ColorRange.JPEG
    picture = VideoReformatter().reformat(
        planar, format="yuv420p",
        dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.JPEG, interpolation="BICUBIC",
    )  # fmt: skip
    picture.colorspace, picture.color_range = yuv.BT709, ColorRange.JPEG
    return picture


def _rgb_of(picture: av.VideoFrame) -> Pixels:
    planar = VideoReformatter().reformat(
        picture, format="gbrp",
        src_colorspace=Colorspace.ITU709, src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG, interpolation="BICUBIC",
    )  # fmt: skip
    green, blue, red = yuv.planes(planar)
    return np.asarray(cv2.merge((red, green, blue)), np.uint8)


def _even(rect: Rect, width: int, height: int) -> Rect:
    """The nearest rectangle of even numbers inside an even picture."""
    x, y = rect.x & ~1, rect.y & ~1
    right = min(width, (rect.x + rect.width + 1) & ~1)
    bottom = min(height, (rect.y + rect.height + 1) & ~1)
    return Rect(x, y, max(2, right - x), max(2, bottom - y))
