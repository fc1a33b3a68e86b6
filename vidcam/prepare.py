"""What the network sees of a picture: the rectangle, and its pixels at model size.

One swscale call a frame goes straight from the picture's YUV planes to the network's square, and
only the part that the network sees is read.
"""

from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from vidcam import yuv
from vidcam.errors import UsageError
from vidcam.types import Map, Pixels, Rect

PAD_GREY = 114
# Narrower regions than this hold no picture worth classifying.
SMALLEST_PX = 4
# A map is cut at an eighth of its cells.
FINE = 8


@dataclass(frozen=True)
class Geometry:
    """How a picture becomes the network's square.

    `size` is the square's side. `crop` takes the centre square whose side is `crop_share` of the
    shorter side (timm's crop_pct), `pad` fits the whole picture in and fills with grey, `stretch`
    squeezes it. `roi` is x, y, width, height in pixels, or in fractions when none is above 1.
    """

    size: int
    fit: str
    crop_share: float = 1.0
    roi: tuple[float, float, float, float] | None = None

    def region(self, width: int, height: int) -> Rect:
        """The rectangle that the network sees of a picture of this size. Raises UsageError."""
        base = self._roi_of(width, height)
        if self.fit != "crop":
            return base
        side = max(SMALLEST_PX, round(min(base.width, base.height) * self.crop_share))
        side = min(side - side % 2, base.width, base.height)
        x = base.x + (base.width - side) // 2
        y = base.y + (base.height - side) // 2
        return Rect(x - x % 2, y - y % 2, side, side)

    def _roi_of(self, width: int, height: int) -> Rect:
        if self.roi is None:
            return Rect(0, 0, width, height)
        scale = (width, height) if max(self.roi) <= 1 else (1, 1)
        left, top = self.roi[0] * scale[0], self.roi[1] * scale[1]
        right = min(width, left + self.roi[2] * scale[0])
        bottom = min(height, top + self.roi[3] * scale[1])
        x, y = round(left) & ~1, round(top) & ~1
        roi_width, roi_height = (round(right) - x) & ~1, (round(bottom) - y) & ~1
        if roi_width < SMALLEST_PX or roi_height < SMALLEST_PX:
            text = ",".join(f"{number:g}" for number in self.roi)
            raise UsageError(f"--roi {text} leaves nothing of a picture of {width}x{height}")
        return Rect(x, y, roi_width, roi_height)


class Preparer:
    """Fills rows of a batch with the model pixels of pictures; reuses its buffers."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self._reformatter = VideoReformatter()
        self._region: av.VideoFrame | None = None

    def __call__(self, picture: av.VideoFrame, out: Pixels) -> Rect:
        """Write (S, S, 3) uint8 RGB of `picture` into `out`; returns what the network sees."""
        rect = self.geometry.region(picture.width, picture.height)
        matrix = yuv.sws_matrix(yuv.matrix_of(picture))
        part = picture
        if (rect.width, rect.height) != (picture.width, picture.height):
            if self._region is None or (self._region.width, self._region.height) != (
                rect.width, rect.height,
            ):  # fmt: skip
                self._region = av.VideoFrame(rect.width, rect.height, "yuv420p")
            part = yuv.crop(picture, rect, self._region)
        size = self.geometry.size
        if self.geometry.fit != "pad":
            self._scale(part, out, matrix)
            return rect
        shrink = size / max(rect.width, rect.height)
        inner_width, inner_height = (
            max(1, round(side * shrink)) for side in (rect.width, rect.height)
        )
        x, y = (size - inner_width) // 2, (size - inner_height) // 2
        out[:] = PAD_GREY
        self._scale(part, out[y : y + inner_height, x : x + inner_width], matrix)
        return rect

    def _scale(self, picture: av.VideoFrame, out: Pixels, matrix: int) -> None:
        height, width = out.shape[:2]
        full = yuv.is_full_range(picture)
        # To planes: swscale writes packed RGB by slower code, 2 levels too dark.
        planar = self._reformatter.reformat(
            picture, width, height, "gbrp",
            src_colorspace=matrix,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation="AREA",
            threads=1,
        )  # fmt: skip
        green, blue, red = yuv.planes(planar)
        np.copyto(out, cv2.merge((red, green, blue)))


def map_on_picture(geometry: Geometry, rect: Rect, grid: Map) -> Map:
    """The part of a map (h, w) over the network's square that lies on `rect` of the picture.

    Only `pad` differs: its grey bars are no picture, so their share of the map is cut off.
    """
    if geometry.fit != "pad" or rect.width == rect.height:
        return grid
    rows, columns = grid.shape
    long_side = max(rect.width, rect.height)
    fine: Map = cv2.resize(grid, (columns * FINE, rows * FINE), interpolation=cv2.INTER_LINEAR)
    margin_y = _margin(rows * FINE, rect.height / long_side)
    margin_x = _margin(columns * FINE, rect.width / long_side)
    return fine[margin_y : rows * FINE - margin_y, margin_x : columns * FINE - margin_x]


def _margin(cells: int, share: float) -> int:
    """How many of `cells` are cut on each side so that `share` is left, and one at least."""
    return min(round(cells * (1 - share) / 2), (cells - 1) // 2)
