"""The heatmap: where the network looked, blended into the rectangle that it saw.

Opacity grows with the heat, so a part without evidence keeps its colours. The map is coloured at a
fraction of the size and scaled up to that of the chroma planes, one value for four pixels of luma;
no eye tells it from colouring every pixel. A map whose frame is long past fades away.
"""

import cv2
import numpy as np

from vidcam import yuv
from vidcam.overlays import Planes
from vidcam.types import Pixels, Rect, Result

# A coarse pixel: maps are square, so that on video a cell of theirs is wider than high.
COARSE_X, COARSE_Y = 8, 5
# So many of them at least, which are all in a small picture: fewer make stripes of a map's cells.
LEAST_COARSE = 32
# Heat from here on has the full opacity; below, opacity falls with it to nothing.
OPAQUE_FROM = 0.45
# An explanation older than this fades, and is gone after the second time more.
FADES_AFTER_S, FADES_FOR_S = 0.5, 1.0
FADE_STEPS = 32
Tables = tuple[Pixels, Pixels, Pixels]


class Heat:
    """Blends the map of a result with one opacity and colour map."""

    def __init__(self, alpha: float, colormap: str) -> None:
        self._colormap = colormap
        ramp = np.clip(np.arange(256) / 255 / OPAQUE_FROM, 0, 1)
        self._opacity = alpha * ramp * ramp * (3 - 2 * ramp)
        self._tables: dict[tuple[int, bool, int], tuple[Pixels, Tables]] = {}
        self._buffers: dict[tuple[int, int, str], Pixels] = {}

    def draw(self, planes: Planes, result: Result) -> None:
        """As `Overlay`."""
        grid = result.prediction.cam
        step = fade_step(result.age_s)
        if grid is None or not step or not grid.any():
            return
        rect, picture = result.prediction.crop, result.frame.picture
        levels = np.rint(grid * 255).astype(np.uint8)
        half = rect.width // 2, rect.height // 2
        size = _coarse(half[0], rect.width // COARSE_X), _coarse(half[1], rect.height // COARSE_Y)
        coarse = self._scaled(levels, size, cv2.INTER_CUBIC, "levels")
        keep_table, add_tables = self._tables_of(
            yuv.matrix_of(picture), yuv.is_full_range(picture), step
        )
        keep = self._scaled(cv2.LUT(coarse, keep_table), half, cv2.INTER_LINEAR, "keep")
        for shift, plane, table in zip((0, 1, 1), planes, add_tables, strict=True):
            part = part_of(plane, rect, shift)
            add = self._scaled(cv2.LUT(coarse, table), half, cv2.INTER_LINEAR, "add")
            if shift:
                yuv.blend(part, keep, add)
                continue
            wide_keep, wide_add = self._twice(keep, "keep"), self._twice(add, "add")
            for first_row in (0, 1):
                yuv.blend(part[first_row::2], wide_keep, wide_add)

    def _scaled(self, grid: Pixels, size: tuple[int, int], how: int, role: str) -> Pixels:
        buffer = self._buffer(size[1], size[0], role)
        cv2.resize(grid, size, dst=buffer, interpolation=how)
        return buffer

    def _twice(self, grid: Pixels, role: str) -> Pixels:
        """`grid` (h, w) with every column twice, (h, 2 w)."""
        height, width = grid.shape
        buffer = self._buffer(height, 2 * width, role)
        cv2.merge((grid, grid), dst=buffer.reshape(height, width, 2))
        return buffer

    def _buffer(self, height: int, width: int, role: str) -> Pixels:
        key = (height, width, role)
        if key not in self._buffers:
            self._buffers[key] = np.empty((height, width), np.uint8)
        return self._buffers[key]

    def _tables_of(self, matrix: int, full_range: bool, step: int) -> tuple[Pixels, Tables]:
        key = (matrix, full_range, step)
        if key not in self._tables:
            opacity = self._opacity * (step / FADE_STEPS)
            keep = np.rint(255 * (1 - opacity)).astype(np.uint8)
            colours = yuv.colormap_yuv(self._colormap, matrix, full_range)
            weighted = np.floor(colours * opacity[:, None]).astype(np.uint8)
            y, u, v = (np.ascontiguousarray(column) for column in weighted.T)
            self._tables[key] = keep, (y, u, v)
        return self._tables[key]


def fade_step(age_s: float) -> int:
    """How much of the heat is left when its frame is so old: FADE_STEPS is all, 0 nothing."""
    left = 1 - max(0.0, age_s - FADES_AFTER_S) / FADES_FOR_S
    return max(0, round(left * FADE_STEPS))


def _coarse(half: int, coarse: int) -> int:
    return max(2, coarse, min(half, LEAST_COARSE))


def part_of(plane: Pixels, rect: Rect, shift: int) -> Pixels:
    """The view of a plane, subsampled by `shift` bits, that lies under `rect` (even numbers)."""
    x, y = rect.x >> shift, rect.y >> shift
    return plane[y : y + (rect.height >> shift), x : x + (rect.width >> shift)]
