"""Axes from 0 to 1 both ways, and the legend of the lines in them."""

from typing import Any

from vidcam.figures.curves import COLORS, DASHES
from vidcam.figures.sheet import Sheet, ruled
from vidcam.figures.style import INK, SMALL_PX, SOFT, Style
from vidcam.types import Rect

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
ENTRY_PX, SAMPLE_PX = 40, 40


def unit_axes(sheet: Sheet, style: Style, frame: Rect, names: tuple[str, str]) -> Any:
    """matplotlib axes in a rectangle of the sheet; `names` are what goes across and up.

    The numbers need 44 pixels at the left and below, the names 24 above and 48 below.
    """
    panel = sheet.axes(frame)
    panel.set(xlim=(0, 1), ylim=(0, 1), xticks=QUARTERS, yticks=QUARTERS)
    ruled(panel)
    bottom = frame.y + frame.height
    for share in QUARTERS:
        text = style.fit(f"{share:g}", size_px=SMALL_PX)
        sheet.text(frame.x + frame.width * share, bottom + 22, text, SOFT, "center")
        sheet.text(frame.x - 10, bottom - frame.height * share + 5, text, SOFT, "right")
    across, up = (style.fit(name, size_px=SMALL_PX, width_px=frame.width) for name in names)
    sheet.text(frame.x + frame.width, bottom + 44, across, SOFT, "right")
    sheet.text(frame.x, frame.y - 12, up, SOFT)
    return panel


def line_look(number: int | None) -> dict[str, Any]:
    """How the line of a number, up to 12, is told from the others; None is the mean of all."""
    if number is None:
        return {"color": INK, "linewidth": 2.6, "linestyle": "-"}
    dash = DASHES[number % len(DASHES)]
    return {"color": COLORS[number % len(COLORS)], "linewidth": 1.4, "linestyle": dash}


def legend_entry(
    sheet: Sheet, style: Style, at: tuple[int, int], number: int | None, texts: tuple[str, str, int]
) -> None:
    """A line of the legend, its top left corner at `at`; `texts` are name, note and their width."""
    x, y = at
    name, note, width_px = texts
    sheet.line([x, x + SAMPLE_PX], [y + 12] * 2, **line_look(number))
    left = x + SAMPLE_PX + 12
    sheet.text(left, y + 16, style.fit(name, size_px=SMALL_PX + 1, width_px=width_px))
    sheet.text(left, y + 33, style.fit(note, size_px=SMALL_PX - 1, width_px=width_px), SOFT)
