"""Evaluations side by side: in total and class by class, with the differences to the first."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from vidcam.errors import UsageError, system_reason
from vidcam.models import checkpoint_file
from vidcam.pictures.inputs import readable

METRICS, EVAL = "metrics.json", "eval"
# key in metrics.json -> (in words, is a share in [0, 1], more is better)
TOTALS: dict[str, tuple[str, bool, bool]] = {
    "top1": ("top-1", True, True),
    "top5": ("top-5", True, True),
    "f1": ("mean F1", True, True),
    "ap": ("mean AP", True, True),
    "ece": ("calibration error", True, False),
    "loss": ("loss", False, False),
    "n": ("pictures", False, True),
}
OF_CLASS = ("n", "precision", "recall", "f1", "ap", "auc")
# What `vidcam train` leaves in its checkpoints.
OF_TRAINING = {"val_top1": "top1", "val_loss": "loss", "val_n": "n"}
# Of so few classes all are among the best five.
TOP = 5
MOST_NAMED = 5


@dataclass(frozen=True)
class Measured:
    """One run: `totals` by the keys of TOTALS, `classes` by name, then by those of OF_CLASS.

    `pictures` are the folder and the part it was measured on; empty where the file says none.
    """

    name: str
    file: Path
    totals: Mapping[str, float]
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pictures: str = ""

    def of_class(self, name: str, key: str) -> float | None:
        """A class's number; None where the run has no such class or number."""
        return self.classes.get(name, {}).get(key)


@dataclass(frozen=True, slots=True)
class Line:
    """One number of each run: of all pictures where `class_name` is empty; None: it has none."""

    class_name: str
    key: str
    values: tuple[float | None, ...]

    @property
    def differences(self) -> tuple[float | None, ...]:
        """What each run but the first has more than the first."""
        first, *others = self.values
        return tuple(None if first is None or v is None else v - first for v in others)

    @property
    def spread(self) -> float:
        """The largest difference between two runs."""
        known = [value for value in self.values if value is not None]
        return max(known) - min(known) if known else 0.0


def read_runs(paths: Sequence[str]) -> list[Measured]:
    """What was measured of each: a metrics.json, the folder of one, or a run of `vidcam train`.

    Of a run it is that of its folder `eval`, else what training left in the checkpoint. Raises
    UsageError.
    """
    files = [_file_of(Path(path)) for path in paths]
    names = [readable(_name_of(Path(path))) for path in paths]
    alike = {name for name in names if names.count(name) > 1}
    return [
        _read(readable(path) if name in alike else name, file)
        for path, name, file in zip(paths, names, files, strict=True)
    ]


def lines(runs: Sequence[Measured], of_class: Sequence[str] = ("f1",)) -> list[Line]:
    """All that can be compared: the totals, then the classes in the order of the runs."""
    found = [Line("", key, tuple(run.totals.get(key) for run in runs)) for key in TOTALS]
    classes = dict.fromkeys(name for run in runs for name in run.classes)
    found += [
        Line(name, key, tuple(run.of_class(name, key) for run in runs))
        for name in classes
        for key in of_class
    ]
    return [line for line in found if any(value is not None for value in line.values)]


def warnings(runs: Sequence[Measured]) -> Iterator[str]:
    """Why the numbers may not say what they seem to."""
    every = dict.fromkeys(name for run in runs for name in run.classes)
    if (
        _differ(run.pictures for run in runs)
        or _differ(run.totals.get("n") for run in runs)
        or _differ(frozenset(run.classes) for run in runs)
    ):
        told = "; ".join(_measured_on(run, list(every)) for run in runs)
        yield f"the runs were not measured on the same pictures and classes: {told}"
    bare = [run.name for run in runs if not run.classes]
    if bare:
        yield (
            f"{', '.join(bare)}: known from training alone; vidcam eval RUN FOLDER -o RUN/{EVAL} "
            "measures the classes"
        )


def cells(line: Line) -> list[str]:
    """A line for people: what it is, then each run's number, the difference, * at the best."""
    words, is_share, more_is_better = TOTALS.get(line.key, (line.key, line.key != "n", True))
    known = [value for value in line.values if value is not None]
    best = (max if more_is_better else min)(known)
    differs = len(set(known)) > 1 and line.key != "n"
    written = []
    for number, value in enumerate(line.values):
        if value is None:
            written.append("–")
            continue
        text = _written(value, is_share)
        difference = line.differences[number - 1] if number else None
        if difference is not None:
            text += f" ({_signed(difference, is_share)})"
        written.append(text + ("*" if differs and value == best else " " * differs))
    return [line.class_name or words, *written]


def csv_rows(runs: Sequence[Measured]) -> Callable[[TextIO], Callable[[list[Line]], None]]:
    """Writes lines to a CSV file: class, metric, each run's number, the differences."""
    import csv

    names = [run.name for run in runs]
    head = ["class", "metric", *names, *(f"{name} - {names[0]}" for name in names[1:])]

    def make(stream: TextIO) -> Callable[[list[Line]], None]:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)

        def write(found: list[Line]) -> None:
            for line in found:
                numbers = ("" if v is None else f"{v:.6g}" for v in
                           (*line.values, *line.differences))  # fmt: skip
                writer.writerow([line.class_name, line.key, *numbers])

        return write

    return make


def _file_of(path: Path) -> Path:
    """The file that holds a run's numbers."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise UsageError(f"{path}: no such run; name folders of vidcam eval or vidcam train")
    for file in (path / METRICS, path / EVAL / METRICS):
        if file.is_file():
            return file
    try:
        return checkpoint_file(path)
    except UsageError as error:
        raise UsageError(
            f"{path}: holds neither {METRICS} of vidcam eval nor a checkpoint of vidcam train"
        ) from error


def _name_of(path: Path) -> str:
    whole = path.resolve()
    if whole.name in (METRICS, EVAL):
        return _name_of(whole.parent)
    return whole.name


def _read(name: str, file: Path) -> Measured:
    if file.suffix != ".json":
        from vidcam.models.checkpoint import read_checkpoint

        found = read_checkpoint(file).metrics
        totals = {own: float(found[key]) for key, own in OF_TRAINING.items() if key in found}
        if not totals:
            raise UsageError(f"{file}: holds no metrics; vidcam eval measures a checkpoint")
        return Measured(name, file, totals)
    try:
        value = json.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{file}: {system_reason(error)}") from error
    except (ValueError, RecursionError) as error:  # JSON's and UTF-8's
        raise UsageError(f"{file}: is no JSON") from error
    if not isinstance(value, dict) or not isinstance(value.get("per_class"), dict):
        raise UsageError(f"{file}: is no {METRICS} of vidcam eval")
    macro = value.get("macro")
    totals = _numbers({**value, **(macro if isinstance(macro, dict) else {})}, TOTALS)
    if "top1" not in totals:
        raise UsageError(f"{file}: is no {METRICS} of vidcam eval: it has no top1")
    per_class = value["per_class"].items()
    classes = {_writable(key): _numbers(one, OF_CLASS) for key, one in per_class}
    settings = value.get("settings")
    competing = settings.get("classes") if isinstance(settings, dict) else None
    if isinstance(competing, int) and competing <= TOP:
        totals.pop("top5", None)  # all of them are among the best five
    where = [value.get(key) for key in ("folder", "part")]
    told = [_writable(os.path.normpath(one)) for one in where if isinstance(one, str) and one]
    return Measured(name, file, totals, classes, ", part ".join(told))


def _differ(values: Iterable[object]) -> bool:
    """Whether two of those that are known differ."""
    return len({value for value in values if value}) > 1


def _measured_on(run: Measured, every: Sequence[str]) -> str:
    """The pictures of a run in words, and what it lacks of all classes if it has some of them."""
    count = run.totals.get("n")
    told = [run.pictures] if run.pictures else []
    told += [] if count is None else [f"{count:g} pictures"]
    told += [f"{len(run.classes)} classes"] if run.classes else []
    lacking = [name for name in every if name not in run.classes]
    if 0 < len(lacking) <= len(run.classes):
        told.append(f"without {_some(lacking)}")
    return f"{run.name} on {', '.join(told) or 'pictures that it does not name'}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _numbers(value: Any, keys: Any) -> dict[str, float]:
    """Those of the keys that are numbers."""
    if not isinstance(value, dict):
        return {}
    return {key: float(value[key]) for key in keys if _is_finite(value.get(key))}


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # JSON's whole numbers have no end
        return False


def _writable(name: str) -> str:
    """Without the half characters that JSON can hold and no file can."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _written(value: float, is_share: bool) -> str:
    return f"{100 * value:.1f}%" if is_share else f"{value:.4g}"


def _signed(difference: float, is_share: bool) -> str:
    rounded = round(100 * difference, 1) if is_share else float(f"{difference:.3g}")
    if not rounded:
        return "="
    return f"{rounded:+.1f}" if is_share else f"{rounded:+g}"
