"""A classified picture as it is saved: its labels drawn on it, a chart of its scores, or both."""

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image

from vidcam.errors import OutputError, system_reason
from vidcam.figures.chart import picture_chart, score_chart
from vidcam.figures.sheet import png
from vidcam.figures.style import Style
from vidcam.overlays.fonts import FontChain
from vidcam.overlays.labels import LabelPanel
from vidcam.overlays.text import TextMasks
from vidcam.pictures.canvas import drawn
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.predictor import Predicted
from vidcam.sinks.partial import PartialFile
from vidcam.types import Pixels

JPEG_QUALITY = 92


class Drawing:
    """Draws predictions with one font, and saves them whole or not at all."""

    def __init__(self, options: ImageOptions) -> None:
        self._languages = len(options.lang)
        self._masks = TextMasks(FontChain(options.font))
        self._style = Style(options.font)

    def overlay(self, predicted: Predicted) -> Pixels:
        """The picture (H, W, 3) uint8 RGB with the shown classes drawn on it, as in videos."""
        # A panel of its own for each picture, because each has another size.
        panel = LabelPanel(self._masks, self._languages)
        return drawn(_rgb(predicted), predicted.prediction, [panel])

    def save(self, predicted: Predicted, layout: str, target: Path, overwrite: bool) -> None:
        """Write `overlay` as JPEG, `chart` or `both` as PNG. Raises UsageError or OutputError."""
        file = PartialFile(target, overwrite)
        try:
            if layout == "overlay":
                picture = Image.fromarray(self.overlay(predicted))
                picture.save(file.path, "JPEG", quality=JPEG_QUALITY)
            else:
                file.path.write_bytes(self._figure(predicted, layout))
        except BaseException as error:
            with contextlib.suppress(OSError):
                file.discard()
            if isinstance(error, OSError) and not isinstance(error, OutputError):
                raise OutputError(f"{target}: {system_reason(error)}") from error
            raise
        file.commit()

    def _figure(self, predicted: Predicted, layout: str) -> bytes:
        title = Path(predicted.name).name
        if layout == "chart":
            return png(score_chart(predicted.bars, self._style, title))
        return png(picture_chart(self.overlay(predicted), predicted.bars, self._style, title))


def _rgb(predicted: Predicted) -> Pixels:
    assert predicted.rgb is not None, "the picture was not kept"
    return np.ascontiguousarray(predicted.rgb)
