"""What changes slowly: the shown scores and the heat of one source, frame after frame.

A network looks at each frame alone, so its scores tremble and the scale of its maps jumps. Shown
scores are smoothed exponentially. Maps are divided by a running scale, which rises at once and
falls slowly, and then smoothed; so heat neither flickers nor is noise stretched to full heat.
Both start anew at a scene cut, heat also when the explained class changes.
"""

from dataclasses import replace
from math import exp

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcam.classifier import Classifier, Seen
from vidcam.options import VideoOptions
from vidcam.types import Map, Pixels, Prediction, Rect

HEAT_TIME_S = 0.25
SCALE_TIME_S = 2.0
# Mean difference of two neighbouring thumbnails, in levels of 255, that is a cut and no motion.
CUT_LEVELS = 30.0
CUT_SAMPLING = 8
# Positive evidence below this share of the map's largest magnitude is rounding and noise.
LEAST_EVIDENCE = 0.05
# After so long without a frame nothing is left of what was.
GAP_S = 5.0
SMALLEST = float(np.finfo(np.float32).tiny)


def evidence(signed: Map) -> Map:
    """The positive part of a signed map; all zero where it is negligible."""
    positive: Map = np.maximum(signed, np.float32(0))
    if float(positive.max()) <= LEAST_EVIDENCE * float(np.abs(signed).max()):
        return np.zeros_like(positive)
    return positive


def normalise(signed: Map) -> Map:
    """The evidence of one map alone, scaled to [0, 1]."""
    positive = evidence(signed)
    return positive / np.float32(max(float(positive.max()), SMALLEST))


class SteadyHeat:
    """Maps of one source on a running scale, smoothed over time."""

    def __init__(self) -> None:
        self._map: Map | None = None
        self._scale = 0.0
        self._class: int | None = None

    def reset(self) -> None:
        """Forget what was: the next map stands for itself."""
        self._map = None

    def __call__(self, signed: Map, cam_class: int, elapsed_s: float) -> Map:
        """The map (h, w) in [0, 1] to show after `elapsed_s` since the last one."""
        positive = evidence(signed)
        peak = float(positive.max())
        if self._map is None or cam_class != self._class:
            self._scale, self._class = peak, cam_class
            self._map = self._scaled(positive)
            return self._map
        self._scale = max(peak, self._scale * exp(-elapsed_s / SCALE_TIME_S))
        weight = 1 - exp(-elapsed_s / HEAT_TIME_S)
        self._map = self._map + np.float32(weight) * (self._scaled(positive) - self._map)
        return self._map

    def _scaled(self, positive: Map) -> Map:
        scaled = positive / np.float32(max(self._scale, SMALLEST))
        return np.asarray(np.minimum(scaled, 1), np.float32)


class SceneCuts:
    """Says of each frame's model pixels whether a new scene begins."""

    def __init__(self) -> None:
        self._last: Pixels | None = None

    def __call__(self, pixels: Pixels) -> bool:
        """True when (S, S, 3) uint8 differs from the last by more than motion does."""
        thumbnail = np.ascontiguousarray(pixels[::CUT_SAMPLING, ::CUT_SAMPLING])
        last, self._last = self._last, thumbnail
        if last is None:
            return False
        return cv2.norm(thumbnail, last, cv2.NORM_L1) > CUT_LEVELS * thumbnail.size


class HeatTrack:
    """The heat of one explanation from map to map: steady or raw, carried while there is none."""

    def __init__(self, raw: bool) -> None:
        self._raw = raw
        self._steady = SteadyHeat()
        self._time_s = 0.0
        self._cam: Map | None = None
        self._class: int | None = None
        self._method: str | None = None

    def reset(self) -> None:
        """Forget what was."""
        self._cam = None
        self._steady.reset()

    def __call__(
        self, signed: Map | None, cam_class: int | None, time_s: float, method: str | None = None
    ) -> tuple[Map | None, int | None]:
        """The heat to show and its class; without a map, those of the last one."""
        if method != self._method:  # another method's maps have a scale of their own
            self._method = method
            self.reset()
        if signed is not None and cam_class is not None:
            if self._raw:
                self._cam = normalise(signed)
            else:
                self._cam = self._steady(signed, cam_class, max(0.0, time_s - self._time_s))
            self._class, self._time_s = cam_class, time_s
        return self.carried()

    def carried(self) -> tuple[Map | None, int | None]:
        """The last heat and its class, None after a reset."""
        return self._cam, self._class if self._cam is not None else None


class Timeline:
    """Turns what the network saw into predictions, for one source, in order of time."""

    def __init__(self, classifier: Classifier, options: VideoOptions) -> None:
        self._classifier = classifier
        self._options = options
        self._cuts = SceneCuts()
        self._heat = HeatTrack(options.cam_raw)
        self._window_heat = HeatTrack(options.cam_raw)
        self._smooth: NDArray[np.float32] | None = None
        self._nearness: float | None = None
        self._time_s = 0.0

    def __call__(self, seen: Seen, pixels: Pixels, time_s: float, crop: Rect) -> Prediction:
        """The prediction of a frame at `time_s` whose model pixels are (S, S, 3)."""
        if self._cuts(pixels) or time_s - self._time_s > GAP_S:
            self._smooth = None
            self._heat.reset()
            self._window_heat.reset()
        cam, cam_class = self._heat(seen.map, seen.cam_class, time_s)
        topk = self._classifier.top(seen.scores, self._options.topk)
        smooth, nearness = self._smoothed(seen, time_s)
        smoothed = self._classifier.top(smooth, self._options.topk)
        shown = self._classifier.shown(smoothed, self._options, nearness)
        return Prediction(topk, shown, crop, cam, cam_class, seen.map is not None)

    def window(self, seen: Seen, prediction: Prediction, time_s: float) -> Prediction | None:
        """The prediction with the map that the window asks for; None when that is the same."""
        if seen.window_map is None and seen.map is not None:
            self._window_heat.reset()
            return None
        if seen.window_map is None:  # this frame is not explained: what was goes on
            cam, cam_class = self._window_heat.carried()
            return None if cam is None else replace(prediction, cam=cam, cam_class=cam_class)
        cam, cam_class = self._window_heat(
            seen.window_map, seen.window_class, time_s, seen.window_method
        )
        return replace(prediction, cam=cam, cam_class=cam_class)

    def _smoothed(self, seen: Seen, time_s: float) -> tuple[NDArray[np.float32], float | None]:
        """Scores and nearness, each on its way from what it was to what it is."""
        if self._smooth is None or not self._options.smoothing:
            self._smooth, self._nearness = seen.scores, seen.nearness
        else:
            weight = 1 - exp(-max(0.0, time_s - self._time_s) / self._options.smoothing)
            self._smooth = self._smooth + np.float32(weight) * (seen.scores - self._smooth)
            if self._nearness is not None and seen.nearness is not None:
                self._nearness += weight * (seen.nearness - self._nearness)
        self._time_s = time_s
        return self._smooth, self._nearness
