"""Sets of pictures to learn: one class is warm and striped, the other cold and round."""

import numpy as np
from PIL import Image

NAMES = ("暖 warm", "冷 cold")


def photo(label, number, size=(64, 48)):
    """A noisy RGB picture of class 0 or 1; each number gives another one."""
    rng = np.random.default_rng((label, number))
    width, height = size
    y, x = np.mgrid[:height, :width] / height
    if label == 0:
        shape = np.sin(20 * (x + rng.uniform(0.5, 1.5) * y) + rng.uniform(0, 6)) > 0
        color = (200, 110, 60)
    else:
        shape = np.hypot(x - rng.uniform(0.3, 1), y - rng.uniform(0.3, 0.7)) < rng.uniform(0.2, 0.4)
        color = (60, 110, 200)
    pixels = np.where(shape[..., None], color, 110) + rng.normal(0, 30, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def photos(folder, train=12, val=8, names=NAMES):
    """FOLDER/train and FOLDER/val with so many pictures a class; without `val` no parts."""
    for part, count, first in (("train", train, 0), ("val", val, 1000)):
        for label, name in enumerate(names):
            place = folder / part / name if val else folder / name
            if count:
                place.mkdir(parents=True)
            for number in range(count):
                photo(label % 2, first + number + 5000 * label).save(place / f"{number}.png")
    return folder
