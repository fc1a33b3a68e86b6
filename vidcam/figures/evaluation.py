"""What `vidcam eval -o` writes: every name is checked before any work is done."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from scipy.special import softmax

from vidcam.errors import OutputError, system_reason
from vidcam.figures.calibration import calibration_diagram
from vidcam.figures.chart import percent
from vidcam.figures.confusion import confusion_figure
from vidcam.figures.features_map import features_figure
from vidcam.figures.grid import Cell, grid
from vidcam.figures.rates import rate_curves
from vidcam.figures.sheet import png
from vidcam.figures.style import Style
from vidcam.overlays.words import say
from vidcam.pictures.inputs import readable
from vidcam.pictures.targets import check_targets, make_folder, output_folder
from vidcam.sinks.partial import write_whole
from vidcam.sinks.records import record_file
from vidcam.training.metrics import class_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vidcam.training.evaluated import Evaluated
    from vidcam.training.worst import Looked, Wrong

PER_CLASS, PREDICTIONS, REPORT = "per_class.csv", "predictions.csv", "report.html"
# Written last: where it is, all is there.
METRICS = "metrics.json"
CONFUSION, CURVES, CALIBRATION = "confusion.png", "curves.png", "calibration.png"
MAP, WORST, CONFUSED = "features.png", "worst.png", "confused.png"
NAMES = (PER_CLASS, PREDICTIONS, REPORT, CONFUSION, CURVES, CALIBRATION, MAP, WORST, CONFUSED,
         METRICS)  # fmt: skip
PREDICTION_HEAD = ("file", "true", "answer", "right", "score", "true_score", "rank")
CELL_PX = 240


class EvaluationFolder:
    """The folder of one evaluation."""

    def __init__(self, name: str, inputs: Sequence[str], overwrite: bool) -> None:
        """Raises UsageError when a file cannot be written, or would replace one of `inputs`."""
        self.folder = output_folder(name)
        self._overwrite = overwrite
        check_targets([self.folder / one for one in NAMES], inputs, overwrite)

    def write(self, evaluated: "Evaluated", style: Style) -> None:
        """Write everything. Raises OutputError."""
        from vidcam.training.report import page

        figures = {CONFUSION: _confusion(evaluated, style), CURVES: _curves(evaluated, style),
                   CALIBRATION: _calibration(evaluated, style)}  # fmt: skip
        drawn = {name: png(figure) for name, figure in figures.items()}
        make_folder(self.folder)
        # Those of an evaluation before would stand for what is being replaced.
        self._remove(METRICS)
        for name, data in drawn.items():
            self._save(name, data)
        self._optional(MAP, _map(evaluated, style))
        self._optional(WORST, _pictures(evaluated, evaluated.wrong, style))
        examples = [one for pair in evaluated.pairs for one in pair.examples]
        self._optional(CONFUSED, _pictures(evaluated, examples, style))
        self._rows(PER_CLASS, list(asdict(evaluated.metrics.classes[0])),
                   [tuple(asdict(one).values()) for one in evaluated.metrics.classes])  # fmt: skip
        self._rows(PREDICTIONS, PREDICTION_HEAD, _predictions(evaluated))
        self._text(REPORT, page(evaluated, drawn))
        self._text(METRICS, json.dumps(evaluated.as_record(), ensure_ascii=False, indent=1) + "\n")

    def _save(self, name: str, data: bytes) -> None:
        path = self.folder / name
        write_whole(path, self._overwrite, lambda partial: partial.write_bytes(data))

    def _remove(self, name: str) -> None:
        """Remove a file of an evaluation before. Raises OutputError."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder / name}: {system_reason(error)}") from error

    def _optional(self, name: str, figure: "Figure | None") -> None:
        """A figure that there may be nothing for; one of an evaluation before goes then."""
        if figure is None:
            self._remove(name)
        else:
            self._save(name, png(figure))

    def _text(self, name: str, text: str) -> None:
        def plain(stream: TextIO) -> Callable[[str], None]:
            def write(whole: str) -> None:
                stream.write(whole)

            return write

        with record_file(str(self.folder / name), plain, self._overwrite) as write:
            write(text)

    def _rows(self, name: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        with record_file(str(self.folder / name), _csv, self._overwrite, "utf-8-sig") as write:
            write(head)
            for row in rows:
                write(row)


def _csv(stream: TextIO) -> Callable[[Sequence[Any]], None]:
    writer = csv.writer(stream, lineterminator="\n")

    def write(row: Sequence[Any]) -> None:
        writer.writerow([_short(value) for value in row])

    return write


def _short(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def _predictions(evaluated: "Evaluated") -> list[tuple[Any, ...]]:
    """A row a picture: its class, the answer, their scores, and the rank of its class from 1."""
    answers, names = evaluated.answers, evaluated.names
    scores = softmax(answers.logits.astype(np.float64), axis=1)
    rows = []
    for path, label, own in zip(answers.paths, answers.labels, scores, strict=True):
        order = np.argsort(-own, kind="stable")
        top, rank = int(order[0]), int(np.flatnonzero(order == label)[0]) + 1
        rows.append((readable(path), names[label], names[top], int(rank == 1), float(own[top]),
                     float(own[label]), rank))  # fmt: skip
    return rows


def _confusion(evaluated: "Evaluated", style: Style) -> "Figure":
    names = [one.label for one in evaluated.metrics.classes]
    counts = evaluated.metrics.confusion
    # Answers that are no picture's class have a column only where there are some.
    counts = counts if counts[:, -1].any() else counts[:, :-1]
    return confusion_figure(counts, names, style, language=evaluated.subject.language)


def _curves(evaluated: "Evaluated", style: Style) -> "Figure":
    answers = evaluated.answers
    curves = class_curves(answers.logits, answers.labels, evaluated.metrics)
    return rate_curves(curves, style, language=evaluated.subject.language)


def _calibration(evaluated: "Evaluated", style: Style) -> "Figure":
    language = evaluated.subject.language
    return calibration_diagram(evaluated.metrics.calibration, style, language=language)


def _map(evaluated: "Evaluated", style: Style) -> "Figure | None":
    if evaluated.layout is None:
        return None
    answers = evaluated.answers
    wrong = answers.logits.argmax(1) != answers.labels
    return features_figure(
        evaluated.layout, answers.labels, wrong, evaluated.names, style,
        language=evaluated.subject.language,
    )  # fmt: skip


def _pictures(evaluated: "Evaluated", wrong: "Sequence[Wrong]", style: Style) -> "Figure | None":
    """A row a picture: itself, the Grad-CAM of the answer, and that of its class."""
    found = [(one, (evaluated.looked or {}).get(one.path)) for one in wrong]
    rows = [_row(evaluated, one, looked) for one, looked in found if looked is not None]
    if not rows:
        return None
    # Pictures of two rows side by side keep the figure from being a long strip.
    pairs = [[*left, *right] for left, right in zip(rows[::2], [*rows[1::2], []], strict=False)]
    language = evaluated.subject.language
    heads = [
        say(head, language) for head in ("picture", "where the answer is", "where the class is")
    ]
    return grid(pairs, style, column_titles=heads * (2 if len(rows) > 1 else 1), picture_px=CELL_PX)


def _row(evaluated: "Evaluated", wrong: "Wrong", looked: "Looked") -> list[Cell | None]:
    true, answer = evaluated.names[wrong.true], evaluated.names[wrong.answer]
    name = Path(readable(wrong.path)).name
    blank = np.full_like(looked.picture, 244)
    language = evaluated.subject.language
    lacks = say("too little evidence" if looked.is_explained else "no map", language)
    shown = (
        (looked.picture, true, name, ""),
        (looked.answer, answer, "", percent(wrong.score)),
        (looked.true, true, "", percent(wrong.true_score)),
    )
    return [
        Cell(blank if rgb is None else rgb, title, "", lacks if rgb is None else note, value)
        for rgb, title, note, value in shown
    ]
