"""Small data sets that tests draw."""

import numpy as np
from PIL import Image


def picture(number, size=(96, 96)):
    """A smooth random RGB picture; each number gives another one."""
    rng = np.random.default_rng(number)
    grid = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)


def fill(folder, names, first=0):
    """Pictures of their own under `folder`: names such as "cat/1.png"; returns the folder."""
    for number, name in enumerate(names, first):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    return folder


def files_of(folder):
    """`{relative path: bytes}` of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
