"""Precision over recall, and true over false positives: a line a class, and their mean."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vidcam.figures.sheet import Sheet
from vidcam.figures.style import TITLE_PX, Style
from vidcam.figures.unit_axes import ENTRY_PX, SAMPLE_PX, legend_entry, line_look, unit_axes
from vidcam.overlays.words import ENGLISH, say
from vidcam.training.metrics import ClassCurves, mean_curves
from vidcam.types import Rect

MARGIN_PX, HEAD_PX, FOOT_PX, AXIS_PX, GAP_PX = 28, 84, 48, 40, 40
PANEL_PX, NAME_PX = 440, 220
# More lines cannot be told apart.
MOST_LINES = 12


def rate_curves(curves: Sequence[ClassCurves], style: Style, *, language: str = ENGLISH) -> Figure:
    """Two panels, precision and recall at the left, ROC at the right, with AP and AUC per class.

    Of more than twelve classes those with the lowest AP have lines; the mean is of all.
    """
    drawn = list(curves)
    title = say("rates", language)
    if len(drawn) > MOST_LINES:
        drawn = sorted(drawn, key=lambda one: one.ap)[:MOST_LINES]
        title = say("rates part", language, MOST_LINES, len(curves))
    top = MARGIN_PX + HEAD_PX
    lefts = [MARGIN_PX + AXIS_PX, MARGIN_PX + 2 * AXIS_PX + PANEL_PX + GAP_PX]
    legend = lefts[1] + PANEL_PX + GAP_PX
    body = max(PANEL_PX + FOOT_PX, ENTRY_PX * (len(drawn) + 1))
    sheet = Sheet(legend + SAMPLE_PX + 12 + NAME_PX + MARGIN_PX, top + body + MARGIN_PX)
    room = sheet.width_px - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    pr, roc = (
        unit_axes(
            sheet,
            style,
            Rect(left, top, PANEL_PX, PANEL_PX),
            (say(across, language), say(up, language)),
        )
        for left, (across, up) in zip(
            lefts, (("recall", "precision"), ("false positives", "true positives")), strict=True
        )
    )
    mean = mean_curves(curves, say("mean of", language, len(curves)))
    for row, one in enumerate([mean, *drawn]):
        number = row - 1 if row else None
        look = {"zorder": 4 if number is None else 3, **line_look(number), "clip_on": False}
        steps = "default" if number is None else "steps-post"
        pr.add_line(Line2D(*one.pr, drawstyle=steps, **look))
        if one.roc is not None:
            roc.add_line(Line2D(*one.roc, **look))
        area = say("no auc", language) if one.auc is None else f"AUC {one.auc:.3f}"
        at = legend, top + ENTRY_PX * row
        legend_entry(sheet, style, at, number, (one.label, f"AP {one.ap:.3f}, {area}", NAME_PX))
    roc.add_line(Line2D(*np.array([[0, 1], [0, 1]]), color="#98a2b3", linewidth=0.8, zorder=2))
    return sheet.figure
