"""The answers that were most wrong, and the classes most often taken for each other, explained."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from vidcam.cam.library import Smoothing
from vidcam.errors import SourceError, UsageError
from vidcam.figures.sheet import fitted_size, resized
from vidcam.overlays.heat import Heat
from vidcam.pictures.canvas import drawn
from vidcam.pictures.explainer import Explainer
from vidcam.pictures.explanation import ABSENT_BELOW
from vidcam.pictures.maps import PictureMaps
from vidcam.pictures.options import ExplainOptions
from vidcam.pictures.reading import read_picture
from vidcam.pictures.square import square_of
from vidcam.prepare import map_on_picture
from vidcam.training.evaluate import Answers, Evaluator
from vidcam.types import Map, Pixels, Prediction, Rect

MOST_WORST, MOST_PAIRS, MOST_OF_PAIR = 12, 6, 3
THUMB_PX = 320
ALPHA, COLORMAP = 0.5, "jet"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A picture answered wrongly: the places of its class and of the answer, with their scores."""

    path: str
    true: int
    answer: int
    true_score: float
    score: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Pictures of one class that were taken for another: `count` in all, the surest of them."""

    true: int
    answer: int
    count: int
    examples: tuple[Wrong, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """Where the network looked in a picture, as small pictures (H, W, 3) uint8 RGB.

    `answer` shows the Grad-CAM of the wrong answer, `true` that of the right class; None where the
    picture holds too little evidence, and both where the network has no layer for a map.
    """

    picture: Pixels
    answer: Pixels | None
    true: Pixels | None
    is_explained: bool = True


def wrong_answers(answers: Answers) -> list[Wrong]:
    """The wrong ones, the least score of the right class first."""
    scores = softmax(answers.logits.astype(np.float64), axis=1)
    top = scores.argmax(1)
    found = [
        Wrong(answers.paths[row], int(answers.labels[row]), int(top[row]),
              float(scores[row, answers.labels[row]]), float(scores[row, top[row]]))
        for row in np.flatnonzero(top != answers.labels)
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.true_score, -one.score))


def confused_pairs(wrong: Sequence[Wrong]) -> list[Pair]:
    """The classes most often taken for each other, at most `MOST_PAIRS`."""
    counts = Counter((one.true, one.answer) for one in wrong)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_PAIRS]
    pairs = []
    for (true, answer), count in ranked:
        examples = [one for one in wrong if (one.true, one.answer) == (true, answer)]
        examples.sort(key=lambda one: -one.score)
        pairs.append(Pair(true, answer, count, tuple(examples[:MOST_OF_PAIR])))
    return pairs


class Looker:
    """Explains pictures by Grad-CAM, for their answer and for their class, as small pictures."""

    def __init__(self, evaluator: Evaluator, warn: Callable[[str], None]) -> None:
        """Of a network that cannot be explained `warn` is told once why."""
        options = evaluator.options
        self._classes: NDArray[np.int64] = evaluator.classes
        self._geometry = evaluator.geometry
        self._heat = Heat(ALPHA, COLORMAP)
        self._explainer: Explainer | None = None
        given = ExplainOptions(lang=options.lang, fit=options.fit, device=options.device)
        try:
            self._explainer = Explainer(given, evaluator.model)
        except UsageError as error:
            warn(f"the worst pictures come without a map: {error}")

    def __call__(self, wrong: Wrong) -> Looked | None:
        """The picture and its maps; None when its file has gone meanwhile."""
        try:
            image = read_picture(wrong.path)
        except SourceError:
            return None
        square, crop = square_of(image, self._geometry)
        whole = np.asarray(image)
        rgb = resized(whole, fitted_size(whole, THUMB_PX, THUMB_PX)).copy()
        if self._explainer is None:
            return Looked(rgb, None, None, is_explained=False)
        scale = rgb.shape[1] / image.width
        places = [int(self._classes[place]) for place in (wrong.answer, wrong.true)]
        small_crop = _scaled(crop, scale, rgb)
        answer, true = (
            self._drawn(rgb, small_crop, crop, grid)
            for grid in self._maps(self._explainer, square, places)
        )
        return Looked(rgb, answer, true)

    def _maps(self, explainer: Explainer, square: Pixels, classes: list[int]) -> list[Map | None]:
        """The map of each class, the first being the top one; None without evidence."""
        maps = PictureMaps(explainer.net, explainer.pixels_of(square), classes)
        layer = explainer.layers[0]
        top = maps.peak(layer, classes[0])
        found: list[Map | None] = []
        for index in classes:
            weak = top > 0 and maps.peak(layer, index) < ABSENT_BELOW * top
            grid = None if weak else maps.find("gradcam", [layer], index, Smoothing()).grid
            found.append(grid if grid is not None and grid.any() else None)
        return found

    def _drawn(self, rgb: Pixels, small: Rect, crop: Rect, grid: Map | None) -> Pixels | None:
        if grid is None:
            return None
        part = map_on_picture(self._geometry, crop, grid)
        return drawn(rgb, Prediction((), (), small, part), [self._heat])


def _scaled(rect: Rect, scale: float, rgb: Pixels) -> Rect:
    height, width = rgb.shape[:2]
    x, y = min(width - 1, round(rect.x * scale)), min(height - 1, round(rect.y * scale))
    right, bottom = round((rect.x + rect.width) * scale), round((rect.y + rect.height) * scale)
    return Rect(x, y, max(1, min(width, right) - x), max(1, min(height, bottom) - y))
