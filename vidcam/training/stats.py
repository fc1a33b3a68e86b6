"""How large the pictures of a data set are, how many a class has, and what levels they hold."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import SourceError
from vidcam.pictures.inputs import readable
from vidcam.pictures.reading import read_picture
from vidcam.training.cores import Progress, on_all_cores, silent
from vidcam.training.dataset import Dataset, find_dataset

LEVELS = np.arange(256)
# A heading and the rows under it.
Table = tuple[Sequence[str], Sequence[Sequence[object]]]


@dataclass(frozen=True)
class PartStats:
    """One part: `sizes_px` (N, 2) are widths and heights; means and deviations per channel.

    `mean` and `deviation` are R, G, B in levels of 0 to 255, every picture weighing the same
    whatever its size; `unread` counts pictures that could not be decoded and are in none of these.
    """

    name: str
    counts: tuple[int, ...]
    sizes_px: NDArray[np.int64]
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    unread: int


@dataclass(frozen=True)
class DatasetStats:
    """All parts, in the order of the data set."""

    dataset: Dataset
    parts: tuple[PartStats, ...]


def statistics(folder: str | os.PathLike[str], progress: Progress = silent) -> DatasetStats:
    """Read every picture of a data set, on all cores, and measure it.

    Raises SourceError when the folder holds no data set or no picture of it can be read.
    """
    dataset = find_dataset(folder)
    paths = [sample.path for sample in dataset.samples]
    measured = list(progress(on_all_cores(_measured, paths), len(paths)))
    if not any(one is not None for one in measured):
        raise SourceError(
            f"{readable(dataset.folder)}: no picture could be read; vidcam data check says why"
        )
    parts, start = [], 0
    for part in dataset.parts:
        one = measured[start : start + len(part.samples)]
        start += len(part.samples)
        known = [each for each in one if each is not None]
        parts.append(_part(part.name, dataset.counts(part), known, len(one) - len(known)))
    return DatasetStats(dataset, tuple(parts))


def _measured(path: str) -> tuple[tuple[int, int], NDArray[np.float64]] | None:
    """A picture's (width, height), and (3, 2): the mean of its levels and of their squares."""
    try:
        picture = read_picture(path)
    except SourceError:
        return None
    shares = np.reshape(picture.histogram(), (3, 256)) / (picture.width * picture.height)
    return picture.size, np.stack([shares @ LEVELS, shares @ LEVELS**2], axis=1)


def _part(
    name: str,
    counts: list[int],
    measured: list[tuple[tuple[int, int], NDArray[np.float64]]],
    unread: int,
) -> PartStats:
    sizes = np.reshape([size for size, _ in measured], (-1, 2)).astype(np.int64)
    if not measured:
        nothing = (math.nan,) * 3
        return PartStats(name, tuple(counts), sizes, nothing, nothing, unread)
    mean, square = np.mean([moments for _, moments in measured], axis=0).T
    deviation = np.sqrt(np.maximum(0, square - mean**2))
    return PartStats(name, tuple(counts), sizes, _three(mean), _three(deviation), unread)


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = values.tolist()
    return red, green, blue


def class_rows(stats: DatasetStats) -> Table:
    """Pictures per class and part, with totals, as a heading and rows for a table."""
    names = [readable(name) for name in stats.dataset.classes]
    rows: list[Sequence[object]] = [
        (name, *(part.counts[label] for part in stats.parts)) for label, name in enumerate(names)
    ]
    rows.append(("total", *(sum(part.counts) for part in stats.parts)))
    return ("class", *(part.name for part in stats.parts)), rows


def size_rows(stats: DatasetStats) -> Table:
    """The least, median and greatest width and height of each part, in pixels."""
    rows = []
    for part in stats.parts:
        for name, sides in zip(("width", "height"), part.sizes_px.T, strict=True):
            if len(sides):
                middle = f"{np.median(sides):g}"
                rows.append((f"{part.name} {name}, px", int(sides.min()), middle, int(sides.max())))
    return ("sizes", "least", "median", "greatest"), rows


def level_rows(stats: DatasetStats) -> Table:
    """Mean and deviation of each channel, in levels of 0 to 255 and of 0 to 1."""
    rows = []
    for part in stats.parts:
        for name, values in (("mean", part.mean), ("deviation", part.deviation)):
            cells = [f"{value:.1f} {value / 255:.4f}" for value in values]
            rows.append((f"{part.name} {name}, of 255 and of 1", *cells))
    return ("levels", "R", "G", "B"), rows
