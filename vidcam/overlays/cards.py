"""Small dark cards with text, in RGBA, which the window lays over its pictures."""

from collections.abc import Sequence

import cv2
import numpy as np

from vidcam.overlays.panel import PANEL_RGB, TEXT_RGB
from vidcam.overlays.text import TextMasks, line_height
from vidcam.types import Pixels

# Sizes in units of the text size.
PADDING, ROW_GAP, COLUMN_GAP, CORNER = 0.7, 0.3, 1.2, 0.4
OPACITY = 0.8
KEY_RGB = (64, 196, 255)


def card(
    masks: TextMasks, rows: Sequence[tuple[str, str]], size_px: int, room: tuple[int, int]
) -> Pixels:
    """Rows of a key and its meaning as (h, w, 4) uint8 RGBA; a row without a key is plain text.

    It is at most `room` (width, height) pixels large: the text is made smaller until it fits.
    """
    width_px, height_px = room
    while True:
        padding, gap = round(size_px * PADDING), round(size_px * ROW_GAP)
        keys = [masks(key, "", size_px, width_px) for key, _ in rows if key]
        indent = max((key.shape[1] for key in keys), default=0)
        indent += round(size_px * COLUMN_GAP) if indent else 0
        inner = max(1, width_px - 2 * padding - indent)
        wide = max(masks(text, "", size_px, 100 * size_px).shape[1] for _, text in rows)
        height = 2 * padding + len(rows) * (line_height(size_px) + gap) - gap
        if size_px <= 1 or (wide <= inner and height <= height_px):
            break
        size_px = max(1, size_px * 9 // 10)
    width = min(width_px, 2 * padding + indent + wide)
    pixels = _ground(width, min(height, height_px), round(size_px * CORNER))
    for number, (key, text) in enumerate(rows):
        y = padding + number * (line_height(size_px) + gap)
        _ink(pixels, masks(key, "", size_px, max(1, indent)), (padding, y), KEY_RGB)
        _ink(pixels, masks(text, "", size_px, inner), (padding + indent, y), TEXT_RGB)
    return pixels


def _ground(width: int, height: int, corner: int) -> Pixels:
    alpha = np.zeros((height, width), np.uint8)
    if 2 * corner < min(width, height):
        for x, y in ((corner, 0), (0, corner)):
            cv2.rectangle(alpha, (x, y), (width - 1 - x, height - 1 - y), 255, cv2.FILLED)
        for x in (corner, width - 1 - corner):
            for y in (corner, height - 1 - corner):
                cv2.circle(alpha, (x, y), corner, 255, cv2.FILLED, cv2.LINE_AA)
    else:
        alpha[:] = 255
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[..., :3] = PANEL_RGB
    pixels[..., 3] = cv2.multiply(alpha, np.ones_like(alpha), scale=OPACITY)
    return pixels


def _ink(pixels: Pixels, mask: Pixels, at: tuple[int, int], rgb: tuple[int, int, int]) -> None:
    x, y = at
    part = pixels[y : y + mask.shape[0], x : x + mask.shape[1]]
    cover = mask[: part.shape[0], : part.shape[1], None] / 255
    colour = np.array([*rgb, 255], np.float64)
    part[:] = np.rint(part + (colour - part) * cover)
