"""Which copies of pictures `vidcam data check` knows: `python bench/duplicates.py FOLDER`.

Each picture of FOLDER, all of them different, is changed in several ways. Prints one JSON line: of
each kind of copy the share that lies in a group with its original when only the two are there, how
many pairs of different pictures were compared and how many of them are taken for the same, and how
near the nearest of these are.
"""

import io
import json
from collections.abc import Callable

import click
import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from report import machine, versions

from vidcam.pictures.inputs import expand
from vidcam.pictures.reading import read_picture
from vidcam.training.duplicates import describe, near_groups, thumbnail

Change = Callable[[Image.Image], Image.Image]


def saved(quality: int) -> Change:
    """The picture as a JPEG of that quality."""

    def change(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return change


def cut(percent: float) -> Change:
    """The middle of the picture, its sides shorter by so much."""

    def change(picture: Image.Image) -> Image.Image:
        x, y = (side * percent / 200 for side in picture.size)
        right, bottom = picture.width - x, picture.height - y
        return picture.crop((round(x), round(y), round(right), round(bottom)))

    return change


def scaled(side_px: int) -> Change:
    """The picture with a longest side of so many pixels."""
    return lambda picture: ImageOps.contain(picture, (side_px, side_px))


CHANGES: dict[str, Change] = {
    "jpeg 10": saved(10),
    "jpeg 30": saved(30),
    "240 px": scaled(240),
    "64 px": scaled(64),
    "contrast 1.4": lambda picture: ImageEnhance.Contrast(picture).enhance(1.4),
    "brightness 1.3": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "brightness 0.7": lambda picture: ImageEnhance.Brightness(picture).enhance(0.7),
    "colour 1.4": lambda picture: ImageEnhance.Color(picture).enhance(1.4),
    "mirror": ImageOps.mirror,
    "cut 3 %": cut(3),
    "cut 5 %": cut(5),
    "cut 10 %": cut(10),
    "cut 20 %": cut(20),
    "turned 2 degrees": lambda picture: picture.rotate(2, Image.Resampling.BICUBIC),
    "grey": lambda picture: ImageOps.grayscale(picture).convert("RGB"),
}


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
def main(folder: str) -> None:
    """Measure and print."""
    pictures = [read_picture(path) for path in expand([folder])]
    originals = np.stack([thumbnail(picture) for picture in pictures])
    copies = {
        name: np.stack([thumbnail(change(picture)) for picture in pictures])
        for name, change in CHANGES.items()
    }
    found = {
        name: sum(len(near_groups(np.stack(two))) for two in zip(originals, each, strict=True))
        for name, each in copies.items()
    }
    everything = np.concatenate([originals, *copies.values()])
    of = np.tile(np.arange(len(pictures)), 1 + len(copies))
    vectors, mirrored = describe(everything)
    likeness = np.maximum(vectors @ vectors.T, vectors @ mirrored.T)
    different = of[:, None] < of
    wrong = sum(len(set(of[group])) > 1 for group in near_groups(everything))
    record = {
        "machine": machine(),
        "versions": versions(),
        "pictures": len(pictures),
        "found": {name: round(count / len(pictures), 3) for name, count in found.items()},
        "different_pairs": int(different.sum()),
        "groups_of_different": wrong,
        "nearest_different": round(float(1 - likeness[different].max()), 3),
    }
    click.echo(json.dumps(record))


if __name__ == "__main__":
    main()
