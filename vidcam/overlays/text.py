"""Text as coverage masks, laid out once per string and kept."""

from collections import OrderedDict

import numpy as np
from PIL import Image, ImageDraw

from vidcam.overlays.fonts import FontChain
from vidcam.types import Pixels

ELLIPSIS = "…"
# A 4K label mask takes 100 kB: bound the memory, not the count.
CACHE_BYTES = 16_000_000


class TextMasks:
    """Masks (H, w) uint8 of single lines of text: 0 = nothing, 255 = covered."""

    def __init__(self, fonts: FontChain) -> None:
        self._fonts = fonts
        self._masks: OrderedDict[tuple[str, str, int, int], Pixels] = OrderedDict()
        self._bytes = 0

    def __call__(self, text: str, english: str, size_px: int, width_px: int) -> Pixels:
        """The mask of `text`, `line_height(size_px)` high and at most `width_px` wide.

        Too long a text ends in an ellipsis.
        """
        key = (text, english, size_px, width_px)
        if key in self._masks:
            self._masks.move_to_end(key)
            return self._masks[key]
        mask = self._draw(text, english, size_px, width_px)
        self._masks[key] = mask
        self._bytes += mask.nbytes
        while self._bytes > CACHE_BYTES and len(self._masks) > 1:
            self._bytes -= self._masks.popitem(last=False)[1].nbytes
        return mask

    def _draw(self, text: str, english: str, size_px: int, width_px: int) -> Pixels:
        runs = self._fonts.runs(text, english)
        plain = "".join(part for _, part in runs)
        if self._width(plain, size_px) > width_px:
            low, high = 0, len(plain)  # the longest start that fits
            while low < high:
                middle = (low + high + 1) // 2
                fits = self._width(plain[:middle].rstrip() + ELLIPSIS, size_px) <= width_px
                low, high = (middle, high) if fits else (low, middle - 1)
            runs = self._fonts.runs(plain[:low].rstrip() + ELLIPSIS, "")
        length = sum(font.at(size_px).getlength(part) for font, part in runs)
        image = Image.new("L", (max(1, min(width_px, int(np.ceil(length)))), line_height(size_px)))
        draw = ImageDraw.Draw(image)
        x = 0.0
        baseline = round(size_px * 1.02)
        for font, part in runs:
            draw.text((x, baseline), part, fill=255, font=font.at(size_px), anchor="ls")
            x += font.at(size_px).getlength(part)
        return np.asarray(image)

    def _width(self, text: str, size_px: int) -> float:
        return sum(font.at(size_px).getlength(part) for font, part in self._fonts.runs(text, ""))


def line_height(size_px: int) -> int:
    """Height of a line's mask: room for ascenders, CJK boxes and descenders."""
    return round(size_px * 1.36)
