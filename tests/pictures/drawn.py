"""Pictures that tests draw and save, and how far two are apart."""

import struct
import zlib

import numpy as np

SIZE = WIDTH, HEIGHT = 64, 48


def soft():
    """(H, W, 3): red grows to the right, green downwards, blue falls."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 4, y * 5, 255 - 2 * (x + y)], axis=-1).astype(np.uint8)


def apart(picture, pixels):
    """The mean absolute difference of two pictures, in levels."""
    shown = np.asarray(picture).astype(int)
    assert picture.mode == "RGB" and shown.shape == pixels.shape
    return np.abs(shown - pixels).mean()


def png(width, height, depth, kind, rows, *chunks):
    """The bytes of a PNG made by hand: `rows` as they are stored, `chunks` as (name, data)."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    whole = (("IHDR", header), *chunks, ("IDAT", packed), ("IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name.encode() + data
        + struct.pack(">I", zlib.crc32(name.encode() + data))
        for name, data in whole
    )  # fmt: skip


def saved(path, picture, **options):
    """Save a PIL picture; returns the path."""
    picture.save(path, **options)
    return path
