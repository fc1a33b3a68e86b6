"""The one place that writes into pictures: overlays in order, and the layout."""

import av
import numpy as np

from vidcam import yuv
from vidcam.options import FileOptions
from vidcam.overlays import Overlay
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.heat import Heat
from vidcam.overlays.labels import LabelPanel
from vidcam.overlays.text import TextMasks
from vidcam.types import Result


class Compositor:
    """Draws a result into its picture, or beside it."""

    def __init__(self, options: FileOptions) -> None:
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
        picture = result.frame.picture
        original = picture
        if self.overlays:
            if self._beside:
                original = yuv.copy(picture)
            # The decoder still reads what it gave out: writing there would spoil later frames.
            picture.make_writable()
            planes = yuv.planes(picture)
            for overlay in self.overlays:
                overlay.draw(planes, result)
        return self._side_by_side(original, picture) if self._beside else picture

    def _side_by_side(self, left: av.VideoFrame, right: av.VideoFrame) -> av.VideoFrame:
        wide = av.VideoFrame(left.width * 2, left.height, "yuv420p")
        for target, a, b in zip(*map(yuv.planes, (wide, left, right)), strict=True):
            np.concatenate((a, b), axis=1, out=target)
        return yuv.copy_tags(right, wide)
