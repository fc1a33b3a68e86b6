"""A split as folders of pictures: written whole or not at all, and known again."""

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcam.errors import OutputError, UsageError, system_reason
from vidcam.pictures.inputs import readable
from vidcam.training.split import Split
from vidcam.training.twin import prune, twin

RECORD, COUNTS = "split.json", "counts.csv"


@dataclass(frozen=True)
class Placement:
    """How many files were linked, were copied, and were there already."""

    linked: int = 0
    copied: int = 0
    kept: int = 0


def check_place(source: str | os.PathLike[str], target: Path, overwrite: bool) -> None:
    """Raise UsageError when a split must not be written to `target`, before any work is done.

    Of an earlier split only `place` can say whether it is the same one.
    """
    top, place = Path(source).resolve(), target.resolve()
    if place == top or place.is_relative_to(top) or top.is_relative_to(place):
        raise UsageError(
            f"-o {target}: lies in the source or holds it, which is never touched; name another"
        )
    if not target.parent.is_dir():
        raise UsageError(f"-o {target}: folder {target.parent} does not exist; make it first")
    for folder in (target, _partial(target)):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"-o {folder}: is no folder")
        if folder.is_dir() and any(folder.iterdir()) and _record_of(folder) is None:
            hint = "-y replaces only splits" if overwrite else "name a new folder"
            raise UsageError(f"-o {folder}: holds other things than a split; {hint}")


def place(split: Split, source: str | os.PathLike[str], target: Path, overwrite: bool) -> Placement:
    """Write a split to `target`: PART/CLASS/…, with split.json and counts.csv.

    It is made beside the target and gets its name when it is whole. A target that holds the same
    split keeps its files, and gets back those that have gone; one that holds another split is
    replaced with `overwrite`: its own files go, all else that lies there stays. Raises UsageError
    otherwise, OutputError when the system refuses.
    """
    check_place(source, target, overwrite)
    before, record = _record_of(target), split.record()
    try:
        if before == record:
            return _laid(split, Path(source), target)
        if before is not None and not overwrite:
            raise UsageError(
                f"-o {target}: holds a split of another source, ratio or seed; -y replaces it"
            )
        part = _partial(target)
        _discard(part)
        part.mkdir()
        try:
            _write_record(part, record)
            placement = _laid(split, Path(source), part)
        except BaseException:
            _discard(part)
            raise
        _clear(target)
        _merge(part, target)
    except OSError as error:
        if isinstance(error, UsageError):
            raise
        raise OutputError(f"-o {target}: {system_reason(error)}") from error
    return placement


def _laid(split: Split, source: Path, folder: Path) -> Placement:
    """Put each file of a split where it belongs, unless it is there."""
    linked = copied = kept = 0
    made: set[Path] = set()
    for one in split.placed:
        path = folder / one.place
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        if path.exists():
            kept += 1
        elif twin(Path(os.path.realpath(source / one.source)), path):
            linked += 1
        else:
            copied += 1
    _write_counts(folder, split)
    return Placement(linked, copied, kept)


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    text = json.dumps(record, indent=0)  # names that are no text are escaped
    (folder / RECORD).write_text(text + "\n", "utf-8")


def _write_counts(folder: Path, split: Split) -> None:
    with (folder / COUNTS).open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("class", *split.parts, "total"))
        for name, counts in split.counts().items():
            writer.writerow((readable(name), *counts, sum(counts)))


def _partial(target: Path) -> Path:
    whole = target.resolve()  # "." has no name of its own
    return whole.with_name(f"{whole.name}.partial")


def _record_of(folder: Path) -> dict[str, Any] | None:
    """The record of a split, None where there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(record, dict) and isinstance(record.get("files"), dict)
    return record if known else None


def _clear(folder: Path) -> None:
    """Remove what a split has written to a folder, the record last, and nothing else."""
    record = _record_of(folder)
    if record is not None:
        for name in _inside(folder, record["files"]):
            name.unlink(missing_ok=True)
        (folder / COUNTS).unlink(missing_ok=True)
        (folder / RECORD).unlink()
    if folder.is_dir():
        for below in folder.iterdir():
            prune(below)


def _discard(part: Path) -> None:
    """Remove a split that was not finished, and its folder."""
    _clear(part)
    prune(part)


def _inside(folder: Path, names: Iterable[str]) -> Iterable[Path]:
    """The files of a record; one that was tampered with leads nowhere else."""
    top = folder.resolve()
    for name in names:
        path = top / name
        if ".." not in path.parts and path.parent.resolve().is_relative_to(top):
            yield path


def _merge(part: Path, target: Path) -> None:
    """Give a finished split its name; where other things lie in the target, file by file."""
    if not target.exists():
        part.replace(target)
        return
    record = part / RECORD
    # The record first: killed between, the next run knows what is its own.
    target.joinpath(RECORD).write_bytes(record.read_bytes())
    for folder, _, names in os.walk(part):
        inside = target / Path(folder).relative_to(part)
        inside.mkdir(exist_ok=True)
        for name in names:
            os.replace(Path(folder) / name, inside / name)
    prune(part)
