"""Folders of labelled pictures, in any layout that torchvision's ImageFolder users have."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from vidcam.errors import SourceError, UsageError, system_reason
from vidcam.pictures.inputs import LEFTOVERS, PICTURE_SUFFIXES, natural, readable

TRAIN, VAL, TEST, ALL = "train", "val", "test", "all"
# What folders of a part are called, in any case of letters; the order is that of the parts.
PART_NAMES = {
    TRAIN: ("train", "training"),
    VAL: ("val", "valid", "validation"),
    TEST: ("test", "testing"),
}
LAYOUT = (
    "vidcam wants one folder a class, FOLDER/cat/1.jpg, or FOLDER/train/cat/1.jpg beside "
    "FOLDER/val/… or FOLDER/test/…"
)


ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture: its path as it is opened, and the index of its class in `Dataset.classes`."""

    path: str
    label: int


@dataclass(frozen=True)
class Part:
    """The pictures of one side: `name` is train, val or test, or all where nothing is split."""

    name: str
    folder: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures: classes in natural order, parts in the order train, val, test.

    `classes` are those with a picture in some part. `empty` are folders of classes that hold no
    picture, `loose` pictures outside any class folder, `passed` folders that belong to no part;
    all relative to `folder`. `doubt` is a sentence where a single class looks like a folder of
    classes.
    """

    folder: str
    classes: tuple[str, ...]
    parts: tuple[Part, ...]
    empty: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    doubt: str = ""

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The pictures of all parts, part by part."""
        return tuple(sample for part in self.parts for sample in part.samples)

    def part(self, name: str) -> Part | None:
        """The part of that name, or None."""
        return next((part for part in self.parts if part.name == name), None)

    def counts(self, part: Part) -> list[int]:
        """How many pictures each class has in a part, in the order of `classes`."""
        counts = [0] * len(self.classes)
        for sample in part.samples:
            counts[sample.label] += 1
        return counts

    def relative(self, path: str) -> str:
        """A path inside `folder`, relative to it, with slashes."""
        return os.path.relpath(path, self.folder).replace(os.sep, "/")


def find_dataset(folder: str | os.PathLike[str], least_classes: int = 1) -> Dataset:
    """The pictures below a folder with their classes; nothing is opened.

    Wanted is a folder of class folders, or `train/`, `val/` (valid, validation) and `test/` of
    class folders, one of them at least. What lies deeper in a class folder belongs to the class.
    Hidden files and folders, `__MACOSX` and `.ipynb_checkpoints` are passed over. Raises
    SourceError when the folder is missing, holds no picture or has another layout, UsageError
    when fewer than `least_classes` classes have pictures, one part has two folders, or all lies
    one folder deeper.
    """
    top = os.fspath(folder)
    if top.lower().endswith(ARCHIVES) and os.path.isfile(top):
        raise SourceError(f"{readable(top)}: is an archive; unpack it first")
    below = {name: _Branch(os.path.join(top, name)) for name in _folders(top)}
    direct = [name for name in _files(top) if is_picture(name)]
    parts = _parts(top, below)
    doubt = ""
    if parts:
        found = {name: _classes_of(below[part]) for name, part in parts.items()}
        used = set(parts.values())
        passed = [name for name, branch in below.items() if name not in used and branch.pictures]
        loose = [*direct, *(f"{part}/{name}" for part in used for name in below[part].direct)]
    elif below and all(_part_of(name) or not branch.pictures for name, branch in below.items()):
        _refuse(top, direct, below)
    else:
        found = {ALL: {name: branch.pictures for name, branch in below.items()}}
        parts, passed, loose = {ALL: ""}, [], direct
        doubt = _doubt([branch for branch in below.values() if branch.pictures])
    classes = _named(found)
    if not classes:
        _refuse(top, direct, below)
    if len(classes) < least_classes:
        raise UsageError(
            f"{readable(top)}: holds only the class {readable(classes[0])}; "
            f"at least {least_classes} are wanted, each in a folder of its own"
        )
    return Dataset(
        top,
        tuple(classes),
        tuple(_part(name, os.path.join(top, parts[name]), found[name], classes) for name in found),
        tuple(_empty(found, parts)),
        tuple(sorted(loose, key=natural)),
        tuple(passed),
        doubt,
    )


def is_picture(name: str) -> bool:
    """Whether a file's name has a picture's suffix."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


class _Branch:
    """A folder right below the top, with all below it, looked through once."""

    def __init__(self, folder: str) -> None:
        self.pictures = sorted(_pictures_below(folder), key=natural)
        self.folder = folder
        self.folders = _folders(folder)
        self.direct = [name for name in _files(folder) if is_picture(name)]
        # Pictures that lie in folders of this one, as the classes of a part do.
        self.is_part = len(self.pictures) > len(self.direct)


def _parts(top: str, below: dict[str, _Branch]) -> dict[str, str]:
    """`{part: folder name}`; empty where the folders at the top are classes."""
    parts: dict[str, str] = {}
    others = [name for name in below if _part_of(name) is None and below[name].pictures]
    for kind in PART_NAMES:
        names = [name for name in below if _part_of(name) == kind and below[name].is_part]
        if len(names) > 1:
            both = " and ".join(f"{name}/" for name in names)
            raise UsageError(f"{readable(top)}: has both {both}; merge them or rename one")
        if names:
            parts[kind] = names[0]
    # A single "train" or "test" beside other classes is a class: a locomotive, a test card.
    return parts if len(parts) > 1 or not others else {}


def _doubt(filled: list[_Branch]) -> str:
    """Whether the only folder with pictures is the data set itself, as an archive may unpack it.

    Raises UsageError where its folders are called as parts are.
    """
    if len(filled) != 1 or filled[0].direct:
        return ""
    (branch,) = filled
    held = [name for name in branch.folders if any(_pictures_below(f"{branch.folder}/{name}"))]
    said = ", ".join(map(readable, held[:4])) + (", …" if len(held) > 4 else "")
    doubt = f"{readable(branch.folder)} holds the folders {said}: did you mean that?"
    if held and all(map(_part_of, held)):
        raise UsageError(doubt)
    return doubt if len(held) > 1 else ""


def _part_of(name: str) -> str | None:
    return next((kind for kind, names in PART_NAMES.items() if name.casefold() in names), None)


def _classes_of(branch: _Branch) -> dict[str, list[str]]:
    """The pictures of each class of a part."""
    classes: dict[str, list[str]] = {name: [] for name in branch.folders}
    start = len(os.path.join(branch.folder, ""))
    for path in branch.pictures:
        name, slash, _ = path[start:].partition(os.sep)
        if slash:
            classes[name].append(path)
    return classes


def _named(found: dict[str, dict[str, list[str]]]) -> list[str]:
    names = {name for part in found.values() for name, paths in part.items() if paths}
    return sorted(names, key=natural)


def _part(name: str, folder: str, found: dict[str, list[str]], classes: Sequence[str]) -> Part:
    samples = (
        Sample(path, label) for label, one in enumerate(classes) for path in found.get(one, ())
    )
    return Part(name, folder, tuple(samples))


def _empty(found: dict[str, dict[str, list[str]]], parts: dict[str, str]) -> Iterable[str]:
    for part, classes in found.items():
        for name in sorted(classes, key=natural):
            if not classes[name]:
                yield f"{parts[part]}/{name}" if parts[part] else name


def _refuse(top: str, direct: list[str], below: dict[str, _Branch]) -> NoReturn:
    flat = next((name for name, branch in below.items() if branch.direct), None)
    if direct or flat:
        raise SourceError(f"{readable(top)}: its pictures lie in no class folder; {LAYOUT}")
    raise SourceError(f"{readable(top)}: holds no picture; {LAYOUT}")


def _folders(top: str) -> list[str]:
    """The folders right below, in natural order, without leftovers."""
    names = (entry.name for entry in _entries(top) if entry.is_dir() and is_for_people(entry.name))
    return sorted(names, key=natural)


def _files(top: str) -> list[str]:
    return [e.name for e in _entries(top) if not e.is_dir() and is_for_people(e.name)]


def _entries(top: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(top) as entries:
            return list(entries)
    except (OSError, ValueError) as error:
        raise SourceError(f"{readable(top)}: {system_reason(error)}") from error


def is_for_people(name: str) -> bool:
    """Whether a file or folder is more than a leftover of a system or a notebook."""
    return not name.startswith(".") and name not in LEFTOVERS


def _pictures_below(top: str) -> Iterable[str]:
    """The paths of the pictures below a folder; links to folders are followed, each once."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in _entries(folder):
            if not is_for_people(entry.name):
                continue
            if entry.is_dir():
                waiting.append(entry.path)
            elif is_picture(entry.name) and entry.is_file():
                yield entry.path
