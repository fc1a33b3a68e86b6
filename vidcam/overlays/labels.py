"""The labels: a dark translucent panel with the shown classes, their scores and small bars."""

from dataclasses import dataclass

import numpy as np

from vidcam.overlays import Planes
from vidcam.overlays.panel import TEXT_RGB, Look, Panel, compose
from vidcam.overlays.text import TextMasks, line_height
from vidcam.types import Rect, Result, Score

# Sizes in units of the text size, which follows the picture's.
LINES_PER_PICTURE = 26
SMALLEST_TEXT_PX = 13
MARGIN, PADDING, BAR, ROW_GAP, SCORE_WIDTH = 0.5, 0.45, 0.14, 0.22, 2.9
PANEL_WIDTH, WIDTH_PER_LANGUAGE = 6, 8
WIDEST_SHARE = 0.94

BAR_RGB, TRACK_RGB = (64, 196, 255), (90, 94, 104)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a panel lies in the picture and its rows in the panel, in pixels."""

    rect: Rect
    text: int
    padding: int
    bar: int
    row_height: int
    rows: int

    def strip(self, row: int) -> Rect:
        """The even rectangle of the panel that holds a row: label, score and bar."""
        start = self.padding + row * self.row_height
        end = start + line_height(self.text) + self.bar
        top = start & ~1
        return Rect(0, top, self.rect.width, ((end + 1) & ~1) - top)


class LabelPanel:
    """Draws the shown classes at the top left; a row is laid out anew when it changes."""

    def __init__(self, masks: TextMasks, languages: int, foot: float = 0.0) -> None:
        """`foot` is the height, in sizes of the text, that stays free at the picture's foot."""
        self._masks = masks
        self._foot = foot
        self._width = PANEL_WIDTH + WIDTH_PER_LANGUAGE * languages
        self._asked: object = None
        self._layout: Layout | None = None
        self._panel: Panel | None = None
        self._drawn: list[object] = []

    def draw(self, planes: Planes, result: Result) -> None:
        """As `Overlay`."""
        look, shown = Look.of(result.frame.picture), result.prediction.shown
        if not shown:
            return
        if (look, len(shown)) != self._asked:
            self._asked = look, len(shown)
            self._layout = self._lay_out(look.width, look.height, len(shown))
            self._panel = compose(self._layout.rect, {}, look) if self._layout else None
            self._drawn = [None] * len(shown)
        if self._layout is None or self._panel is None:
            return
        for row, score in enumerate(shown[: self._layout.rows]):
            key = score.index, score.score and round(score.score * 100)
            if key != self._drawn[row]:
                self._drawn[row] = key
                self._panel.put(self._row(self._layout, row, score, look))
        self._panel.draw(planes)

    def _lay_out(self, width: int, height: int, count: int) -> Layout | None:
        size = text_size(width, height)
        margin, padding = _even(size * MARGIN), round(size * PADDING)
        bar, gap = max(2, round(size * BAR)), round(size * ROW_GAP)
        panel_width = _even(min(size * self._width, width * WIDEST_SHARE, width - 2 * margin))
        row_height = line_height(size) + bar + gap
        room = height - round(size * self._foot) - 2 * margin - 2 * padding + gap
        rows = min(count, room // row_height)
        if rows < 1 or panel_width - 2 * padding < 2 * round(size * SCORE_WIDTH):
            return None
        rect = Rect(margin, margin, panel_width, _even(2 * padding + rows * row_height - gap + 1))
        return Layout(rect, size, padding, bar, row_height, rows)

    def _row(self, layout: Layout, row: int, score: Score, look: Look) -> Panel:
        """One row as a panel whose `rect` counts from the corner of the whole one."""
        strip, size = layout.strip(row), layout.text
        left, right = layout.padding, strip.width - layout.padding
        y = (layout.padding + row * layout.row_height) - strip.y
        text = np.zeros((strip.height, strip.width), np.uint8)
        score_width = round(size * SCORE_WIDTH) if score.score is not None else 0
        mask = self._masks(score.label, score.label_en, size, right - left - score_width)
        text[y : y + mask.shape[0], left : left + mask.shape[1]] = mask
        if score.score is None:
            return compose(strip, {TEXT_RGB: text}, look)
        percent = self._masks(percent_text(score.score), "", size, score_width)
        text[y : y + percent.shape[0], right - percent.shape[1] : right] = percent
        bars, track = np.zeros_like(text), np.zeros_like(text)
        y += line_height(size)
        middle = left + round((right - left) * round(score.score * 100) / 100)
        bars[y : y + layout.bar, left:middle] = 255
        track[y : y + layout.bar, middle:right] = 255
        return compose(strip, {TRACK_RGB: track, BAR_RGB: bars, TEXT_RGB: text}, look)


def text_size(width: int, height: int) -> int:
    """Size of the text in pixels for a picture: follows its shorter side."""
    return max(SMALLEST_TEXT_PX, round(min(width, height) / LINES_PER_PICTURE))


def percent_text(score: float) -> str:
    """A probability as whole percent: calm to read, and 101 masks in all."""
    return f"{round(score * 100)}%"


def _even(number: float) -> int:
    return max(2, int(number) & ~1)
