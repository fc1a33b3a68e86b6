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

MARGIN_PX, HEAD_PX, NOTE_PX, FOOT_PX, AXIS_PX, GAP_PX = 28, 116, 20, 52, 56, 40
ENTRY_PX = 170
PANEL_PX = (520, 340)
# Told apart by dashes and markers too.
COLORS = (ACCENT, "#d55e00", "#1b8a5a", "#b0479b", "#8a6d00", "#3f3f9f")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
MARKERS = "os^DvP"
MOST_MARKED = 40
CHOSEN = "the chosen one"
HOW_CHOSEN = (
    "Points: the squares that were tried, each at its best. What differs by less than its standard "
    "error counts as even; then the larger square is taken, and crop.",
    "Line: the chosen square, learnt with its mirrored or augmented copies where there are such; "
    "the regularisation of the least loss is taken.",
)

Row = Mapping[str, float | int | str]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Lines over one axis: names and points; `is_share` says that they are shares of 1.

    `ticks` are the places across that have a number, with it; None: evenly spread ones.
    """

    heading: str
    lines: Mapping[str, Points]
    is_share: bool
    ticks: Mapping[float, str] | None = None


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
    title = f"Epoch {best['epoch']} is the best: {_percent(best['val_accuracy'])} right"
    return _figure(title, "epoch", panels, style)


def trial_curves(rows: Sequence[Row], style: Style) -> Figure:
    """Two panels by regularisation, loss and accuracy in cross-validation.

    A point for each square that was tried, and a line for the one that was chosen.
    """
    squares, last = (
        [row for row in rows if row["stage"] == stage] for stage in ("square", "strength")
    )
    ticks = {_log(row): f"{float(row['strength']):g}" for row in rows}
    panels = []
    for what, is_share in (("loss", False), ("accuracy", True)):
        lines = {_square(row): [(_log(row), float(row[f"cv_{what}"]))] for row in squares}
        chosen = CHOSEN if squares else _square(last[0])
        lines[chosen] = [(_log(row), float(row[f"cv_{what}"])) for row in last]
        panels.append(Panel(f"{what} in cross-validation", lines, is_share, ticks))
    best = min(last, key=lambda row: float(row["cv_loss"]))
    title = (
        f"{best['size']} px, {best['fit']} fit, regularisation {float(best['strength']):g}: "
        f"{_percent(best['cv_accuracy'])} right in cross-validation"
    )
    notes = HOW_CHOSEN if squares else HOW_CHOSEN[1:]
    return _figure(title, "regularisation", panels, style, notes)


def _square(row: Row) -> str:
    return f"{row['size']} px {row['fit']}"


def _log(row: Row) -> float:
    return math.log10(float(row["strength"]))


def _percent(share: float | int | str) -> str:
    return f"{100 * float(share):.1f} %"


def _figure(
    title: str, across: str, panels: Sequence[Panel], style: Style, notes: Sequence[str] = ()
) -> Figure:
    width, height = PANEL_PX
    head = HEAD_PX + NOTE_PX * len(notes)
    pitch = AXIS_PX + width + GAP_PX
    sheet = Sheet(
        2 * MARGIN_PX + pitch * len(panels) - GAP_PX, 2 * MARGIN_PX + head + height + FOOT_PX
    )
    room = sheet.width_px - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    for number, note in enumerate(notes):
        line = style.fit(note, size_px=SMALL_PX, width_px=room)
        sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX + 24 + NOTE_PX * number, line, SOFT)
    for number, panel in enumerate(panels):
        frame = Rect(MARGIN_PX + AXIS_PX + pitch * number, MARGIN_PX + head, width, height)
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
    _axis(sheet, style, axes, frame, ((min(xs), max(xs)), _reach(ys, panel.is_share)), panel)


def _reach(ys: Sequence[float], is_share: bool) -> tuple[float, float]:
    """From where to where the values are drawn."""
    low, high = min(ys), max(ys)
    spare = 0.06 * (high - low) or 0.05
    return max(0.0, low - spare), min(1.0, high + spare) if is_share else high + spare


def _ticks(low: float, high: float, whole: bool) -> list[float]:
    ticks = MaxNLocator(6, integer=whole).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def _axis(
    sheet: Sheet, style: Style, axes: Any, frame: Rect,
    reach: tuple[tuple[float, float], tuple[float, float]], panel: Panel,
) -> None:  # fmt: skip
    """Grid and numbers."""
    (left, right), (low, high) = reach
    if left == right:
        left, right = left - 0.5, right + 0.5
    spare = 0.03 * (right - left)
    left, right = left - spare, right + spare
    whole = all(x == int(x) for x in reach[0])
    across = panel.ticks or {x: f"{x:g}" for x in _ticks(left, right, whole)}
    up = _ticks(low, high, False)
    axes.set(xlim=(left, right), ylim=(low, high), xticks=list(across), yticks=up)
    ruled(axes)
    bottom = frame.y + frame.height
    for tick, text in across.items():
        x = frame.x + frame.width * (tick - left) / (right - left)
        sheet.text(x, bottom + 22, style.fit(text, size_px=SMALL_PX), SOFT, "center")
    for tick in up:
        y = bottom - frame.height * (tick - low) / (high - low)
        text = f"{100 * tick:.3g}%" if panel.is_share else f"{tick:.3g}"
        sheet.text(frame.x - 10, y + 5, style.fit(text, size_px=SMALL_PX), SOFT, "right")
