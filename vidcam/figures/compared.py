"""Runs side by side: a row a number, a mark a run."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from vidcam.figures.curves import COLORS, MARKERS
from vidcam.figures.sheet import Sheet
from vidcam.figures.style import RULE, SMALL_PX, SOFT, TITLE_PX, Style
from vidcam.training.compare import TOTALS, Line, Measured

MARGIN_PX, HEAD_PX, ROW_PX, NAME_PX, SCALE_PX, FOOT_PX = 28, 56, 28, 240, 640, 30
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
# More rows are no longer read; the CSV has all.
MOST_ROWS = 60


def comparison(runs: Sequence[Measured], found: Sequence[Line], style: Style) -> Figure:
    """Shares in [0, 1] from left to right, a row a line; runs are told apart by colour and shape.

    Of more than 60 rows those with the largest differences are drawn, the totals first.
    """
    shares = [one for one in found if one.class_name or TOTALS[one.key][1]]
    totals = [one for one in shares if not one.class_name]
    classes = [one for one in shares if one.class_name]
    title = "Totals, and F1 of each class"
    if len(shares) > MOST_ROWS:
        classes = sorted(classes, key=lambda one: -one.spread)[: MOST_ROWS - len(totals)]
        title += f": the {len(classes)} classes that differ most"
    rows = [*totals, *classes]
    top = MARGIN_PX + HEAD_PX + ROW_PX * len(runs)
    left = MARGIN_PX + NAME_PX
    width = left + SCALE_PX + MARGIN_PX + 20
    sheet = Sheet(width, top + ROW_PX * len(rows) + FOOT_PX + MARGIN_PX)
    room = width - 2 * MARGIN_PX
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, style.fit(title, size_px=TITLE_PX, width_px=room))
    for number, run in enumerate(runs):
        y = MARGIN_PX + HEAD_PX + ROW_PX * number
        sheet.line([MARGIN_PX + 8], [y], **_look(number))
        text = style.fit(run.name, size_px=SMALL_PX, width_px=room - 30)
        sheet.text(MARGIN_PX + 26, y + 5, text)
    bottom = top + ROW_PX * len(rows)
    for share in QUARTERS:
        x = left + SCALE_PX * share
        sheet.line([x, x], [top, bottom], color=RULE, linewidth=0.6, zorder=0)
        sheet.text(x, bottom + 20, style.fit(f"{share:.0%}", size_px=SMALL_PX), SOFT, "center")
    for number, line in enumerate(rows):
        _row(sheet, style, line, (left, top + ROW_PX * number + ROW_PX // 2))
    return sheet.figure


def _row(sheet: Sheet, style: Style, line: Line, at: tuple[int, int]) -> None:
    """A line's name and its marks; `at` is where 0 is."""
    left, y = at
    name = line.class_name or TOTALS[line.key][0]
    text = style.fit(name, size_px=SMALL_PX, width_px=NAME_PX - 24)
    sheet.text(left - 16, y + 5, text, "#1f2430" if line.class_name else SOFT, "right")
    known = [(n, left + SCALE_PX * v) for n, v in enumerate(line.values) if v is not None]
    ends = [x for _, x in known]
    sheet.line([min(ends), max(ends)], [y, y], color=SOFT, linewidth=1.0, zorder=1)
    for number, x in reversed(known):
        sheet.line([x], [y], **_look(number))


def _look(number: int) -> dict[str, object]:
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": "",
        "markersize": 6,
        "alpha": 0.9,
        "zorder": 3,
    }
