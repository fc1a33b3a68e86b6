"""What tells a class that is in a picture from one that is not: `python bench/evidence.py FOLDER`.

FOLDER holds pictures and `labels.csv` (file,index,…). A class's evidence is its HiResCAM map's
peak, relative to that of the picture's top class. It is measured for classes drawn at random, which
the pictures do not show (`absent`), and in pairs of pictures side by side for the class that speaks
the less of the two (`second object`). Prints one JSON line: the share of each that reaches a
threshold.
"""

import csv
import json
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from PIL import Image
from report import machine, versions

from vidcam.pictures.explainer import Explainer
from vidcam.pictures.maps import PictureMaps
from vidcam.pictures.options import ExplainOptions
from vidcam.pictures.reading import read_picture
from vidcam.pictures.square import square_of

THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
ABSENT_EACH = 12


def ratios(explainer: Explainer, picture: Image.Image, indices: list[int]) -> list[float]:
    """The evidence of each class in a picture."""
    square, _ = square_of(picture, explainer.geometry)
    pixels = explainer.pixels_of(square)
    top = int(explainer.net(pixels)[0].argmax())
    maps = PictureMaps(explainer.net, pixels, [top, *indices])
    peaks = {index: maps.peak(explainer.layers[0], index) for index in (top, *indices)}
    return [peaks[index] / peaks[top] for index in indices]


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """The middles of two pictures side by side."""
    size = min(*left.size, *right.size)
    pair = Image.new("RGB", (2 * size, size))
    for number, picture in enumerate((left, right)):
        side = min(picture.size)
        x, y = (picture.width - side) // 2, (picture.height - side) // 2
        part = picture.resize((size, size), Image.Resampling.BICUBIC, (x, y, x + side, y + side))
        pair.paste(part, (number * size, 0))
    return pair


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Print the JSON line."""
    with (folder / "labels.csv").open(encoding="utf-8-sig") as file:
        rows = [(folder / row["file"], int(row["index"])) for row in csv.DictReader(file)]
    random = np.random.default_rng(0)
    whole, pair = (Explainer(ExplainOptions(fit=fit)) for fit in ("crop", "stretch"))
    absent: list[float] = []
    for path, index in rows:
        drawn = [int(k) for k in random.integers(0, len(whole.labels), ABSENT_EACH) if k != index]
        absent += ratios(whole, read_picture(path), list(dict.fromkeys(drawn)))
    shuffled = [rows[number] for number in random.permutation(len(rows))]
    second = [
        min(ratios(pair, beside(read_picture(a), read_picture(b)), [of_a, of_b]))
        for (a, of_a), (b, of_b) in pairwise(shuffled)
    ]
    line = {
        "program": "evidence",
        "pictures": len(rows),
        "absent": {"n": len(absent), **reaching(absent)},
        "second_object": {"n": len(second), **reaching(second)},
    }
    click.echo(json.dumps(line | {"machine": machine(), "versions": versions()}))


def reaching(found: list[float]) -> dict[str, float]:
    """The share that reaches each threshold."""
    return {str(least): round(float(np.mean(np.array(found) >= least)), 3) for least in THRESHOLDS}


if __name__ == "__main__":
    main()
