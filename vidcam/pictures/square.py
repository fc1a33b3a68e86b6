"""What the network sees of a picture, as timm's evaluation transform cuts it."""

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from vidcam.prepare import PAD_GREY, Geometry
from vidcam.types import Pixels, Rect

Box = tuple[float, float, float, float]

# Pillow shrinks by a whole factor first where the picture is this many times too large.
REDUCING_GAP = 3.0


def square_of(picture: Image.Image, geometry: Geometry) -> tuple[Pixels, Rect]:
    """The network's square, (S, S, 3) uint8 RGB, and the rectangle of the picture that it shows.

    `picture` has mode RGB and any size. One antialiased bicubic resize, straight from the
    rectangle: for `crop` that is timm's resize and centre crop, to the fraction of a pixel, which
    the rectangle rounds; `pad` fills with grey.
    """
    whole = replace(geometry, fit="stretch").region(*picture.size)
    size = geometry.size
    if geometry.fit == "crop":
        box = _centre(whole, size, geometry.crop_share)
        return _resized(picture, (size, size), box), _around(box)
    box = (whole.x, whole.y, whole.x + whole.width, whole.y + whole.height)
    if geometry.fit == "stretch":
        return _resized(picture, (size, size), box), whole
    shrink = size / max(whole.width, whole.height)
    width, height = (max(1, round(side * shrink)) for side in (whole.width, whole.height))
    x, y = (size - width) // 2, (size - height) // 2
    out = np.full((size, size, 3), PAD_GREY, np.uint8)
    out[y : y + height, x : x + width] = _resized(picture, (width, height), box)
    return out, whole


def _centre(whole: Rect, size: int, share: float) -> Box:
    """Left, top, right, bottom of the centre crop, in pixels of the picture.

    timm resizes the shorter side to `size / share`, rounded down, and cuts the centre out, both in
    whole pixels of the resized picture.
    """
    # Shares such as 224/232 must not lose a pixel to the last bit of their quotient.
    shorter = math.floor(size / share + 1e-6)
    least = min(whole.width, whole.height)
    edges = []
    for start, length in ((whole.x, whole.width), (whole.y, whole.height)):
        resized = shorter * length // least
        first = round((resized - size) / 2)
        edges.append([start + edge * length / resized for edge in (first, first + size)])
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def _around(box: Box) -> Rect:
    left, top, right, bottom = map(round, box)
    return Rect(left, top, max(1, right - left), max(1, bottom - top))


def _resized(picture: Image.Image, size: tuple[int, int], box: Box) -> Pixels:
    resized = picture.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=REDUCING_GAP)
    return np.array(resized)
