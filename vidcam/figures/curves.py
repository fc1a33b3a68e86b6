"""Faithfulness curves: the score when the hottest part of a picture goes, or alone stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from vidcam.figures.sheet import Sheet, ruled
from vidcam.figures.style import SMALL_PX, SOFT, TITLE_PX, Style
from vidcam.types import Rect

MARGIN_PX, HEAD_PX, FOOT_PX, GAP_PX = 28, 92, 44, 36
PANEL_PX, AXIS_PX = (430, 380), 36
ENTRY_PX, LEGEND_PX, SAMPLE_PX = 44, 260, 44
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)

Numbers = NDArray[np.floating[Any]]

# Told apart by marker and dashes too, since one reader in twelve does not see all the colours.
COLORS = (
    "#0f6fae", "#d55e00", "#1b8a5a", "#b0479b", "#8a6d00", "#3f3f9f",
    "#c2334d", "#2a9ab8", "#6b6f76", "#7a4a1e", "#5c8f1d", "#1f2430",
)  # fmt: skip
MARKERS = "os^DvPX<>*hd"
DASHES = ("-", "--", "-.", ":", "-")


@dataclass(frozen=True, eq=False)
class Curve:
    """The score of a class, in [0, 1], by the share of the picture that was removed or kept.

    `shares`, `removed` and `kept` are (P,): shares in [0, 1], rising. `note` is the number that
    stands under the name in the legend.
    """

    name: str
    shares: Numbers
    removed: Numbers
    kept: Numbers
    note: str


def score_curves(
    curves: Sequence[Curve],
    style: Style,
    title: str,
    english: str = "",
    *,
    headings: tuple[str, str] = ("hottest part removed", "only the hottest part kept"),
    axes: tuple[str, str] = ("share of the picture", "score of the class"),
) -> Figure:
    """Two panels, one line a method: the hottest part removed, and only the hottest part kept.

    Across goes the share of the picture, 0 to 100 %, up the score of the class, 0 to 1. `headings`
    name the panels and `axes` what goes across and up; `english` stands in for a title that no
    font draws. More than twelve methods cannot be told apart.
    """
    width, height = PANEL_PX
    lefts = [MARGIN_PX + AXIS_PX, MARGIN_PX + 2 * AXIS_PX + width + GAP_PX]
    legend = lefts[1] + width + GAP_PX
    top = MARGIN_PX + HEAD_PX
    body = max(height + FOOT_PX, ENTRY_PX * len(curves))
    sheet = Sheet(legend + LEGEND_PX + MARGIN_PX, top + body + MARGIN_PX)
    room = sheet.width_px - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, english, TITLE_PX, room))
    for left, heading, part in zip(lefts, headings, ("removed", "kept"), strict=True):
        frame = Rect(left, top, width, height)
        sheet.text(left, top - 34, style.fit(heading, width_px=width))
        below = style.fit(axes[0], size_px=SMALL_PX, width_px=width)
        sheet.text(left + width, top + height + FOOT_PX, below, SOFT, "right")
        sheet.text(left, top - 14, style.fit(axes[1], size_px=SMALL_PX, width_px=width), SOFT)
        _panel(sheet, style, frame, [(curve.shares, getattr(curve, part)) for curve in curves])
    for number, curve in enumerate(curves):
        _entry(sheet, style, (legend, top + ENTRY_PX * number), number, curve)
    return sheet.figure


def _look(number: int) -> dict[str, Any]:
    """How the line of a method is drawn, the same in the panels and in the legend."""
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.2,
        "markersize": 4.5,
        "clip_on": False,
    }


def _panel(
    sheet: Sheet, style: Style, frame: Rect, lines: Sequence[tuple[Numbers, Numbers]]
) -> None:
    """Axes with their grid, ticks and lines (shares, scores)."""
    panel = sheet.axes(frame)
    for number, (shares, scores) in enumerate(lines):
        panel.add_line(Line2D(100 * shares, scores, zorder=3, **_look(number)))
    panel.set(xlim=(0, 100), ylim=(0, 1), xticks=range(0, 101, 25), yticks=QUARTERS)
    ruled(panel)
    bottom = frame.y + frame.height
    for share in QUARTERS:
        across, up = frame.x + frame.width * share, bottom - frame.height * share
        sheet.text(across, bottom + 22, style.fit(f"{share:.0%}", size_px=SMALL_PX), SOFT, "center")
        sheet.text(frame.x - 10, up + 5, style.fit(f"{share:g}", size_px=SMALL_PX), SOFT, "right")


def _entry(sheet: Sheet, style: Style, at: tuple[int, int], number: int, curve: Curve) -> None:
    """One method of the legend: its line, name and note, top left corner at `at`."""
    x, y = at
    sheet.line([x, x + SAMPLE_PX / 2, x + SAMPLE_PX], [y + 12] * 3, **_look(number))
    room = LEGEND_PX - SAMPLE_PX - 12
    sheet.text(x + SAMPLE_PX + 12, y + 18, style.fit(curve.name, width_px=room))
    note = style.fit(curve.note, size_px=SMALL_PX, width_px=room)
    sheet.text(x + SAMPLE_PX + 12, y + 36, note, SOFT)
