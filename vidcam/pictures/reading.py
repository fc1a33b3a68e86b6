"""Pictures as they are meant to be seen: upright, opaque, 8-bit RGB, whatever the file holds."""

import contextlib
import os
import stat
import threading
import warnings
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from vidcam.errors import SourceError, UsageError, system_reason
from vidcam.pictures.inputs import readable
from vidcam.sources.inputs import VIDEO_SUFFIXES
from vidcam.types import Pixels

# Pillow's names. TGA has no mark of its own, so it is tried last.
FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000", "QOI", "ICO",
    "TGA",
)  # fmt: skip
READS = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, PPM, QOI, ICO, TGA"
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".heics", ".heifs"})
FILM_SUFFIXES = VIDEO_SUFFIXES - {".gif", ".apng"}
# The values at which white may stand in files that do not say it.
WHITES = (1, 255, 65535)
# A JPEG is decoded at a fraction only down to this multiple of the side that is needed.
SPARE = 2
# The note in `info` of a picture that was decoded at a fraction: how much larger the file's is.
SHRINK = "shrink"
# How to turn a picture upright, by its EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(path: str | Path, side_px: int | None = None) -> Image.Image:
    """The picture in a file, mode "RGB", upright; transparency over white; the first of several.

    With `side_px` the caller needs a shorter side of that many pixels at least: a JPEG may then
    come at a half, a quarter or an eighth of its size, its shorter side at least twice `side_px`;
    `info[SHRINK]` then says how many times larger the file's is.
    Safe in several threads. Raises SourceError with one sentence when the file is missing, cannot
    be read, holds no picture, a damaged one, or one above Pillow's limit against bombs.
    """
    name = readable(path)
    with _opened(path, name) as file:
        try:
            with _quiet:
                picture = Image.open(file, formats=_formats())
                full_size = picture.size
                if side_px:
                    picture.draft(None, (SPARE * side_px, SPARE * side_px))
                shrink = full_size[0] / picture.size[0]
                shown = _shown(picture)
                if shrink > 1:
                    shown.info[SHRINK] = shrink
                return shown
        except Image.DecompressionBombError as error:
            size = str(error).partition(",")[0].lower()
            raise SourceError(f"{name}: too large: {size}; scale it down first") from error
        except UnidentifiedImageError as error:
            raise SourceError(f"{name}: {_what_else(path)}") from error
        except Exception as error:
            reason = system_reason(error) or type(error).__name__
            raise SourceError(f"{name}: damaged or cut off: {reason}") from error


def as_picture(given: object, side_px: int | None = None) -> Image.Image:
    """What a Python caller hands over, as `read_picture` gives it.

    `given` is a path, a PIL image, or an array: (H, W, 3) uint8 RGB or (H, W) uint8 grey. Raises
    UsageError for anything else, SourceError for a picture that cannot be decoded.
    """
    if isinstance(given, str | Path):
        return read_picture(given, side_px)
    if isinstance(given, np.ndarray):
        fits = given.ndim == 2 or (given.ndim == 3 and given.shape[2] == 3)
        if given.dtype != np.uint8 or not fits or not given.size:
            raise UsageError(
                "an array must be (H, W, 3) RGB or (H, W) grey in uint8, "
                f"not {given.shape} {given.dtype}"
            )
        return Image.fromarray(np.ascontiguousarray(given)).convert("RGB")
    if not isinstance(given, Image.Image):
        kind = type(given).__name__
        raise UsageError(f"a picture is a path, a PIL image or a NumPy array, not {kind}")
    if not (given.width and given.height):
        raise UsageError(f"a picture of {given.width}x{given.height} pixels is empty")
    try:
        with _quiet:
            return _shown(given)
    except Exception as error:
        reason = system_reason(error) or type(error).__name__
        raise SourceError(f"a PIL image of mode {given.mode}: {reason}") from error


class _Quiet:
    """Pillow's own warnings are off while at least one thread reads.

    `warnings.catch_warnings` would undo what other threads change meanwhile, an import say; this
    puts one narrow filter in and takes it out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._filter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._filter = warnings.filters[0]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._readers -= 1
            filters: Any = warnings.filters
            # Somebody's catch_warnings may have taken it away already.
            if self._readers == 0 and self._filter in filters:
                filters.remove(self._filter)


_quiet = _Quiet()


@cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _opened(path: str | Path, name: str) -> BinaryIO:
    try:
        status = os.stat(path)
        # Opening a pipe would wait for whoever fills it.
        if stat.S_ISREG(status.st_mode) and status.st_size:
            return open(path, "rb")
    except FileNotFoundError as error:
        raise SourceError(f"{name}: no such file") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: {system_reason(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{name}: is a folder, not a picture")
    kind = "is empty" if stat.S_ISREG(status.st_mode) else "is a device or a pipe, not a file"
    raise SourceError(f"{name}: {kind}")


def _what_else(path: str | Path) -> str:
    """What a file is that no picture format knows, as far as its name tells."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in HEIF_SUFFIXES:
        return "HEIC is not read; convert it to JPEG first"
    if suffix in FILM_SUFFIXES:
        return "is a video, not a picture; `vidcam file` explains videos"
    return f"is not a picture, or its beginning is damaged; vidcam reads {READS}"


def _shown(picture: Image.Image) -> Image.Image:
    """A copy as people are meant to see it, without the notes that would turn it once more."""
    picture.load()
    turn = _turn(picture)
    shown = _opaque(picture)
    if turn is not None:
        shown = shown.transpose(turn)
    shown.info.clear()
    return shown


def _turn(picture: Image.Image) -> Image.Transpose | None:
    # Cameras and editors leave broken notes in sound pictures; every viewer shows those.
    with contextlib.suppress(Exception):
        return UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    return None


def _opaque(picture: Image.Image) -> Image.Image:
    """A new picture of mode RGB."""
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(picture)).convert("RGB")
    if picture.mode == "LAB":
        # Pillow converts it by colour profiles only.
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, lab, rgb, outputMode="RGB")
        assert converted is not None
        return converted
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer)
    return white


def _eight_bits(picture: Image.Image) -> Pixels:
    """(H, W) grey of a picture with deeper pixels.

    16 bits keep the upper 8. Of other numbers white is the least of `WHITES` that none exceeds;
    numbers below 0 or above all of those are stretched from the least to the greatest.
    """
    levels = np.asarray(picture)
    if picture.mode.startswith("I;16"):
        grey: Pixels = (levels >> 8).astype(np.uint8)
        grey[levels == picture.info.get("transparency", -1)] = 255
        return grey
    # Damaged floats hold NaNs whose mere copy numpy warns of.
    with np.errstate(all="ignore"):
        return _stretched(levels.astype(np.float64))


def _stretched(levels: NDArray[np.float64]) -> Pixels:
    known = levels[np.isfinite(levels)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    white = next((white for white in WHITES if low >= 0 and high <= white), None)
    if white is not None:
        low, high = 0.0, float(white)
    scaled = (levels - low) * (255 / ((high - low) or 1.0))
    return np.asarray(np.rint(np.nan_to_num(scaled, nan=0.0).clip(0, 255)), np.uint8)
