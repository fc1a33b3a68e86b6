"""Bar charts of scores, alone or beside the picture."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from vidcam.figures.sheet import Sheet, fitted_size, resized
from vidcam.figures.style import ACCENT, RULE, SOFT, TITLE_PX, Line, Style
from vidcam.types import Pixels, Score

MARGIN_PX, GAP_PX = 28, 12
HEAD_PX = 46
LABEL_PX, BAR_PX, VALUE_PX = 320, 420, 64
ROW_PX, TALLEST_ROW_PX = 34, 72
# A picture is as high as its bars, within this; it is not blown up to the height of 50 bars.
WIDEST_PX, LEAST_PX, HIGHEST_PX = 960, 360, 720
LIGHTER = "#8fbcdc"


def score_chart(scores: Sequence[Score], style: Style, title: str, english: str = "") -> Figure:
    """Horizontal bars on a scale of 0 to 100 %, one a score, in the order given.

    The figure grows with the bars; a score of None is a label without a bar. `english` stands in
    for a title that no font draws.
    """
    labels = _labels(scores, style)
    height = HEAD_PX + ROW_PX * max(1, len(scores))
    sheet = Sheet(MARGIN_PX * 2 + _width(labels), MARGIN_PX * 2 + height)
    _title(sheet, style, title, english)
    _bars(sheet, style, list(zip(scores, labels, strict=True)), (MARGIN_PX, ROW_PX))
    return sheet.figure


def picture_chart(
    rgb: Pixels, scores: Sequence[Score], style: Style, title: str, english: str = ""
) -> Figure:
    """The picture (H, W, 3) uint8 RGB at the left, the bars of `score_chart` at its right.

    The picture keeps its aspect and is as high as the bars, at most 960 by 720 pixels.
    """
    labels = _labels(scores, style)
    bars = max(1, len(scores))
    size = picture_size(rgb, len(scores))
    body = max(ROW_PX * bars, size[1])
    left = MARGIN_PX * 2 + size[0]
    sheet = Sheet(left + _width(labels) + MARGIN_PX, MARGIN_PX * 2 + HEAD_PX + body)
    _title(sheet, style, title, english)
    sheet.picture(MARGIN_PX, MARGIN_PX + HEAD_PX, resized(rgb, size))
    pitch = min(TALLEST_ROW_PX, body / bars)
    _bars(sheet, style, list(zip(scores, labels, strict=True)), (left, pitch))
    return sheet.figure


def picture_size(rgb: Pixels, count: int) -> tuple[int, int]:
    """The (width, height) at which `picture_chart` shows a picture beside so many bars."""
    return fitted_size(rgb, WIDEST_PX, min(max(ROW_PX * count, LEAST_PX), HIGHEST_PX))


def percent(score: float) -> str:
    """A score in [0, 1] as it is written: "83.4%"."""
    return f"{score:.1%}"


def _labels(scores: Sequence[Score], style: Style) -> list[Line]:
    return [style.fit(score.label, score.label_en, width_px=LABEL_PX) for score in scores]


def _label_px(labels: Sequence[Line]) -> int:
    return round(max((line.width_px for line in labels), default=0)) + GAP_PX


def _width(labels: Sequence[Line]) -> int:
    return _label_px(labels) + BAR_PX + VALUE_PX


def _title(sheet: Sheet, style: Style, title: str, english: str) -> None:
    room = sheet.width_px - 2 * MARGIN_PX
    line = style.fit(title, english, TITLE_PX, room)
    sheet.text(MARGIN_PX, MARGIN_PX + TITLE_PX, line)


def _bars(
    sheet: Sheet, style: Style, rows: list[tuple[Score, Line]], place: tuple[int, float]
) -> None:
    """Draw the rows under the title; `place` is their left edge and the pitch of the rows."""
    left, pitch = place
    axis = left + _label_px([label for _, label in rows])
    top = MARGIN_PX + HEAD_PX
    thick = min(26.0, pitch * 0.6)
    best = max((score.score or 0.0 for score, _ in rows), default=0.0)
    for row, (score, label) in enumerate(rows):
        middle = top + pitch * (row + 0.5)
        baseline = middle + label.size_px * 0.36
        sheet.text(axis - GAP_PX, baseline, label, align="right")
        if score.score is None:
            continue
        length = BAR_PX * score.score
        color = ACCENT if score.score == best else LIGHTER
        sheet.bar(axis, round(middle - thick / 2), (length, round(thick)), color)
        value = style.fit(percent(score.score))
        sheet.text(axis + length + 8, baseline, value, SOFT)
    sheet.bar(axis - 1, top, (1, round(pitch * max(1, len(rows)))), RULE)
