"""How fast and how right `vidcam image` is: `python bench/pictures.py FOLDER`.

FOLDER holds pictures and `labels.csv` (file,index,…). Each engine classifies all of them several
times, CSV and JSON written, start-up apart; `timm` is the built-in network in f32 behind timm's own
evaluation transform. Prints one JSON line: pictures a second (median), memory after each round,
top-1, and on how many pictures the top-1 differs from timm's.
"""

import csv
import json
import tempfile
import time
from pathlib import Path

import click
import torch
from PIL import Image
from report import machine, median, memory_mb, versions
from timm.data import create_transform

from vidcam.models import load_model
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.predictor import Predictor
from vidcam.pictures.records import prediction_files

ENGINES = ("openvino", "torch")


def by_timm(paths: list[Path]) -> list[int]:
    """The best class of each picture behind timm's transform."""
    model = load_model(ImageOptions())
    mean, std = ([value / 255 for value in values] for values in (model.mean, model.std))
    transform = create_transform(
        (3, model.size, model.size), mean=mean, std=std,
        interpolation="bicubic", crop_pct=model.crop_share,
    )  # fmt: skip
    best = []
    with torch.no_grad():
        for path in paths:
            with Image.open(path) as picture:
                inputs = transform(picture.convert("RGB"))[None]
            best.append(int(model.net(inputs).argmax()))
    return best


def by_vidcam(paths: list[Path], engine: str, rounds: int) -> dict[str, object]:
    """Rates, memory and the best class of each picture."""
    start_s = time.perf_counter()
    predictor = Predictor(ImageOptions(backend=engine), len(paths))
    startup_s = time.perf_counter() - start_s
    rates, memory, best = [], [], []
    for _ in range(rounds):
        start_s = time.perf_counter()
        with (
            tempfile.TemporaryDirectory() as folder,
            prediction_files(Path(folder), overwrite=False) as write,
        ):
            best = []
            for predicted in predictor(paths):
                best.append(predicted.prediction.topk[0].index)
                write(predicted)
        rates.append(len(paths) / (time.perf_counter() - start_s))
        memory.append(round(memory_mb()))
    return {
        "precision": predictor.backend.precision,
        "startup_s": round(startup_s, 2),
        "pictures_per_s": median(rates),
        "samples": [round(rate, 1) for rate in rates],
        "memory_mb": memory,
        "best": best,
    }


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rounds", default=5)
@click.option("--backend", "engines", multiple=True, default=ENGINES)
def main(folder: Path, rounds: int, engines: tuple[str, ...]) -> None:
    """Print the JSON line."""
    with (folder / "labels.csv").open(encoding="utf-8-sig") as file:
        rows = [(folder / row["file"], int(row["index"])) for row in csv.DictReader(file)]
    paths, truth = [path for path, _ in rows], [index for _, index in rows]
    found = {engine: by_vidcam(paths, engine, rounds) for engine in engines}
    reference = by_timm(paths)
    right = {"timm": sum(a == b for a, b in zip(reference, truth, strict=True))}
    for engine, line in found.items():
        best = line.pop("best")
        right[engine] = sum(a == b for a, b in zip(best, truth, strict=True))
        line["differs_from_timm"] = sum(a != b for a, b in zip(best, reference, strict=True))
    line = {"program": "pictures", "pictures": len(rows), "right": right, "engines": found}
    click.echo(json.dumps(line | {"machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
