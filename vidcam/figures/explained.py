"""An explained picture as a figure: the grid of methods and classes, and the panels."""

import cv2
import numpy as np
from matplotlib.figure import Figure

from vidcam.figures.chart import percent
from vidcam.figures.grid import PICTURE_PX, Cell, grid
from vidcam.figures.sheet import fitted_size, resized
from vidcam.figures.style import Style
from vidcam.overlays.heat import Heat
from vidcam.overlays.words import say
from vidcam.pictures.canvas import drawn
from vidcam.pictures.explanation import Explanation, Heatmap, Look
from vidcam.types import Pixels, Prediction, Rect, Score

# Where a figure has few pictures they are larger.
FEW, LARGE_PX = 3, 560
# The longer side of a picture while heat is drawn on it: at least that of the figure's largest,
# else its few pixels would show as squares of heat; more than about twice that is lost again.
LEAST_DRAWN_PX, MOST_DRAWN_PX = LARGE_PX, 1280
# How much of the figure's white covers what the network did not see.
UNSEEN_WHITE = 0.55
# Guided gradients are shown around grey, this many of their standard deviations to each side.
SPREAD = 4.0
GREY = 128


def explanation_grid(explanation: Explanation, look: Look, style: Style) -> Figure:
    """The original at the left, then a row for each method and layer, a column for each class."""
    canvas = _Canvas(explanation, look)
    classes = list(dict.fromkeys(heatmap.score.index for heatmap in explanation.heatmaps))
    rows: dict[str, list[Cell | None]] = {}
    for heatmap in explanation.heatmaps:
        cells = rows.setdefault(explanation.row_name(heatmap), [None] * len(classes))
        cells[classes.index(heatmap.score.index)] = canvas.overlay_cell(heatmap)
    titles = [] if len(rows) == 1 else list(rows)
    return grid(
        list(rows.values()),
        style,
        lead=canvas.original_cell(),
        row_titles=titles,
        picture_px=_picture_px(len(rows), len(classes) + 1),
    )


def explanation_panels(explanation: Explanation, look: Look, style: Style) -> Figure:
    """A row for each map: the original with its true class, the heat alone, the overlay."""
    canvas = _Canvas(explanation, look)
    several = len({heatmap.score.index for heatmap in explanation.heatmaps}) > 1
    names = [
        explanation.row_name(heatmap) + (f" · {heatmap.score.label}" if several else "")
        for heatmap in explanation.heatmaps
    ]
    rows = [
        [canvas.original_cell(), canvas.heat_cell(heatmap, name), canvas.overlay_cell(heatmap)]
        for heatmap, name in zip(explanation.heatmaps, names, strict=True)
    ]
    return grid(rows, style, picture_px=_picture_px(len(rows), 3))


def _picture_px(rows: int, columns: int) -> int:
    return LARGE_PX if max(rows, columns) <= FEW else PICTURE_PX


class _Canvas:
    """One picture at the size of the figure, drawn on for each of its maps."""

    def __init__(self, explanation: Explanation, look: Look) -> None:
        rgb = explanation.rgb
        self._explanation = explanation
        self._language = look.language
        self._look = look
        longer = min(max(*rgb.shape[:2], LEAST_DRAWN_PX), MOST_DRAWN_PX)
        self._rgb = resized(rgb, fitted_size(rgb, longer, longer))
        self._crop = _scaled(explanation.crop, self._rgb.shape[1] / rgb.shape[1], self._rgb)
        self._heat = Heat(look.alpha, look.colormap)

    def original_cell(self) -> Cell:
        """The picture as it is; what it shows by the name of its folder, and by the network."""
        explanation = self._explanation
        best = explanation.topk[0]
        note = say("predicted", self._language, f"{best.label} {percent(best.score or 0.0)}")
        if explanation.true is not None:
            title = say("true class", self._language, explanation.true.label)
            english = say("true class", "en", explanation.true.label_en)
        else:
            title, english = say("original", self._language), "original"
        return Cell(self._rgb, title, english, note)

    def overlay_cell(self, heatmap: Heatmap) -> Cell:
        """The heat on the picture, or the guided gradient in its place."""
        rgb = self._detail(heatmap) if heatmap.detail is not None else self._overlay(heatmap)
        return self._cell(rgb, heatmap.score, self._note(heatmap))

    def heat_cell(self, heatmap: Heatmap, name: str) -> Cell:
        """The map alone, in its colours."""
        heights = np.zeros(self._rgb.shape[:2], np.uint8)
        crop = self._crop
        size = crop.width, crop.height
        levels = cv2.resize(np.rint(heatmap.grid * 255).astype(np.uint8), size)
        heights[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] = levels
        code = getattr(cv2, f"COLORMAP_{self._look.colormap.upper()}")
        rgb = cv2.cvtColor(cv2.applyColorMap(heights, code), cv2.COLOR_BGR2RGB)
        rgb = self._pale_unseen(np.asarray(rgb, np.uint8))
        return Cell(rgb, name, name, self._note(heatmap))

    def _cell(self, rgb: Pixels, score: Score, note: str) -> Cell:
        return Cell(rgb, score.label, score.label_en, note, percent(score.score or 0.0))

    def _note(self, heatmap: Heatmap) -> str:
        return "" if heatmap.has_evidence else say("no evidence", self._language)

    def _overlay(self, heatmap: Heatmap) -> Pixels:
        prediction = Prediction((), (), self._crop, heatmap.grid, heatmap.score.index)
        return self._pale_unseen(drawn(self._rgb, prediction, [self._heat]))

    def _pale_unseen(self, rgb: Pixels) -> Pixels:
        """The picture, paler where the network saw nothing of it."""
        pale: Pixels = 255 - np.rint((255 - rgb) * (1 - UNSEEN_WHITE)).astype(np.uint8)
        crop = self._crop
        rows, columns = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
        pale[rows, columns] = rgb[rows, columns]
        return pale

    def _detail(self, heatmap: Heatmap) -> Pixels:
        """The signed gradient (S, S, 3) around grey, where the network saw the picture."""
        detail = heatmap.detail
        assert detail is not None
        spread = SPREAD * float(detail.std()) or 1.0
        levels = np.clip(GREY + 127 * detail / spread, 0, 255).astype(np.uint8)
        rgb = np.full_like(self._rgb, GREY)
        crop = self._crop
        part = cv2.resize(levels, (crop.width, crop.height), interpolation=cv2.INTER_AREA)
        rgb[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] = part
        return rgb


def _scaled(rect: Rect, scale: float, rgb: Pixels) -> Rect:
    height, width = rgb.shape[:2]
    x, y = min(width - 1, round(rect.x * scale)), min(height - 1, round(rect.y * scale))
    right, bottom = round((rect.x + rect.width) * scale), round((rect.y + rect.height) * scale)
    return Rect(x, y, max(1, min(width, right) - x), max(1, min(height, bottom) - y))
