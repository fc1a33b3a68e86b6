"""Panels: text and bars on a dark translucent ground, as levels to blend into the planes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import av
import cv2
import numpy as np

from vidcam import yuv
from vidcam.overlays import Planes
from vidcam.overlays.heat import part_of
from vidcam.types import Pixels, Rect

Colour = tuple[int, int, int]
Inks = Mapping[Colour, Pixels]

PANEL_OPACITY = 0.62
PANEL_RGB, TEXT_RGB = (12, 14, 20), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Look:
    """What a panel's levels depend on besides its text."""

    width: int
    height: int
    matrix: int
    full_range: bool

    @classmethod
    def of(cls, picture: av.VideoFrame) -> "Look":
        """That of a picture."""
        matrix, full = yuv.matrix_of(picture), yuv.is_full_range(picture)
        return cls(picture.width, picture.height, matrix, full)


@dataclass(frozen=True, slots=True)
class Panel:
    """What is blended at `rect` (even numbers): `add` for Y, U and V, `keep` for Y and for both."""

    rect: Rect
    keep: tuple[Pixels, Pixels]
    add: tuple[Pixels, Pixels, Pixels]

    def draw(self, planes: Planes) -> None:
        """Blend it into the planes of a picture."""
        keeps = self.keep[0], self.keep[1], self.keep[1]
        for shift, plane, keep, add in zip((0, 1, 1), planes, keeps, self.add, strict=True):
            yuv.blend(part_of(plane, self.rect, shift), keep, add)

    def put(self, part: "Panel") -> None:
        """Replace what lies under `part`, whose `rect` counts from this panel's corner."""
        own, new = (*self.keep, *self.add), (*part.keep, *part.add)
        for shift, levels, others in zip((0, 1, 0, 1, 1), own, new, strict=True):
            np.copyto(part_of(levels, part.rect, shift), others)


def compose(
    rect: Rect, inks: Inks, look: Look, ground: Colour = PANEL_RGB, opacity: float = PANEL_OPACITY
) -> Panel:
    """A panel of masks (H, W) of `rect`'s size that do not overlap, one for each colour."""
    covered = np.zeros((rect.height, rect.width), np.uint8)
    for ink in inks.values():
        cv2.add(covered, ink, dst=covered)
    masks = covered, *inks.values()
    halves = tuple(map(_halve, masks))
    adds = []
    for channel, (bare, *inked) in enumerate((masks, halves, halves)):
        level = yuv.yuv_of_rgb(ground, look.matrix, look.full_range)[channel]
        add = cv2.LUT(bare, _falling(level * opacity))
        for rgb, ink in zip(inks, inked, strict=True):
            level = yuv.yuv_of_rgb(rgb, look.matrix, look.full_range)[channel]
            cv2.add(add, cv2.LUT(ink, _rising(level)), dst=add)
        adds.append(add)
    through = _falling(255 * (1 - opacity))
    keep = cv2.LUT(covered, through), cv2.LUT(halves[0], through)
    return Panel(rect, keep, (adds[0], adds[1], adds[2]))


@lru_cache(maxsize=64)
def _falling(level: float) -> Pixels:
    """`level` where nothing covers, 0 where all is covered, by coverage 0..255."""
    return np.rint(np.linspace(level, 0, 256)).astype(np.uint8)


@lru_cache(maxsize=64)
def _rising(level: int) -> Pixels:
    """0 where nothing covers, `level` where all is covered, by coverage 0..255."""
    return np.rint(np.linspace(0, level, 256)).astype(np.uint8)


def _halve(mask: Pixels) -> Pixels:
    size = mask.shape[1] // 2, mask.shape[0] // 2
    half: Pixels = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    return half
