"""Figures of a data set: sizes with their density, and a batch with its levels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from vidcam.figures.sheet import Sheet, fitted_size, resized, ruled
from vidcam.figures.style import ACCENT, SMALL_PX, SOFT, TITLE_PX, Style
from vidcam.types import Pixels, Rect

MARGIN_PX, HEAD_PX, FOOT_PX, AXIS_PX, GAP_PX = 28, 92, 48, 64, 36
PANEL_PX = 400
# The density is counted on a grid of this many cells a side and smoothed over so many cells.
DENSITY_CELLS, DENSITY_SPREAD = 64, 1.5
CELL_PX, LABEL_PX, LEVELS_PX = 176, 26, 220
MOST_COLUMNS = 8
CHANNELS = {"R": "#c2334d", "G": "#1b8a5a", "B": ACCENT}


def size_scatter(parts: Sequence[tuple[str, NDArray[np.int64]]], style: Style) -> Figure:
    """Widths across and heights up, a panel a part, all with the same axes.

    `parts` are names and sizes (N, 2) in pixels. Each picture is a point, the brighter the more
    pictures are about as large.
    """
    most = max((int(sizes.max()) for _, sizes in parts if len(sizes)), default=1)
    pitch = AXIS_PX + PANEL_PX + GAP_PX
    width = 2 * MARGIN_PX + pitch * len(parts) - GAP_PX
    sheet = Sheet(width, 2 * MARGIN_PX + HEAD_PX + PANEL_PX + FOOT_PX)
    title = style.fit("Sizes of the pictures", size_px=TITLE_PX, width_px=width - 2 * MARGIN_PX)
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, title)
    for number, (name, sizes) in enumerate(parts):
        frame = Rect(MARGIN_PX + AXIS_PX + pitch * number, MARGIN_PX + HEAD_PX, PANEL_PX, PANEL_PX)
        pictures = "1 picture" if len(sizes) == 1 else f"{len(sizes)} pictures"
        heading = style.fit(f"{name}: {pictures}", width_px=PANEL_PX)
        sheet.text(frame.x, frame.y - 34, heading)
        sheet.text(frame.x, frame.y - 12, style.fit("height, pixels", size_px=SMALL_PX), SOFT)
        below = style.fit("width, pixels", size_px=SMALL_PX)
        sheet.text(frame.x + PANEL_PX, frame.y + PANEL_PX + 44, below, SOFT, "right")
        panel = sheet.axes(frame)
        reach = most * 1.05
        dense = density(sizes, reach)
        order = np.argsort(dense, kind="stable")  # the dense ones on top
        panel.scatter(*sizes[order].T, c=dense[order], s=14, cmap="viridis", linewidths=0, zorder=3)
        panel.set(xlim=(0, reach), ylim=(0, reach))
        _ticks(sheet, style, panel, frame, (reach, reach))
    return sheet.figure


def density(sizes: NDArray[np.int64], reach: float) -> NDArray[np.float64]:
    """(N,) how many sizes are near each of (N, 2) sizes, which lie from 0 to `reach`."""
    if not len(sizes):
        return np.zeros(0)
    cells = np.minimum(sizes * DENSITY_CELLS / reach, DENSITY_CELLS - 1).astype(int)
    grid = np.zeros((DENSITY_CELLS, DENSITY_CELLS))
    np.add.at(grid, tuple(cells.T), 1)
    smooth = gaussian_filter(grid, DENSITY_SPREAD, mode="constant")
    return np.asarray(smooth[tuple(cells.T)])


def batch_sheet(
    pixels: Pixels, labels: Sequence[str], style: Style, title: str, notes: Sequence[str] = ()
) -> Figure:
    """A batch (N, S, S, 3) uint8 RGB with a label under each picture, and its levels below.

    `notes` are lines under the title.
    """
    columns = min(MOST_COLUMNS, max(4, round(len(pixels) ** 0.5)))
    rows = -(-len(pixels) // columns)
    pitch = (CELL_PX + 12, CELL_PX + LABEL_PX + 10)
    width = 2 * MARGIN_PX + pitch[0] * columns - 12
    head = 44 + 22 * len(notes)
    bottom = MARGIN_PX + head + pitch[1] * rows
    sheet = Sheet(width, bottom + 40 + LEVELS_PX + FOOT_PX + MARGIN_PX)
    room = width - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    for number, note in enumerate(notes):
        line = style.fit(note, size_px=SMALL_PX, width_px=room)
        sheet.text(MARGIN_PX, MARGIN_PX + 46 + 22 * number, line, SOFT)
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        x = MARGIN_PX + pitch[0] * (number % columns)
        y = MARGIN_PX + head + pitch[1] * (number // columns)
        sheet.picture(x, y, resized(picture, fitted_size(picture, CELL_PX, CELL_PX)))
        sheet.text(x, y + CELL_PX + 20, style.fit(label, size_px=SMALL_PX, width_px=CELL_PX))
    frame = Rect(MARGIN_PX + AXIS_PX, bottom + 40, room - AXIS_PX, LEVELS_PX)
    _levels(sheet, style, frame, pixels)
    return sheet.figure


def _levels(sheet: Sheet, style: Style, frame: Rect, pixels: Pixels) -> None:
    """The share of each level, 0 to 255, per channel."""
    counts = [np.bincount(pixels[..., n].ravel(), minlength=256) for n in range(3)]
    shares = np.array(counts) / max(1, pixels[..., 0].size)
    # A padded or black ground may be half of all: the rest should still be seen.
    top = max(4 * float(np.percentile(shares, 90)), 1e-6)
    top = min(top, float(shares.max()) * 1.05)
    panel = sheet.axes(frame)
    said = "share of the pixels by level"
    sheet.text(frame.x, frame.y - 12, style.fit(said, size_px=SMALL_PX), SOFT)
    x = float(frame.x + frame.width)
    for number, (name, color) in reversed(list(enumerate(CHANNELS.items()))):
        panel.add_line(Line2D(range(256), shares[number], color=color, linewidth=1.1, zorder=3))
        levels = pixels[..., number]
        text = f"{name} {levels.mean():.0f} ± {levels.std():.0f}"
        line = style.fit(text, size_px=SMALL_PX)
        sheet.text(x, frame.y - 12, line, color, "right")
        x -= line.width_px + 18
    below = style.fit("level, 0 to 255", size_px=SMALL_PX)
    sheet.text(frame.x + frame.width, frame.y + frame.height + 44, below, SOFT, "right")
    panel.set(xlim=(0, 255), ylim=(0, top))
    _ticks(sheet, style, panel, frame, (255, top), percent=True)


def _ticks(
    sheet: Sheet, style: Style, panel: Any, frame: Rect, reach: tuple[float, float],
    percent: bool = False,
) -> None:  # fmt: skip
    """Grid and numbers of axes that go from 0 to `reach`; `percent` is for those that go up."""
    across, up = (
        [tick for tick in MaxNLocator(5).tick_values(0, most) if 0 <= tick <= most]
        for most in reach
    )
    panel.set(xticks=across, yticks=up)
    ruled(panel)
    bottom = frame.y + frame.height
    for tick in across:
        x = frame.x + frame.width * tick / reach[0]
        sheet.text(x, bottom + 22, style.fit(f"{tick:g}", size_px=SMALL_PX), SOFT, "center")
    for tick in up:
        y = bottom - frame.height * tick / reach[1]
        text = f"{100 * tick:.3g}%" if percent else f"{tick:g}"
        sheet.text(frame.x - 10, y + 5, style.fit(text, size_px=SMALL_PX), SOFT, "right")
