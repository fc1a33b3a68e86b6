"""How far the maps of a picture can be trusted, in numbers that methods can be compared by."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

import cv2
import numpy as np

from vidcam.cam.faithfulness import PERCENT, Faithfulness, road
from vidcam.pictures.explainer import Explainer
from vidcam.pictures.explanation import Explanation, Heatmap
from vidcam.pictures.maps import filled_part
from vidcam.types import Map, Score

CSV_NAME = "faithfulness.csv"
CSV_HEADER = (
    "file", "method", "layer", "index", "label", "label_en", "score", "drop", "road",
    *(f"removed_{percent}" for percent in PERCENT), *(f"kept_{percent}" for percent in PERCENT),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trust:
    """The faithfulness of one map of the picture `name`; `row_name` is what it is compared as."""

    name: str
    row_name: str
    method: str
    layer: str | None
    score: Score
    faithfulness: Faithfulness


def measure(explainer: Explainer, explanation: Explanation) -> list[Trust]:
    """The faithfulness of each map that shows evidence for its class, in order."""
    shown = [
        heatmap
        for heatmap in explanation.heatmaps
        if heatmap.has_evidence and not heatmap.is_of_absent_class
    ]
    if not shown:
        return []
    maps = np.stack([_on_square(explainer, explanation, heatmap) for heatmap in shown])
    pixels = explainer.pixels_of(explanation.square)
    found = road(
        explainer.net,
        pixels,
        maps,
        [heatmap.score.index for heatmap in shown],
        left_out=explainer.left_out,
        temperature=explainer.model.temperature or 1.0,
    )
    return [
        Trust(
            explanation.name,
            explanation.row_name(heatmap),
            heatmap.method,
            heatmap.layer,
            heatmap.score,
            faithfulness,
        )
        for heatmap, faithfulness in zip(shown, found, strict=True)
    ]


def means(measured: Sequence[Trust]) -> dict[str, tuple[int, Faithfulness]]:
    """For each method and layer how many maps were measured, and their mean."""
    groups: dict[str, list[Faithfulness]] = {}
    for one in measured:
        groups.setdefault(one.row_name, []).append(one.faithfulness)
    return {
        name: (
            len(group),
            Faithfulness(
                group[0].shares,
                np.mean([one.removed for one in group], axis=0),
                np.mean([one.kept for one in group], axis=0),
                float(np.mean([one.score for one in group])),
            ),
        )
        for name, group in groups.items()
    }


def csv_rows(stream: TextIO) -> Callable[[Trust], None]:
    """Writes measurements to `stream` as CSV, after its header."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)

    def write(one: Trust) -> None:
        found, score = one.faithfulness, one.score
        numbers = [found.score, found.drop, found.road, *found.removed, *found.kept]
        names = (one.name, one.method, one.layer or "", score.index, score.label, score.label_en)
        writer.writerow((*names, *(f"{number:.6f}" for number in numbers)))

    return write


def _on_square(explainer: Explainer, explanation: Explanation, heatmap: Heatmap) -> Map:
    """The map at the size of the network's square, bars of `--fit pad` included as cold."""
    size, part = explainer.geometry.size, filled_part(explainer.geometry, explanation.crop)
    square = np.zeros((size, size), np.float32)
    scaled = cv2.resize(heatmap.grid, (part.width, part.height))
    square[part.y : part.y + part.height, part.x : part.x + part.width] = scaled
    return square
