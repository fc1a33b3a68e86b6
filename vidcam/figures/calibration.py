"""Whether scores are honest: the share of right answers over the score, and how many there are."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from vidcam.figures.sheet import Sheet
from vidcam.figures.style import ACCENT, SMALL_PX, SOFT, TITLE_PX, Style
from vidcam.figures.unit_axes import unit_axes
from vidcam.training.metrics import Calibration
from vidcam.types import Rect

MARGIN_PX, HEAD_PX, FOOT_PX, AXIS_PX, GAP_PX = 28, 96, 48, 40, 48
PANEL_PX = 400
OVERSURE = "#d55e00"
COLOURS_SAY = "orange: surer than right; pale blue: more often right than sure; the line: honest"


def calibration_diagram(calibration: Calibration, style: Style) -> Figure:
    """A bar a bin of the top score: as high as the share of right answers, beside the counts.

    On the diagonal a score of 0.8 is right 8 times in 10; orange is
    what lacks to it, pale blue what the answers are better than their scores.
    """
    top, left = MARGIN_PX + HEAD_PX, MARGIN_PX + AXIS_PX
    right = left + PANEL_PX + GAP_PX + AXIS_PX
    sheet = Sheet(right + PANEL_PX + MARGIN_PX + 16, top + PANEL_PX + FOOT_PX + MARGIN_PX)
    title = f"Calibration: the scores are {100 * calibration.ece:.1f} % from the truth (ECE)"
    room = sheet.width_px - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    note = style.fit(COLOURS_SAY, size_px=SMALL_PX, width_px=room)
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX + 26, note, SOFT)
    size = PANEL_PX, PANEL_PX
    panel = unit_axes(sheet, style, Rect(left, top, *size), ("score", "share of right answers"))
    counts = unit_axes(sheet, style, Rect(right, top, *size), ("score", "share of the pictures"))
    width = calibration.edges[1]
    total = max(1, int(calibration.counts.sum()))
    for edge, count, score, share in zip(
        calibration.edges, calibration.counts, calibration.score, calibration.right, strict=False
    ):
        if not count:
            continue
        box = {"width": 0.9 * width, "linewidth": 0, "zorder": 3}
        x = edge + 0.05 * width
        sure, gap = min(score, share), abs(score - share)
        panel.add_patch(Rectangle((x, 0), height=sure, color=ACCENT, **box))
        color = OVERSURE if score > share else ACCENT
        panel.add_patch(Rectangle((x, sure), height=gap, color=color, alpha=0.35, **box))
        counts.add_patch(Rectangle((x, 0), height=count / total, color=SOFT, **box))
    panel.add_line(Line2D(*np.array([[0, 1], [0, 1]]), color="#98a2b3", linewidth=1, zorder=4))
    note = style.fit(f"{total} pictures", size_px=SMALL_PX)
    sheet.text(right + PANEL_PX, top - 12, note, SOFT, "right")
    return sheet.figure
