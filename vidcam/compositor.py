"""The one place that writes into pictures: overlays in order, and the layout."""

from collections.abc import Sequence
from dataclasses import replace

import av
import cv2
import numpy as np

from vidcam import yuv
from vidcam.options import LiveOptions, VideoOptions
from vidcam.overlays import Overlay
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.heat import Heat
from vidcam.overlays.labels import LabelPanel
from vidcam.overlays.status import BAR_FOOT, StatusBar
from vidcam.overlays.text import TextMasks
from vidcam.stats import SourceStats
from vidcam.types import Result
from vidcam.view import View


class Compositor:
    """Draws a result into its picture, or beside it."""

    def __init__(self, options: VideoOptions) -> None:
        # One thread draws: OpenCV's own would take cores from decoder, network and encoder, and
        # their waiting doubles the CPU time of a blend.
        cv2.setNumThreads(1)
        self.overlays: list[Overlay] = []
        self._beside = options.layout == "side-by-side"
        if options.cam != "none":
            self.overlays.append(Heat(options.alpha, options.colormap))
        if options.topk != 0:
            masks = TextMasks(FontChain(options.font))
            self.overlays.append(LabelPanel(masks, len(options.lang)))

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The composed picture's size for a source of this size."""
        return (2 * width, height) if self._beside else (width, height)

    def __call__(self, result: Result) -> av.VideoFrame:
        """The composed picture. The result's own picture may be drawn on: it is used up."""
        return self._composed(result, self.overlays)

    def _composed(self, result: Result, overlays: Sequence[Overlay]) -> av.VideoFrame:
        picture = result.frame.picture
        original = picture
        if overlays:
            if self._beside:
                original = yuv.copy(picture)
            # The decoder still reads what it gave out: writing there would spoil later frames.
            picture.make_writable()
            planes = yuv.planes(picture)
            for overlay in overlays:
                overlay.draw(planes, result)
        return self._side_by_side(original, picture) if self._beside else picture

    def _side_by_side(self, left: av.VideoFrame, right: av.VideoFrame) -> av.VideoFrame:
        wide = av.VideoFrame(left.width * 2, left.height, "yuv420p")
        for target, a, b in zip(*map(yuv.planes, (wide, left, right)), strict=True):
            np.concatenate((a, b), axis=1, out=target)
        return yuv.copy_tags(right, wide)


class WindowCompositor(Compositor):
    """Draws one source's results as the window's keys want them, with a status bar."""

    def __init__(self, options: LiveOptions, view: View, stats: SourceStats) -> None:
        super().__init__(options)
        self._view = view
        self._colormap = options.colormap
        self._heat = Heat(view.alpha, options.colormap)
        self._alpha = view.alpha
        masks = TextMasks(FontChain(options.font))
        bar = StatusBar(masks, view, stats, options.lang[0])
        self._labels: list[Overlay] = [bar]
        if options.topk != 0:
            self._labels.insert(0, LabelPanel(masks, len(options.lang), BAR_FOOT))

    def __call__(self, result: Result) -> av.VideoFrame:
        """The composed picture. The result's own picture is drawn on: it is used up."""
        if result.window is not None:
            result = replace(result, prediction=result.window)
        if self._view.alpha != self._alpha:
            self._alpha = self._view.alpha
            self._heat = Heat(self._alpha, self._colormap)
        heat: list[Overlay] = [self._heat] if self._view.heat else []
        return self._composed(result, [*heat, *self._labels])
