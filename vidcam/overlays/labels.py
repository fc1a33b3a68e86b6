"""The labels: a dark translucent panel with the shown classes, their scores and small bars."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcam import yuv
from vidcam.overlays import Planes
from vidcam.overlays.heat import part_of
from vidcam.overlays.text import TextMasks, line_height
from vidcam.types import Pixels, Rect, Result, Score

# Sizes in units of the text size, which follows the picture's.
LINES_PER_PICTURE = 26
SMALLEST_TEXT_PX = 13
MARGIN, PADDING, BAR, ROW_GAP, SCORE_WIDTH = 0.5, 0.45, 0.14, 0.22, 2.6
PANEL_WIDTH, WIDTH_PER_LANGUAGE = 6, 8
WIDEST_SHARE = 0.94

PANEL_OPACITY = 0.62
PANEL_RGB, TEXT_RGB, BAR_RGB, TRACK_RGB = (
    (12, 14, 20),
    (255, 255, 255),
    (64, 196, 255),
    (90, 94, 104),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """What is blended at `rect`: for Y and for the two half-size chroma planes."""

    rect: Rect
    keep: tuple[Pixels, Pixels, Pixels]
    add: tuple[Pixels, Pixels, Pixels]

    def draw(self, planes: Planes) -> None:
        """Blend it into the planes of a picture."""
        for shift, plane, keep, add in zip((0, 1, 1), planes, self.keep, self.add, strict=True):
            yuv.blend(part_of(plane, self.rect, shift), keep, add)


class LabelPanel:
    """Draws the shown classes at the top left; keeps the last panel while nothing changes."""

    def __init__(self, masks: TextMasks, languages: int, foot: float = 0.0) -> None:
        """`foot` is the height, in sizes of the text, that stays free at the picture's foot."""
        self._masks = masks
        self._foot = foot
        self._width = PANEL_WIDTH + WIDTH_PER_LANGUAGE * languages
        self._key: object = None
        self._panel: Panel | None = None

    def draw(self, planes: Planes, result: Result) -> None:
        """As `Overlay`."""
        picture, shown = result.frame.picture, result.prediction.shown
        if not shown:
            return
        matrix, full = yuv.matrix_of(picture), yuv.is_full_range(picture)
        percents = tuple((s.index, s.score and round(s.score * 100)) for s in shown)
        key = (percents, picture.width, picture.height, matrix, full)
        if key != self._key:
            self._key = key
            self._panel = self._layout(shown, picture.width, picture.height, matrix, full)
        if self._panel is not None:
            self._panel.draw(planes)

    def _layout(
        self, shown: tuple[Score, ...], width: int, height: int, matrix: int, full: bool
    ) -> Panel | None:
        size = text_size(width, height)
        margin, padding = _even(size * MARGIN), round(size * PADDING)
        bar, gap = max(2, round(size * BAR)), round(size * ROW_GAP)
        panel_width = _even(min(size * self._width, width * WIDEST_SHARE, width - 2 * margin))
        row_height = line_height(size) + bar + gap
        room = height - round(size * self._foot) - 2 * margin - 2 * padding + gap
        rows = min(len(shown), room // row_height)
        inner = panel_width - 2 * padding
        score_width = round(size * SCORE_WIDTH)
        if rows < 1 or inner < 2 * score_width:
            return None
        panel_height = _even(2 * padding + rows * row_height - gap + 1)
        text = np.zeros((panel_height, panel_width), np.uint8)
        bars, track = np.zeros_like(text), np.zeros_like(text)
        for row, score in enumerate(shown[:rows]):
            y = padding + row * row_height
            label_width = inner - score_width if score.score is not None else inner
            mask = self._masks(score.label, score.label_en, size, label_width)
            text[y : y + mask.shape[0], padding : padding + mask.shape[1]] = mask
            if score.score is None:
                continue
            percent = self._masks(percent_text(score.score), "", size, score_width)
            right = padding + inner
            text[y : y + percent.shape[0], right - percent.shape[1] : right] = percent
            y += line_height(size)
            track[y : y + bar, padding:right] = 255
            bars[y : y + bar, padding : padding + round(inner * round(score.score * 100) / 100)] = (
                255
            )
        rect = Rect(margin, margin, panel_width, panel_height)
        return _compose(rect, (track, bars, text), matrix, full)


def text_size(width: int, height: int) -> int:
    """Size of the text in pixels for a picture: follows its shorter side."""
    return max(SMALLEST_TEXT_PX, round(min(width, height) / LINES_PER_PICTURE))


def percent_text(score: float) -> str:
    """A probability as whole percent: calm to read, and 101 masks in all."""
    return f"{round(score * 100)}%"


def _even(number: float) -> int:
    return max(2, int(number) & ~1)


def _compose(rect: Rect, layers: tuple[Pixels, ...], matrix: int, full: bool) -> Panel:
    keep = np.full((rect.height, rect.width), 1 - PANEL_OPACITY, np.float32)
    coverages = [layer.astype(np.float32) / 255 for layer in layers]
    for coverage in coverages:
        keep *= 1 - coverage
    planes = []
    colours = [yuv.yuv_of_rgb(rgb, matrix, full) for rgb in (TRACK_RGB, BAR_RGB, TEXT_RGB)]
    ground = yuv.yuv_of_rgb(PANEL_RGB, matrix, full)
    for channel in range(3):
        add = np.full_like(keep, ground[channel] * PANEL_OPACITY)
        for coverage, colour in zip(coverages, colours, strict=True):
            add += (colour[channel] - add) * coverage
        planes.append(add)
    half_keep = _halve(keep)
    keeps = [_bytes(keep * 255), _bytes(half_keep * 255), _bytes(half_keep * 255)]
    adds = [_bytes(planes[0]), _bytes(_halve(planes[1])), _bytes(_halve(planes[2]))]
    return Panel(rect, (keeps[0], keeps[1], keeps[2]), (adds[0], adds[1], adds[2]))


def _halve(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    size = plane.shape[1] // 2, plane.shape[0] // 2
    half: NDArray[np.float32] = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return half


def _bytes(plane: NDArray[np.float32]) -> Pixels:
    return np.asarray(np.rint(plane).clip(0, 255), np.uint8)
