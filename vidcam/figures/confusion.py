"""The confusion matrix: true classes down, answers across."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vidcam.figures.sheet import Sheet
from vidcam.figures.style import GROUND, INK, RULE, SMALL_PX, SOFT, TITLE_PX, Style
from vidcam.overlays.words import ENGLISH, say
from vidcam.types import Rect

MARGIN_PX, HEAD_PX, NAME_PX = 28, 70, 190
# Larger ones show the classes with the most mistakes.
MOST_CLASSES = 100
BODY_PX, MOST_CELL_PX, LEAST_CELL_PX, LEAST_NUMBER_PX = 900, 72, 19, 26
# matplotlib writes a thousand a second.
MOST_NUMBERS = 2000


def confusion_figure(
    counts: NDArray[np.int64], names: Sequence[str], style: Style, *, language: str = ENGLISH
) -> Figure:
    """Counts (C, C) or, with a last column for answers that are none of these, (C, C + 1).

    A cell is the darker the larger its share of the row. Of more than 100 classes those with the
    most mistakes are shown; their answers elsewhere are added up in the last column.
    """
    total = len(names)
    counts, names = _most_confused(counts, names)
    classes = len(names)
    columns = counts.shape[1]
    cell = int(np.clip(BODY_PX // columns, LEAST_CELL_PX, MOST_CELL_PX))
    size_px = SMALL_PX if cell >= SMALL_PX + 6 else SMALL_PX - 1
    across = [*names, *([say("others", language)] * (columns - classes))]
    rows = [style.fit(name, size_px=size_px, width_px=NAME_PX) for name in names]
    heads = [style.fit(name, size_px=size_px, width_px=NAME_PX) for name in across]
    left = MARGIN_PX + round(max(line.width_px for line in rows)) + 14
    top = MARGIN_PX + HEAD_PX + round(max(line.width_px for line in heads)) + 14
    width = max(left + columns * cell + MARGIN_PX, 520)
    sheet = Sheet(width, top + classes * cell + MARGIN_PX)
    title = say("confusion matrix", language)
    if total > classes:
        title = say("confusion part", language, classes, total)
    room = width - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    line = style.fit(say("confusion note", language), size_px=SMALL_PX, width_px=room)
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX + 26, line, SOFT)
    panel = sheet.axes(Rect(left, top, columns * cell, classes * cell))
    _cells(panel, counts, cell, style)
    for row, line in enumerate(rows):
        baseline = top + (row + 0.5) * cell + size_px * 0.36
        sheet.text(left - 10, baseline, line, INK, "right")
    for column, line in enumerate(heads):
        panel.text(
            column + 0.5, -8 / cell, line.text, fontproperties=line.font, color=INK, rotation=90,
            horizontalalignment="center", verticalalignment="bottom", parse_math=False,
            rotation_mode="default", usetex=False,
        )  # fmt: skip
    return sheet.figure


def _most_confused(
    counts: NDArray[np.int64], names: Sequence[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """At most `MOST_CLASSES` of them, in their order."""
    classes = len(names)
    others = counts[:, classes:].sum(1)
    own = counts[:, :classes]
    kept = np.arange(classes)
    if classes > MOST_CLASSES:
        wrong = counts.sum(1) + own.sum(0) - 2 * own.diagonal()
        kept = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CLASSES])
    inside = own[np.ix_(kept, kept)]
    outside = others[kept] + own[kept].sum(1) - inside.sum(1)
    if outside.any():
        inside = np.column_stack([inside, outside])
    return inside, [names[int(index)] for index in kept]


def _cells(panel: Any, counts: NDArray[np.int64], cell: int, style: Style) -> None:
    """Fill the matrix and write its numbers, where they have room."""
    classes, columns = counts.shape
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    panel.imshow(
        np.sqrt(shares), cmap="Blues", vmin=0, vmax=1.15, extent=(0, columns, classes, 0),
        interpolation="nearest", aspect="auto",
    )  # fmt: skip
    panel.set(xlim=(0, columns), ylim=(classes, 0))
    panel.set_xticks(range(columns + 1), labels=[""] * (columns + 1))
    panel.set_yticks(range(classes + 1), labels=[""] * (classes + 1))
    panel.tick_params(length=0)
    panel.grid(color=RULE, linewidth=0.4)
    panel.spines[:].set(color=RULE, linewidth=0.6)
    most = len(str(counts.max()))
    if cell < max(14, 9 * most) or np.count_nonzero(counts) > MOST_NUMBERS:
        return
    size_px = SMALL_PX if cell >= LEAST_NUMBER_PX else SMALL_PX - 3
    for row, column in zip(*np.nonzero(counts), strict=True):
        line = style.fit(str(counts[row, column]), size_px=size_px)
        color = GROUND if shares[row, column] > 0.45 else INK
        panel.text(
            column + 0.5, row + 0.5 + 0.36 * size_px / cell, line.text, fontproperties=line.font,
            color=color, horizontalalignment="center", verticalalignment="baseline",
            parse_math=False, usetex=False,
        )  # fmt: skip
