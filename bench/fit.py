"""Which fit names real pictures best in 16:9 video: `python bench/fit.py FOLDER`.

FOLDER holds pictures and `labels.csv` (file,index,…). Each is shown as a 1280x720 frame in three
ways: `fill`, its middle scaled to the whole frame as a camera would take it; `aside`, the same
moved a quarter of the frame to the right with the gap filled by its mirror image, because what a
camera sees is seldom in the middle; and `bars`, the whole picture between black bars. Prints one
JSON line: top-1 and top-5 for each fit, and what bf16 does to labels and maps against f32.
"""

import csv
import json
from pathlib import Path

import av
import click
import numpy as np
from PIL import Image, ImageOps

from vidcam import yuv
from vidcam.options import FITS, FileOptions
from vidcam.prepare import Geometry, Preparer
from vidcam.session import Session
from vidcam.timeline import normalise

WIDTH, HEIGHT = 1280, 720


def frame_of(path: Path, how: str) -> av.VideoFrame:
    """The picture as a BT.709 yuv420p frame."""
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    shape = ImageOps.pad if how == "bars" else ImageOps.fit
    rgb = np.asarray(shape(picture, (WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    if how == "aside":
        rgb = np.pad(rgb, ((0, 0), (WIDTH // 4, 0), (0, 0)), "symmetric")[:, :WIDTH]
    rgb = np.ascontiguousarray(rgb)
    return yuv.Normaliser()(av.VideoFrame.from_ndarray(rgb, "rgb24"), 0)


def model_pixels(frames: list[av.VideoFrame], session: Session, fit: str) -> np.ndarray:
    """(N, S, S, 3) model pixels of frames."""
    size = session.model.size
    preparer = Preparer(Geometry(size, fit, session.model.crop_share))
    pixels = np.empty((len(frames), size, size, 3), np.uint8)
    for frame, row in zip(frames, pixels, strict=True):
        preparer(frame, row)
    return pixels


def seen_by(session: Session, pixels: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Scores (N, K) and normalised maps."""
    seen = [
        one for k in range(0, len(pixels), 8) for one in session.classifier(pixels[k : k + 8], True)
    ]
    return np.stack([one.scores for one in seen]), [normalise(one.map) for one in seen]


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Print the JSON line."""
    with (folder / "labels.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = [(folder / row["file"], int(row["index"])) for row in csv.DictReader(stream)]
    truth = np.array([index for _, index in rows])
    exact = Session(FileOptions(precision="f32"))
    fits: dict[str, dict[str, dict[str, float]]] = {}
    for how in ("fill", "aside", "bars"):
        frames = [frame_of(path, how) for path, _ in rows]
        fits[how] = {}
        for fit in FITS:
            pixels = model_pixels(frames, exact, fit)
            scores, _ = seen_by(exact, pixels)
            ranked = np.argsort(-scores, axis=1)[:, :5]
            fits[how][fit] = {
                "top1": round(float((ranked[:, 0] == truth).mean()), 3),
                "top5": round(float((ranked == truth[:, None]).any(1).mean()), 3),
            }
    report = {"pictures": len(rows), "fits": fits, "bf16": precision_of("bf16", exact, rows)}
    click.echo(json.dumps(report))


def precision_of(name: str, exact: Session, rows: list[tuple[Path, int]]) -> dict[str, float]:
    """How far a precision is from f32 on the same pixels."""
    frames = [frame_of(path, "fill") for path, _ in rows]
    pixels = model_pixels(frames, exact, "stretch")
    scores, maps = seen_by(exact, pixels)
    got, got_maps = seen_by(Session(FileOptions(precision=name)), pixels)
    logits, got_logits = np.log(scores), np.log(got)
    best = np.sort(logits, axis=1)
    margin = best[:, -1] - best[:, -2]
    same = scores.argmax(1) == got.argmax(1)
    distance = [np.abs(a - b).max() for a, b, s in zip(maps, got_maps, same, strict=True) if s]
    return {
        "same_top1": round(float(same.mean()), 3),
        "largest_margin_lost": round(float(margin[~same].max(initial=0)), 3),
        "top1_logit_difference_max": round(
            float(
                np.abs(np.take_along_axis(logits - got_logits, scores.argmax(1)[:, None], 1)).max()
            ),
            3,
        ),
        "map_difference_median": round(float(np.median(distance)), 3),
        "map_difference_max": round(float(np.max(distance)), 3),
    }


if __name__ == "__main__":
    main()
