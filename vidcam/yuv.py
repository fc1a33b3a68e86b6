"""Pictures in yuv420p: plane views, upright and even copies, colours, blending in place.

Everything here works on 8-bit planes in buffers that are reused; nothing goes through RGB.
"""

from functools import lru_cache

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from vidcam.errors import SourceError
from vidcam.types import Pixels, Rect

# What decoders leave unsaid is guessed as players guess it: HD is BT.709, the rest BT.601.
HD_HEIGHT = 720
UNSPECIFIED = 2
BT709, BT470BG, SMPTE170M = 1, 5, 6
BT2020_NCL, BT2020_CL = 9, 10
KR_KB = {BT709: (0.2126, 0.0722), BT2020_NCL: (0.2627, 0.0593), BT2020_CL: (0.2627, 0.0593)}
KR_KB_601 = (0.299, 0.114)
ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def planes(picture: av.VideoFrame) -> tuple[Pixels, Pixels, Pixels]:
    """Views of the Y (H, W), U and V (H/2, W/2) planes; writing to them writes the picture."""
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]  # type: ignore[call-overload]
        for plane in picture.planes
    )
    return y, u, v


def copy_tags(source: av.VideoFrame, target: av.VideoFrame) -> av.VideoFrame:
    """`target` with the time and the colour tags of `source`."""
    target.pts, target.duration = source.pts, source.duration
    if source.time_base is not None:
        target.time_base = source.time_base
    target.colorspace, target.color_range = source.colorspace, source.color_range
    target.color_primaries, target.color_trc = source.color_primaries, source.color_trc
    return target


def is_full_range(picture: av.VideoFrame) -> bool:
    """True when luma spans 0..255 instead of 16..235."""
    return picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")


def matrix_of(picture: av.VideoFrame) -> int:
    """The YCbCr matrix of a picture as FFmpeg numbers them, guessed from the height if untagged."""
    if picture.colorspace not in (0, UNSPECIFIED):
        return int(picture.colorspace)
    return BT709 if picture.height >= HD_HEIGHT else SMPTE170M


def sws_matrix(matrix: int) -> int:
    """swscale's number for a matrix of `matrix_of`."""
    if matrix == BT709:
        return int(Colorspace.ITU709)
    return int(Colorspace.BT2020 if matrix in (BT2020_NCL, BT2020_CL) else Colorspace.ITU601)


def crop(picture: av.VideoFrame, rect: Rect, into: av.VideoFrame | None = None) -> av.VideoFrame:
    """A yuv420p copy of `rect` (even x, y, width, height) of a yuv420p picture, tags kept."""
    target = into or av.VideoFrame(rect.width, rect.height, "yuv420p")
    for shift, source, copy in zip((0, 1, 1), planes(picture), planes(target), strict=True):
        x, y = rect.x >> shift, rect.y >> shift
        np.copyto(copy, source[y : y + copy.shape[0], x : x + copy.shape[1]])
    return copy_tags(picture, target)


def copy(picture: av.VideoFrame) -> av.VideoFrame:
    """A copy of a yuv420p picture, tags kept."""
    return crop(picture, Rect(0, 0, picture.width, picture.height))


def rotate(picture: av.VideoFrame, degrees: int) -> av.VideoFrame:
    """A yuv420p copy turned counter-clockwise by 90, 180 or 270 degrees, tags kept."""
    width, height = picture.width, picture.height
    if degrees % 180:
        width, height = height, width
    target = av.VideoFrame(width, height, "yuv420p")
    for source, turned in zip(planes(picture), planes(target), strict=True):
        cv2.rotate(source, ROTATIONS[degrees], dst=turned)
    return copy_tags(picture, target)


class Normaliser:
    """Turns a decoder's pictures into upright, even-sized yuv420p of one size.

    A picture that is all that already passes through untouched. 10-bit, 4:4:4, RGB and palette
    pictures are converted once, in their own matrix and range; an odd last column or row is cut,
    because 4:2:0 has no half samples; a size that changes in mid-stream is scaled to the first.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self.size: tuple[int, int] | None = None

    def __call__(self, picture: av.VideoFrame, rotation: int) -> av.VideoFrame:
        """The picture, turned counter-clockwise by `rotation` degrees. Raises SourceError."""
        upright = self._to_420(picture)
        if upright.width % 2 or upright.height % 2:
            even = upright.width & ~1, upright.height & ~1
            if not all(even):
                raise SourceError(f"pictures of {upright.width}x{upright.height} are too small")
            upright = crop(upright, Rect(0, 0, *even))
        if rotation:
            upright = rotate(upright, rotation)
        self.size = self.size or (upright.width, upright.height)
        if (upright.width, upright.height) != self.size:
            upright = copy_tags(upright, self._reformatter.reformat(upright, *self.size))
        return upright

    def _to_420(self, picture: av.VideoFrame) -> av.VideoFrame:
        name = picture.format.name
        full = is_full_range(picture)
        if name == "yuv420p":
            return picture
        if picture.format.is_rgb or name == "pal8":
            matrix, tag = sws_matrix(matrix_of_rgb(picture)), matrix_of_rgb(picture)
            converted = self._reformatter.reformat(
                picture, format="yuv420p", dst_colorspace=matrix, dst_color_range=ColorRange.MPEG
            )
            copy_tags(picture, converted)
            converted.colorspace, converted.color_range = tag, ColorRange.MPEG
            return converted
        # swscale takes every grey picture for full range: as such the levels of a limited one stay.
        limited_grey = name.startswith("gray") and picture.color_range == ColorRange.MPEG
        span = ColorRange.JPEG if full or limited_grey else ColorRange.MPEG
        matrix = sws_matrix(matrix_of(picture))
        converted = self._reformatter.reformat(
            picture, format="yuv420p", src_colorspace=matrix, dst_colorspace=matrix,
            src_color_range=span, dst_color_range=span,
        )  # fmt: skip
        copy_tags(picture, converted)
        if full:
            converted.color_range = ColorRange.JPEG
        return converted


def matrix_of_rgb(picture: av.VideoFrame) -> int:
    """The matrix into which RGB of this height is converted."""
    return BT709 if picture.height >= HD_HEIGHT else SMPTE170M


@lru_cache(maxsize=64)
def yuv_of_rgb(rgb: tuple[int, int, int], matrix: int, full_range: bool) -> tuple[int, int, int]:
    """One RGB colour (0..255) as Y, U, V in a matrix and range."""
    table = _rgb_to_yuv(np.array([rgb], np.float64), matrix, full_range)[0]
    return int(table[0]), int(table[1]), int(table[2])


@lru_cache(maxsize=16)
def colormap_yuv(name: str, matrix: int, full_range: bool) -> Pixels:
    """OpenCV's colour map `name` as (256, 3) uint8 Y, U, V in a matrix and range."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    bgr = cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{name.upper()}"))[:, 0, :]
    return _rgb_to_yuv(bgr[:, ::-1].astype(np.float64), matrix, full_range)


def _rgb_to_yuv(rgb: np.ndarray, matrix: int, full_range: bool) -> Pixels:  # (N, 3) 0..255
    kr, kb = KR_KB.get(matrix, KR_KB_601)
    luma = rgb @ np.array([kr, 1 - kr - kb, kb])
    cb = (rgb[:, 2] - luma) / (2 * (1 - kb))
    cr = (rgb[:, 0] - luma) / (2 * (1 - kr))
    if full_range:
        yuv = np.stack([luma, cb + 128, cr + 128], axis=1)
    else:
        yuv = np.stack([16 + luma * 219 / 255, 128 + cb * 224 / 255, 128 + cr * 224 / 255], axis=1)
    return np.asarray(np.clip(np.rint(yuv), 0, 255), np.uint8)


def blend(plane: Pixels, keep: Pixels, add: Pixels) -> None:
    """`plane = plane * keep / 255 + add` in place; `add` is already weighted."""
    cv2.multiply(plane, keep, dst=plane, scale=1 / 255)
    cv2.add(plane, add, dst=plane)
