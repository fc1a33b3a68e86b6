"""What `vidcam explain -o` writes: every name is checked before any work is done."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import TracebackType

import numpy as np

from vidcam.cam.faithfulness import Faithfulness
from vidcam.figures.curves import Curve, score_curves
from vidcam.figures.explained import explanation_grid, explanation_panels
from vidcam.figures.sheet import save
from vidcam.figures.style import Style
from vidcam.overlays.words import say
from vidcam.pictures.explainer import Explainer
from vidcam.pictures.explanation import Explanation
from vidcam.pictures.maps import is_by_layer
from vidcam.pictures.options import ExplainOptions
from vidcam.pictures.targets import check_targets, make_folder, output_folder, stems_of
from vidcam.pictures.trust import CSV_NAME, Trust, csv_rows, means, measure
from vidcam.sinks.partial import write_whole
from vidcam.sinks.records import record_file
from vidcam.types import Map

CURVES_NAME = "faithfulness.png"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is written of each picture: panels instead of the grid, maps, measurements."""

    panels: bool = False
    maps: bool = False
    faithfulness: bool = False

    @property
    def figure(self) -> str:
        """The end of the figure's name."""
        return "panels" if self.panels else "explained"


class ExplanationFolder:
    """The files of one call. Entered before the first picture, left after the last; nothing is
    written before the first picture has been explained."""

    def __init__(
        self,
        files: Sequence[str],
        options: ExplainOptions,
        name: str,
        wanted: Wanted,
        overwrite: bool = False,
    ) -> None:
        """Raises UsageError or OutputError when one of them cannot be written."""
        self.files = list(files)
        self.path = output_folder(name)
        self._options = options
        self._wanted = wanted
        self._overwrite = overwrite
        self._stems = dict(zip(files, stems_of(files), strict=True))
        self._style = Style(options.font)
        self._stack = contextlib.ExitStack()
        self._write: Callable[[Trust], None] | None = None
        self._map_names = self._named_maps()
        self._measured: list[Trust] = []
        check_targets(self._targets(), self.files, overwrite)

    def __enter__(self) -> "ExplanationFolder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _begin(self) -> None:
        make_folder(self.path)
        if self._wanted.faithfulness and self._write is None:
            target = str(self.path / CSV_NAME)
            rows = record_file(target, csv_rows, self._overwrite, "utf-8-sig")
            self._write = self._stack.enter_context(rows)

    def save(self, path: str, explanation: Explanation, explainer: Explainer) -> list[Trust]:
        """Write one picture's files; returns what was measured of its maps. Raises OutputError."""
        self._begin()
        draw = explanation_panels if self._wanted.panels else explanation_grid
        figure = draw(explanation, explanation.look, self._style)
        save(figure, self._target(path, f"{self._wanted.figure}.png"), self._overwrite)
        if self._wanted.maps:
            for heatmap in explanation.heatmaps:
                layer = heatmap.layer if self._is_one_by_one(heatmap.method) else None
                name = self._map_names[heatmap.method, heatmap.asked, layer]
                self._save_map(self._target(path, name), explanation.map_of(heatmap))
        if self._write is None:
            return []
        measured = measure(explainer, explanation)
        for one in measured:
            self._write(one)
        self._measured += measured
        if not measured:
            return []
        curves = {_name(one, explanation): one.faithfulness for one in measured}
        self._save_curves(self._target(path, CURVES_NAME), curves, Path(explanation.name).name)
        return measured

    def finish(self) -> dict[str, tuple[int, Faithfulness]]:
        """For each method and layer how many maps were measured and their mean, drawn as curves."""
        found = means(self._measured)
        if found and len(self.files) > 1:
            # Maps without evidence are not measured, so the numbers of maps may differ.
            curves = {f"{name} (n = {count})": mean for name, (count, mean) in found.items()}
            self._save_curves(self.path / CURVES_NAME, curves, self.path.name)
        return found

    def _targets(self) -> Iterator[Path]:
        for path in self.files:
            yield self._target(path, f"{self._wanted.figure}.png")
            if self._wanted.faithfulness:
                yield self._target(path, CURVES_NAME)
            if self._wanted.maps:
                yield from (self._target(path, name) for name in self._map_names.values())
        if self._wanted.faithfulness:
            yield from (self.path / name for name in (CSV_NAME, CURVES_NAME))

    def _target(self, picture: str, end: str) -> Path:
        return self.path / f"{self._stems[picture]}-{end}"

    def _is_one_by_one(self, method: str) -> bool:
        """Whether a method gives a map for each layer, whose names must tell them apart."""
        several = len(set(self._options.layer)) > 1
        return several and is_by_layer(method, self._options.aggregate)

    def _named_maps(self) -> dict[tuple[str, str, str | None], str]:
        """The end of a map's file name for each method, class as it was asked for, and layer."""
        names: dict[tuple[str, str, str | None], str] = {}
        for method, asked in product(self._options.cam, self._options.class_ or ("top1",)):
            for layer in self._options.layer if self._is_one_by_one(method) else (None,):
                parts = (method, asked, layer) if layer else (method, asked)
                plain = first = "-".join(map(_plain, parts))
                number = 2
                while f"{plain}.npy" in names.values():
                    plain = f"{first}-{number}"
                    number += 1
                names.setdefault((method, asked, layer), f"{plain}.npy")
        return names

    def _save_map(self, target: Path, heat: Map) -> None:
        def write(path: Path) -> None:
            with path.open("wb") as stream:
                np.save(stream, heat)

        write_whole(target, self._overwrite, write)

    def _save_curves(self, target: Path, found: dict[str, Faithfulness], title: str) -> None:
        language = self._options.lang[0]
        curves = [
            # Nothing removed, and all kept, is the picture itself.
            Curve(
                name,
                np.array([0.0, *one.shares, 1.0]),
                np.array([one.score, *one.removed, np.nan]),
                np.array([np.nan, *one.kept, one.score]),
                f"drop {one.drop:+.2f}, ROAD {one.road:+.2f}",
            )
            for name, one in found.items()
        ]
        headings = say("removed", language), say("kept", language)
        axes = say("share", language), say("class score", language)
        figure = score_curves(curves, self._style, title, headings=headings, axes=axes)
        save(figure, target, self._overwrite)


def _plain(part: str) -> str:
    """Without what a file name must not hold."""
    return "".join(letter if letter.isalnum() or letter in ".-_+" else "_" for letter in part)


def _name(one: Trust, explanation: Explanation) -> str:
    classes = {heatmap.score.index for heatmap in explanation.heatmaps}
    return f"{one.row_name} · {one.score.label}" if len(classes) > 1 else one.row_name
