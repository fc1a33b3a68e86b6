"""Whether scores are honest: the share of right answers over the score, and how many there are."""

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from vidcam.figures.sheet import Sheet
from vidcam.figures.style import ACCENT, SMALL_PX, SOFT, TITLE_PX, Style
from vidcam.figures.unit_axes import unit_axes
from vidcam.overlays.words import ENGLISH, say
from vidcam.training.metrics import Calibration
from vidcam.types import Rect

MARGIN_PX, HEAD_PX, FOOT_PX, AXIS_PX, GAP_PX = 28, 104, 48, 40, 48
PANEL_PX = 400
OVERSURE = "#d55e00"
PALE = 0.35
# What the parts of the bars say, and the line.
LEGEND = (
    ("agree", ACCENT, 1.0), ("surer than right", OVERSURE, PALE),
    ("righter than sure", ACCENT, PALE),
)  # fmt: skip
SWATCH_PX, ENTRY_GAP_PX = 14, 26
HONEST = "#98a2b3"


def calibration_diagram(
    calibration: Calibration, style: Style, *, language: str = ENGLISH
) -> Figure:
    """A bar a bin of the top score: as high as the share of right answers, beside the counts.

    On the diagonal a score of 0.8 is right 8 times in 10; orange is what lacks to it, pale blue
    what the answers are better than their scores.
    """
    top, left = MARGIN_PX + HEAD_PX, MARGIN_PX + AXIS_PX
    right = left + PANEL_PX + GAP_PX + AXIS_PX
    sheet = Sheet(right + PANEL_PX + MARGIN_PX + 16, top + PANEL_PX + FOOT_PX + MARGIN_PX)
    title = say("calibration", language, f"{100 * calibration.ece:.1f} %")
    room = sheet.width_px - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    _legend(sheet, style, language)
    size = PANEL_PX, PANEL_PX
    panel, counts = (
        unit_axes(sheet, style, Rect(x, top, *size), (say("score", language), say(up, language)))
        for x, up in ((left, "share right"), (right, "share pictures"))
    )
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
        panel.add_patch(Rectangle((x, sure), height=gap, color=color, alpha=PALE, **box))
        counts.add_patch(Rectangle((x, 0), height=count / total, color=SOFT, **box))
    panel.add_line(Line2D(*np.array([[0, 1], [0, 1]]), color=HONEST, linewidth=1, zorder=4))
    note = style.fit(say("count", language, total), size_px=SMALL_PX)
    sheet.text(right + PANEL_PX, top - 12, note, SOFT, "right")
    return sheet.figure


def _legend(sheet: Sheet, style: Style, language: str) -> None:
    """What the colours say, in a row under the title."""
    x, baseline = float(MARGIN_PX), MARGIN_PX + TITLE_PX + 30
    for phrase, color, alpha in (*LEGEND, ("honest", HONEST, 1.0)):
        if phrase == "honest":
            sheet.line([x, x + SWATCH_PX], [baseline, baseline - 12], color=color, linewidth=1)
        else:
            sheet.bar(x, baseline - 12, (SWATCH_PX, SWATCH_PX), _on_white(color, alpha))
        line = style.fit(say(phrase, language), size_px=SMALL_PX)
        sheet.text(x + SWATCH_PX + 8, baseline, line, SOFT)
        x += SWATCH_PX + 8 + line.width_px + ENTRY_GAP_PX


def _on_white(color: str, alpha: float) -> str:
    """The colour that a transparent one has on the sheet."""
    return to_hex([1 - alpha * (1 - part) for part in to_rgb(color)])
