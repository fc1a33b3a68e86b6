"""What is wrong with a folder of labelled pictures: `vidcam data check`."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidcam.pictures.inputs import LEFTOVERS, natural, readable
from vidcam.pictures.reading import HEIF_SUFFIXES
from vidcam.training.cores import Progress, on_all_cores, silent
from vidcam.training.dataset import Dataset, find_dataset, is_picture
from vidcam.training.duplicates import exact_groups, near_groups
from vidcam.training.examine import Examined, examine, real_format

STRAY_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
SMALLEST_SIDE_PX = 80
MOST_IMBALANCE = 3.0

# In the order in which they are reported. Each is explained in docs/data.md.
KINDS = {
    "unreadable": "damaged, cut off, or no picture",
    "empty file": "zero bytes",
    "refused": "the system does not let it be read",
    "wrong extension": "the name says another format",
    "stray": "left by a system or a notebook",
    "not a picture": "another file in a class folder",
    "no class": "a picture outside the class folders",
    "unused folder": "pictures that belong to no part",
    "one class": "nothing to tell apart",
    "empty class": "a class folder without a picture",
    "missing class": "a class that one part lacks",
    "imbalance": "more than 3 times as many pictures",
    "small": "a side under 80 pixels",
    "leak": "the same file in two parts",
    "near leak": "looks like a picture in another part",
    "two labels": "the same file in two classes",
    "near two labels": "looks like a picture in another class",
    "duplicate": "the same file twice",
    "near duplicate": "looks like another picture",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind (of KINDS), the paths concerned, and what of them.

    Paths are relative to the data set's folder.
    """

    kind: str
    paths: tuple[str, ...]
    detail: str = ""


@dataclass(frozen=True)
class Report:
    """What was found in a data set, in the order of KINDS; `pictures` were read."""

    dataset: Dataset
    findings: tuple[Finding, ...]
    pictures: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def of(self, kind: str) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def as_record(self) -> dict[str, Any]:
        """The report as JSON has it."""
        classes = [readable(name) for name in self.dataset.classes]
        parts = {
            part.name: dict(zip(classes, self.dataset.counts(part), strict=True))
            for part in self.dataset.parts
        }
        return {
            "folder": readable(self.dataset.folder),
            "pictures": self.pictures,
            "parts": parts,
            "findings": [
                {
                    "kind": one.kind,
                    "paths": list(map(readable, one.paths)),
                    "detail": readable(one.detail),
                }
                for one in self.findings
            ],
        }


def check(folder: str | os.PathLike[str], progress: Progress = silent) -> Report:
    """Read every picture of a data set whole, on all cores, and say what is wrong; changes nothing.

    Raises SourceError when the folder holds no data set, UsageError as `find_dataset` does.
    """
    dataset = find_dataset(folder)
    paths = [sample.path for sample in dataset.samples]
    examined = list(progress(on_all_cores(examine, paths), len(paths)))
    findings = [
        *_faults(dataset, examined), *_strays(dataset), *_layout(dataset), *_same(dataset, examined)
    ]  # fmt: skip
    order = list(KINDS)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return Report(dataset, tuple(findings), len(paths))


def _faults(dataset: Dataset, examined: Sequence[Examined]) -> Iterator[Finding]:
    for sample, one in zip(dataset.samples, examined, strict=True):
        name = (dataset.relative(sample.path),)
        if one.fault:
            yield Finding(one.kind, name, "" if one.kind == "empty file" else one.fault)
        else:
            if one.really:
                yield Finding("wrong extension", name, f"is {one.really}")
            if min(one.size) < SMALLEST_SIDE_PX:
                yield Finding("small", name, "{}x{}".format(*one.size))


def _strays(dataset: Dataset) -> Iterator[Finding]:
    """Leftovers anywhere, and files in class folders that no part of vidcam reads."""
    for folder, below, names in os.walk(dataset.folder):
        for name in [name for name in below if name in LEFTOVERS]:
            path = os.path.join(folder, name)
            files = sum(len(files) for _, _, files in os.walk(path))
            counted = "1 file" if files == 1 else f"{files} files"
            yield Finding("stray", (dataset.relative(path) + "/",), counted)
        below[:] = [name for name in below if name not in LEFTOVERS and not name.startswith(".")]
        below.sort(key=natural)
        is_top = folder == dataset.folder
        for name in sorted(names, key=natural):
            path = os.path.join(folder, name)
            if name.startswith("._") or name.casefold() in STRAY_FILES:
                yield Finding("stray", (dataset.relative(path),))
            elif not is_top and not name.startswith("."):
                yield from _other(path, dataset.relative(path))


def _other(path: str, name: str) -> Iterator[Finding]:
    """What is wrong with a file of a class folder that is not among the pictures."""
    if not os.path.isfile(path):
        reason = "a link that leads nowhere" if os.path.islink(path) else "is no file"
        yield Finding("refused", (name,), reason)
    elif not is_picture(name):
        real = real_format(path)
        is_heif = os.path.splitext(name)[1].lower() in HEIF_SUFFIXES
        detail = f"is {real}" if real else "HEIC: convert it to JPEG" if is_heif else ""
        yield Finding("wrong extension" if real else "not a picture", (name,), detail)


def _layout(dataset: Dataset) -> Iterator[Finding]:
    for name in dataset.loose:
        yield Finding("no class", (name,))
    for name in dataset.passed:
        yield Finding("unused folder", (f"{name}/",), "beside the parts, but not one of them")
    if len(dataset.classes) == 1:
        yield Finding("one class", (), dataset.doubt or dataset.classes[0])
    for name in dataset.empty:
        yield Finding("empty class", (f"{name}/",))
    present = {name for part in dataset.parts for name in _present(dataset, part.name)}
    for part in dataset.parts:
        for name in dataset.classes:
            if name in present and name not in _present(dataset, part.name):
                yield Finding("missing class", (), f"{name} is not in {part.name}")
    for part in dataset.parts[:1]:  # what is trained on
        counts = zip(dataset.counts(part), dataset.classes, strict=True)
        filled = [(count, name) for count, name in counts if count]
        most, least = max(filled, default=(0, "")), min(filled, default=(1, ""))
        if most[0] > MOST_IMBALANCE * least[0]:
            times = most[0] / least[0]
            many, few = (f"{count} of {name}" for count, name in (most, least))
            text = f"{part.name}: {many}, {few}: {times:.1f} times"
            yield Finding("imbalance", (), text)


def _present(dataset: Dataset, part_name: str) -> set[str]:
    part = dataset.part(part_name)
    assert part is not None
    return {dataset.classes[sample.label] for sample in part.samples}


def _same(dataset: Dataset, examined: Sequence[Examined]) -> Iterator[Finding]:
    """Groups of the same file, then groups of different files that look the same."""
    sound = [index for index, one in enumerate(examined) if not one.fault]
    exact = exact_groups([examined[index].digest for index in sound])
    seen: dict[int, int] = {}
    part_of = [part.name for part in dataset.parts for _ in part.samples]
    for group in exact:
        members = [sound[position] for position in group]
        seen.update(dict.fromkeys(members[1:], members[0]))
        yield _group(dataset, part_of, members, "")
    firsts = [index for index in sound if index not in seen]
    if not firsts:
        return
    for group in near_groups(np.stack([examined[index].thumbnail for index in firsts])):
        yield _group(dataset, part_of, [firsts[position] for position in group], "near ")


def _group(dataset: Dataset, part_of: list[str], members: list[int], near: str) -> Finding:
    """The finding for pictures that are the same; a leak weighs more than two labels."""
    samples = dataset.samples
    parts = list(dict.fromkeys(part_of[index] for index in members))
    labels = [dataset.classes[label] for label in sorted({samples[i].label for i in members})]
    kind = "leak" if len(parts) > 1 else "two labels" if len(labels) > 1 else "duplicate"
    said = []
    if len(parts) > 1:
        said.append(" and ".join(parts))
    if len(labels) > 1:
        said.append("as " + " and ".join(labels))
    paths = tuple(dataset.relative(samples[index].path) for index in members)
    return Finding(near + kind, paths, ", ".join(said))
