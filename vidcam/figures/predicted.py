"""A classified picture as it is saved: its labels drawn on it, a chart of its scores, or both."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from vidcam.figures.chart import picture_chart, picture_size, score_chart
from vidcam.figures.sheet import png, resized
from vidcam.figures.style import Style
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.labels import LabelPanel
from vidcam.overlays.text import TextMasks
from vidcam.pictures.canvas import drawn
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.predictor import Predicted
from vidcam.pictures.reading import read_picture
from vidcam.sinks.partial import write_whole
from vidcam.types import Pixels, Rect

JPEG_QUALITY = 92


class Drawing:
    """Draws predictions with one font, and saves them whole or not at all.

    `overlay` becomes a JPEG; `chart` and `both` become PNG.
    """

    def __init__(self, options: ImageOptions) -> None:
        self._layout = options.layout
        self._languages = len(options.lang)
        self._masks = TextMasks(FontChain(options.font))
        self._style = Style(options.font)

    def overlay(self, predicted: Predicted, rgb: Pixels) -> Pixels:
        """The picture (H, W, 3) uint8 RGB with the shown classes drawn on it, as in videos."""
        # A panel of its own for each picture, because each has another size.
        panel = LabelPanel(self._masks, self._languages)
        whole = Rect(0, 0, rgb.shape[1], rgb.shape[0])
        return drawn(rgb, replace(predicted.prediction, crop=whole), [panel])

    def save(self, predicted: Predicted, path: str, target: Path, overwrite: bool) -> None:
        """Draw the picture of a path. Raises UsageError, OutputError or SourceError."""
        write_whole(target, overwrite, lambda part: part.write_bytes(self._bytes(predicted, path)))

    def _bytes(self, predicted: Predicted, path: str) -> bytes:
        title = Path(predicted.name).name
        if self._layout == "chart":
            return png(score_chart(predicted.bars, self._style, title))
        # Read once more: pictures kept from when they were classified would fill the memory.
        rgb = np.asarray(read_picture(path))
        if self._layout == "both":
            size = picture_size(rgb, len(predicted.bars))
            if size[0] > rgb.shape[1]:
                # Before the labels, whose letters have a least size: they would cover it.
                rgb = resized(rgb, size)
            overlay = self.overlay(predicted, rgb)
            return png(picture_chart(overlay, predicted.bars, self._style, title))
        data = io.BytesIO()
        Image.fromarray(self.overlay(predicted, rgb)).save(data, "JPEG", quality=JPEG_QUALITY)
        return data.getvalue()
