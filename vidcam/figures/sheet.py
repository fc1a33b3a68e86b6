"""A white sheet in pixels on which figures are drawn, and its way into a file."""

import gc
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import BboxImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import Affine2D, Bbox, TransformedBbox
from PIL import Image

from vidcam.figures.style import DPI, GROUND, INK, RULE, SOFT, Line, plain_settings
from vidcam.sinks.partial import write_whole
from vidcam.types import Pixels, Rect

# Photographs hardly shrink with more, and 9 takes ten times as long.
PNG_LEVEL = 3
# A drawn figure is a ring of references that holds its pixels. Python's collector counts objects,
# not bytes: hundreds of megabytes would wait for it.
WAITING_BYTES = 128_000_000
_waiting = {"bytes": 0}


class Sheet:
    """A matplotlib figure of a size in pixels; (0, 0) is its top left corner, y grows downwards."""

    def __init__(self, width_px: int, height_px: int) -> None:
        if _waiting["bytes"] > WAITING_BYTES:
            gc.collect()
            _waiting["bytes"] = 0
        size = (width_px / DPI, height_px / DPI)
        with plain_settings():
            self.figure = Figure(size, dpi=DPI, facecolor=GROUND)
        FigureCanvasAgg(self.figure)
        self.width_px, self.height_px = width_px, height_px
        self._place = (
            Affine2D().scale(1 / DPI, -1 / DPI).translate(0, size[1]) + self.figure.dpi_scale_trans
        )

    def text(
        self, x: float, baseline: float, line: Line, color: str = INK, align: str = "left"
    ) -> None:
        """Write a line on a baseline; `align` says which end of it, or its "center", is at `x`."""
        self.figure.text(
            x, baseline, line.text, transform=self._place, fontproperties=line.font, color=color,
            horizontalalignment=align, verticalalignment="baseline", parse_math=False,
            usetex=False,
        )  # fmt: skip

    def bar(self, x: float, y: float, size: tuple[float, float], color: str) -> None:
        """Fill a rectangle of a size (width, height) in pixels."""
        self.figure.add_artist(
            Rectangle((x, y), *size, transform=self._place, color=color, linewidth=0)
        )

    def picture(self, x: int, y: int, rgb: Pixels) -> None:
        """Put a picture (H, W, 3) uint8 with its top left corner at a pixel, pixel for pixel."""
        height, width = rgb.shape[:2]
        box = TransformedBbox(Bbox([[x, y], [x + width, y + height]]), self._place)
        image = BboxImage(box, interpolation="nearest", origin="upper")
        image.set_data(rgb)
        self.figure.add_artist(image)

    def line(self, xs: Sequence[float], ys: Sequence[float], **look: Any) -> None:
        """Draw a line through points; `look` is what matplotlib's Line2D takes."""
        self.figure.add_artist(Line2D(xs, ys, transform=self._place, **look))

    def axes(self, frame: Rect) -> Any:
        """matplotlib axes whose frame is a rectangle of the sheet."""
        bottom = self.height_px - frame.y - frame.height
        width, height = self.width_px, self.height_px
        with plain_settings():
            return self.figure.add_axes(
                (frame.x / width, bottom / height, frame.width / width, frame.height / height)
            )


def ruled(panel: Any) -> None:
    """Give axes their rules at the ticks, below what is drawn, and no numbers of their own."""
    panel.set(xticklabels=[], yticklabels=[])
    panel.tick_params(length=0)
    panel.grid(color=RULE, linewidth=0.5)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set(color=SOFT, linewidth=0.7)


def fitted_size(rgb: Pixels, width_px: int, height_px: int) -> tuple[int, int]:
    """The largest (width, height) of a picture's own aspect in a box, at least one pixel."""
    height, width = rgb.shape[:2]
    scale = min(width_px / width, height_px / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resized(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    """A picture (H, W, 3) uint8 at a size (width, height): averaged down or interpolated up."""
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    shrinks = size[0] * size[1] < rgb.shape[0] * rgb.shape[1]
    small = cv2.resize(
        np.ascontiguousarray(rgb),
        size,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return np.asarray(small, np.uint8)


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file (RGB), at the figure's own size in pixels."""
    canvas = (
        figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    )
    with plain_settings():
        canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    _waiting["bytes"] += pixels.nbytes
    rgb = pixels[..., :3]
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(data, "PNG", compress_level=PNG_LEVEL)
    return data.getvalue()


def save(figure: Figure, path: Path, overwrite: bool) -> None:
    """Write a figure as PNG; the file has its name only when it is whole.

    Raises UsageError when the name is taken or its folder is missing, OutputError when the system
    refuses the writing.
    """
    write_whole(path, overwrite, lambda partial: partial.write_bytes(png(figure)))
