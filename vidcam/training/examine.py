"""What one file of a data set is: whole or not, its size, its content, its look."""

import os
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from vidcam.errors import SourceError, system_reason
from vidcam.pictures.inputs import readable
from vidcam.pictures.reading import FORMATS, read_picture
from vidcam.training.duplicates import THUMBNAIL_PX, Thumbnails, digest, thumbnail

# Formats that go under each other's suffixes; phones call their MPO files .jpg.
KIN = {"MPO": "JPEG", "DIB": "BMP"}
HEAD_BYTES = 32
BLANK: Thumbnails = np.full((THUMBNAIL_PX, THUMBNAIL_PX, 3), 128, np.uint8)


@dataclass(frozen=True, eq=False)
class Examined:
    """One picture file. `fault` says why it cannot be read; then only the digest is known.

    `kind` is that fault's name in `check.KINDS`.
    `size` is (width, height), `thumbnail` (32, 32, 3) uint8 YCbCr, `really` the format of a file
    whose suffix says another one.
    """

    digest: bytes
    size: tuple[int, int] = (0, 0)
    thumbnail: Thumbnails = field(default_factory=lambda: BLANK)
    fault: str = ""
    kind: str = ""
    really: str = ""


def examine(path: str) -> Examined:
    """Read a file and decode its picture whole. Raises nothing: a fault is part of the answer."""
    return _examined(path, None)


def glance(path: str) -> Examined:
    """The same at a glance: a large JPEG is decoded at a fraction of its size.

    Damage may stay unseen, and `size` is that of the fraction.
    """
    return _examined(path, THUMBNAIL_PX)


def _examined(path: str, side_px: int | None) -> Examined:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return Examined(b"unread:" + os.fsencode(path), fault=system_reason(error), kind="refused")
    content = digest(data)
    if not data:
        return Examined(content, fault="is empty", kind="empty file")
    try:
        picture = read_picture(path, side_px)
    except SourceError as error:
        fault = str(error).removeprefix(f"{readable(path)}: ")
        return Examined(content, fault=fault, kind="unreadable")
    return Examined(content, picture.size, thumbnail(picture), really=_really(path, data))


def real_format(path: str) -> str:
    """The format of a picture file by its first bytes, "" for what is no picture."""
    try:
        with open(path, "rb") as file:
            return _format_of(file.read(HEAD_BYTES))
    except OSError:
        return ""


def _really(path: str, data: bytes) -> str:
    told = Image.registered_extensions().get(os.path.splitext(path)[1].lower(), "")
    real = _format_of(data[:HEAD_BYTES])
    return real if real and KIN.get(real, real) != KIN.get(told, told) else ""


def _format_of(head: bytes) -> str:
    head = head.ljust(HEAD_BYTES, b"\0")  # some look further than a short file goes
    for name in FORMATS:
        accept = Image.OPEN[name][1] if name in Image.OPEN else None
        # Some answer with a sentence instead of a refusal: "this Pillow lacks the decoder".
        if accept is not None and accept(head) is True:
            return name
    return ""
