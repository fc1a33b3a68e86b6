"""Pixels in, class probabilities and a signed map out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vidcam.backends import Backend, Choice, Output, Second
from vidcam.labels import Labels, parse_classes
from vidcam.models import Model
from vidcam.options import CamOptions, ModelOptions, ScoreOptions
from vidcam.types import UNKNOWN_INDEX, Map, Pixels, Score
from vidcam.view import View


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network says of one picture alone.

    `scores` (K,) are softmax probabilities; `map` (h, w) is signed, its positive part the evidence
    for `cam_class`. `window_map` and `window_class` are those that the window's keys ask for, by
    `window_method`; None when they ask for nothing else. `nearness` is the cosine between the
    picture's features and the nearest that were learnt from, None where it is not known.
    """

    scores: NDArray[np.float32]
    map: Map | None
    cam_class: int | None
    window_map: Map | None = None
    window_class: int | None = None
    window_method: str | None = None
    nearness: float | None = None

    def without_map(self) -> "Seen":
        """What it says, without where it looked."""
        return Seen(self.scores, None, None, nearness=self.nearness)


class Classifier:
    """A backend with the rules of the options: which classes compete, which is explained."""

    def __init__(
        self, model: Model, backend: Backend, options: ModelOptions, cam: CamOptions
    ) -> None:
        self.labels: Labels = model.labels
        self.size = model.size
        self.backend = backend
        self.explains = cam.cam != "none"
        self._method = cam.cam
        self._competing: NDArray[np.int64] = np.arange(len(self.labels))
        self._masked: NDArray[np.bool_] | None = None
        if options.classes:
            self._competing = np.sort(parse_classes(options.classes, self.labels))
            self._masked = np.ones(len(self.labels), bool)
            self._masked[self._competing] = False
        self._temperature = np.float32(model.temperature or 1.0)
        self._thresholds = model.thresholds
        self._neighbours = model.neighbours
        index = None if cam.class_ is None else self.labels.index_of(cam.class_)
        self._choice = Choice(index, self._masked)

    def __call__(self, pixels: Pixels, explain: bool, view: View | None = None) -> list[Seen]:
        """Classify pixels (N, S, S, 3) uint8 RGB; with `explain`, each with its map.

        `view` asks for a second map where it differs from the command line.
        """
        return self.start(pixels, explain, view)()

    def start(
        self, pixels: Pixels, explain: bool, view: View | None = None
    ) -> Callable[[], list[Seen]]:
        """As a call, but it may return before the work is done; what it returns waits for it."""
        choice = self._choice if explain and self.explains else None
        view = view and replace(view)  # the window's thread may change it meanwhile
        second = self._second(view) if choice else None
        pending = self.backend.start(pixels, choice, second)
        return lambda: self._seen(pending(), second)

    def _seen(self, output: Output, second: Second | None) -> list[Seen]:
        scores = softmax(self._compete(output.logits) / self._temperature)
        near = self._nearness(output, len(scores))
        if output.maps is None or output.classes is None:
            return [
                Seen(row, None, None, nearness=one) for row, one in zip(scores, near, strict=True)
            ]
        seen = [
            Seen(row, grid, int(index), nearness=one)
            for row, grid, index, one in zip(scores, output.maps, output.classes, near, strict=True)
        ]
        if output.second_maps is None or second is None:
            return seen
        return [
            replace(
                one,
                window_map=grid,
                window_class=one.cam_class if second.index is None else second.index,
                window_method=second.method,
            )
            for one, grid in zip(seen, output.second_maps, strict=True)
        ]

    def _nearness(self, output: Output, count: int) -> Sequence[float | None]:
        features, neighbours = output.features, self._neighbours
        if features is None or neighbours is None:
            return [None] * count
        return [float(one) for one in neighbours.nearness(features)]

    def _second(self, view: View | None) -> Second | None:
        if view is None or (view.cam == self._method and view.pinned is None):
            return None
        return Second(view.cam, view.pinned)

    def top(self, scores: NDArray[np.float32], count: int | None) -> tuple[Score, ...]:
        """The `count` highest of the scores (K,), best first; None gives all that compete."""
        own = scores[self._competing]
        count = len(own) if count is None else min(count, len(own))
        if count == 0:
            return ()
        # A score of 0 may be a masked class's or that of one that competes: so among these only.
        border = np.partition(own, len(own) - count)[len(own) - count]
        best = self._competing[own >= border]
        ranked = best[np.argsort(-scores[best], kind="stable")][:count]
        return tuple(self.score(int(index), float(scores[index])) for index in ranked)

    def shown(
        self, top: tuple[Score, ...], options: ScoreOptions, nearness: float | None = None
    ) -> tuple[Score, ...]:
        """Those of `top` that reach the threshold of the options; "unknown" where none does.

        Without one, and where the model has thresholds of its own, all of `top` when its best class
        reaches that class's and the picture is near enough to those learnt from, else "unknown".
        """
        kept = tuple(score for score in top if (score.score or 0.0) >= options.threshold)
        if not top or not options.unknown:
            return kept
        if kept and not options.threshold and self._thresholds is not None:
            best = top[0]
            is_known = (best.score or 0.0) >= self._thresholds[best.index]
            if self._neighbours is not None and nearness is not None:
                is_known = is_known and nearness >= self._neighbours.least
            return kept if is_known else (self.score(UNKNOWN_INDEX, None),)
        return kept or (self.score(UNKNOWN_INDEX, None),)

    def score(self, index: int, value: float | None) -> Score:
        """One class with its names."""
        if index == UNKNOWN_INDEX:
            return Score(index, self.labels.unknown, "unknown", None)
        return Score(index, self.labels.shown[index], self.labels.english[index], value)

    def _compete(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        return logits if self._masked is None else np.where(self._masked, -np.inf, logits)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)
