"""How a training went: loss and accuracy by epoch, or by regularisation for a solved head."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vidcam.figures.sheet import Sheet, ruled
from vidcam.figures.style import ACCENT, SMALL_PX, SOFT, TITLE_PX, Style
from vidcam.types import Rect

MARGIN_PX, HEAD_PX, FOOT_PX, AXIS_PX, GAP_PX = 28, 116, 52, 56, 40
ENTRY_PX = 170
PANEL_PX = (520, 340)
# Told apart by dashes and markers too.
COLORS = (ACCENT, "#d55e00", "#1b8a5a", "#b0479b", "#8a6d00", "#3f3f9f")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
MARKERS = "os^DvP"
MOST_MARKED = 40

Row = Mapping[str, float | int | str]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Lines over one axis: names and points; `is_share` says that they are shares of 1."""

    heading: str
    lines: Mapping[str, Points]
    is_share: bool


def epoch_curves(rows: Sequence[Row], style: Style) -> Figure:
    """Two panels by epoch, loss and accuracy, each of training and validation pictures."""
    panels = []
    for what, is_share in (("loss", False), ("accuracy", True)):
        lines = {
            name: [(float(row["epoch"]), float(row[f"{part}_{what}"])) for row in rows]
            for name, part in (("training", "train"), ("validation", "val"))
        }
        panels.append(Panel(what, lines, is_share))
    best = max(rows, key=lambda row: (float(row["val_accuracy"]), -float(row["val_loss"])))
    title = f"Epoch {best['epoch']} is the best: {float(best['val_accuracy']):.1%} right"
    return _figure(title, "epoch", panels, style)


def trial_curves(rows: Sequence[Row], style: Style) -> Figure:
    """Two panels by regularisation, loss and accuracy in cross-validation, a line a square.

    The last row is of the square that was chosen.
    """
    panels = []
    for what, is_share in (("loss", False), ("accuracy", True)):
        lines: dict[str, dict[float, float]] = {}
        for row in rows:
            points = lines.setdefault(f"{row['size']} px {row['fit']}", {})
            points[math.log10(float(row["strength"]))] = float(row[f"cv_{what}"])
        listed = {name: list(points.items()) for name, points in lines.items()}
        panels.append(Panel(f"{what} in cross-validation", listed, is_share))
    last = rows[-1]
    own = [row for row in rows if (row["size"], row["fit"]) == (last["size"], last["fit"])]
    best = min(own, key=lambda row: float(row["cv_loss"]))
    title = f"{best['size']} px, {best['fit']} fit: {float(best['cv_accuracy']):.1%} right"
    return _figure(title, "regularisation, log10", panels, style)


def _figure(title: str, across: str, panels: Sequence[Panel], style: Style) -> Figure:
    width, height = PANEL_PX
    pitch = AXIS_PX + width + GAP_PX
    sheet = Sheet(
        2 * MARGIN_PX + pitch * len(panels) - GAP_PX, 2 * MARGIN_PX + HEAD_PX + height + FOOT_PX
    )
    room = sheet.width_px - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    for number, panel in enumerate(panels):
        frame = Rect(MARGIN_PX + AXIS_PX + pitch * number, MARGIN_PX + HEAD_PX, width, height)
        sheet.text(frame.x, frame.y - 62, style.fit(panel.heading))
        below = style.fit(across, size_px=SMALL_PX)
        sheet.text(frame.x + width, frame.y + height + 44, below, SOFT, "right")
        _draw(sheet, style, frame, panel)
    return sheet.figure


def _draw(sheet: Sheet, style: Style, frame: Rect, panel: Panel) -> None:
    axes = sheet.axes(frame)
    columns = frame.width // ENTRY_PX
    for number, (name, points) in enumerate(panel.lines.items()):
        look: dict[str, Any] = {
            "color": COLORS[number % len(COLORS)], "linewidth": 1.4, "zorder": 3, "markersize": 4,
            "linestyle": DASHES[number % len(DASHES)],
            "marker": MARKERS[number % len(MARKERS)] if len(points) < MOST_MARKED else "",
        }  # fmt: skip
        axes.add_line(Line2D(*zip(*sorted(points), strict=True), **look))
        x, y = frame.x + ENTRY_PX * (number % columns), frame.y - 36 + 20 * (number // columns)
        sheet.line([x, x + 14, x + 28], [y - 4] * 3, **look)
        sheet.text(x + 40, y, style.fit(name, size_px=SMALL_PX, width_px=ENTRY_PX - 46), SOFT)
    xs = [x for points in panel.lines.values() for x, _ in points]
    ys = [y for points in panel.lines.values() for _, y in points]
    _axis(
        sheet, style, axes, frame, ((min(xs), max(xs)), _reach(ys, panel.is_share)), panel.is_share
    )


def _reach(ys: Sequence[float], is_share: bool) -> tuple[float, float]:
    """From where to where the values are drawn."""
    low, high = min(ys), max(ys)
    spare = 0.06 * (high - low) or 0.05
    return max(0.0, low - spare), min(1.0, high + spare) if is_share else high + spare


def _axis(
    sheet: Sheet, style: Style, axes: Any, frame: Rect,
    reach: tuple[tuple[float, float], tuple[float, float]], is_share: bool,
) -> None:  # fmt: skip
    """Grid and numbers."""
    (left, right), (low, high) = reach
    if left == right:
        left, right = left - 0.5, right + 0.5
    spare = 0.03 * (right - left)
    left, right = left - spare, right + spare
    across, up = (
        [
            tick
            for tick in MaxNLocator(6, integer=whole).tick_values(*ends)
            if ends[0] <= tick <= ends[1]
        ]
        for ends, whole in (
            ((left, right), all(x == int(x) for x in reach[0])),
            ((low, high), False),
        )
    )
    axes.set(xlim=(left, right), ylim=(low, high), xticks=across, yticks=up)
    ruled(axes)
    bottom = frame.y + frame.height
    for tick in across:
        x = frame.x + frame.width * (tick - left) / (right - left)
        sheet.text(x, bottom + 22, style.fit(f"{tick:g}", size_px=SMALL_PX), SOFT, "center")
    for tick in up:
        y = bottom - frame.height * (tick - low) / (high - low)
        text = f"{100 * tick:.3g}%" if is_share else f"{tick:.3g}"
        sheet.text(frame.x - 10, y + 5, style.fit(text, size_px=SMALL_PX), SOFT, "right")
