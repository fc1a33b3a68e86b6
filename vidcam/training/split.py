"""A data set divided into train, val and test beside its source: `vidcam data split`."""

import hashlib
import os
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vidcam.pictures.inputs import readable
from vidcam.training.cores import Progress, on_all_cores, silent
from vidcam.training.dataset import TEST, TRAIN, VAL, Dataset, Sample
from vidcam.training.duplicates import exact_groups, near_groups
from vidcam.training.examine import Examined, glance
from vidcam.training.options import SplitOptions

# A warning names so many classes.
MOST_NAMED = 5


@dataclass(frozen=True)
class Placed:
    """One picture of a split: its path in the source, and its place, PART/CLASS/…."""

    source: str
    place: str
    part: str
    name: str


@dataclass(frozen=True)
class Split:
    """What goes where. `left_out` are files that hold no picture, with the reason.

    `tied` counts the pictures that stand with another one like them on one side, `content` is a
    hash of all that the files hold.
    """

    parts: tuple[str, ...]
    classes: tuple[str, ...]
    placed: tuple[Placed, ...]
    left_out: tuple[tuple[str, str], ...]
    tied: int
    content: str
    options: SplitOptions

    def counts(self) -> dict[str, list[int]]:
        """`{class: how many in each of parts}`."""
        counts = {name: [0] * len(self.parts) for name in self.classes}
        for one in self.placed:
            counts[one.name][self.parts.index(one.part)] += 1
        return counts

    def record(self) -> dict[str, Any]:
        """Settings and files as they are kept in the result, to know it again."""
        return {
            "options": asdict(self.options) | {"ratio": list(self.options.ratio)},
            "content": self.content,
            "files": {one.place: one.source for one in self.placed},
        }


def divide(dataset: Dataset, options: SplitOptions, progress: Progress = silent) -> Split:
    """Say where each picture goes; nothing is written.

    Each class is divided by the same ratio; pictures that are the same, to the byte or to the eye,
    stay together, whatever classes they are in. A class with two pictures at least has one in
    train and one in test, one with three in each part, unless all are the same picture. Equal
    options and an equal source give an equal result, wherever the source lies. Parts that the
    source has already are thrown together.
    """
    samples = dataset.samples
    paths = [sample.path for sample in samples]
    examined = list(progress(on_all_cores(glance, paths), len(paths)))
    faults = [(paths[i], one.fault) for i, one in enumerate(examined) if one.fault]
    sound = [index for index, one in enumerate(examined) if not one.fault]
    groups = _groups(examined, sound)
    groups.sort(key=lambda group: dataset.relative(paths[group[0]]))
    random.Random(options.seed).shuffle(groups)
    shares = _shares(options)
    part_of = _assigned(groups, samples, shares, len(dataset.classes))
    placed = _places(dataset, [(index, part_of[index]) for index in sound])
    return Split(
        tuple(shares),
        dataset.classes,
        tuple(placed),
        tuple(faults),
        sum(len(group) for group in groups if len(group) > 1),
        hashlib.sha256(b"".join(one.digest for one in examined)).hexdigest(),
        options,
    )


def _groups(examined: Sequence[Examined], sound: list[int]) -> list[list[int]]:
    """Indices of pictures, those that are the same together; each once."""
    first = {index: index for index in sound}
    for group in exact_groups([examined[index].digest for index in sound]):
        first.update((sound[position], sound[group[0]]) for position in group)
    different = sorted(set(first.values()))
    joined = {index: index for index in different}
    if different:
        for group in near_groups(np.stack([examined[index].thumbnail for index in different])):
            joined.update((different[position], different[group[0]]) for position in group)
    groups: dict[int, list[int]] = {}
    for index in sound:
        groups.setdefault(joined[first[index]], []).append(index)
    return list(groups.values())


def _shares(options: SplitOptions) -> dict[str, float]:
    """The share of each part of the whole, in the order of the result."""
    train, test = options.ratio
    rest = 1.0 - options.val
    shares = {TRAIN: rest * train / (train + test), VAL: options.val}
    shares[TEST] = rest * test / (train + test)
    return {name: share for name, share in shares.items() if share > 0}


def _assigned(
    groups: list[list[int]], samples: Sequence[Sample], shares: dict[str, float], classes: int
) -> dict[int, str]:
    """The part of each picture.

    Large groups go first, each where the most is wanting of its classes; single ones fill up what
    is left, so that the counts come out exactly wherever groups allow it.
    """
    labels = [[samples[index].label for index in group] for group in groups]
    totals = np.bincount([label for one in labels for label in one], minlength=classes)
    wanting = {name: np.zeros(classes) for name in shares}
    for label, total in enumerate(totals.tolist()):
        for name, number in zip(shares, _targets(total, list(shares.values())), strict=True):
            wanting[name][label] = number
    chosen: list[str] = [""] * len(groups)
    for position in sorted(range(len(groups)), key=lambda position: -len(groups[position])):
        need = {name: float(wanting[name][labels[position]].sum()) for name in shares}
        name = max(need, key=lambda name: need[name])
        chosen[position] = name
        np.subtract.at(wanting[name], labels[position], 1)
    _fill(chosen, labels, list(shares), classes)
    return {index: chosen[n] for n, group in enumerate(groups) for index in group}


def _targets(total: int, shares: list[float]) -> list[int]:
    """How many of a class each part gets: the largest remainders, and one at least if it goes.

    Where there are fewer pictures than parts the first and the last part come first.
    """
    exact = [total * share for share in shares]
    counts = [int(number + 1e-9) for number in exact]
    by_rest = sorted(range(len(shares)), key=lambda n: counts[n] - exact[n])
    for n in by_rest[: total - sum(counts)]:
        counts[n] += 1
    for n in (0, len(shares) - 1, *range(1, len(shares) - 1)):
        fullest = max(range(len(shares)), key=lambda m: counts[m])
        spared = counts[fullest] > 1 or (fullest not in (0, len(shares) - 1) and total > 1)
        if not counts[n] and spared:
            counts[fullest] -= 1
            counts[n] += 1
    if total == 1:
        counts = [1] + [0] * (len(shares) - 1)
    return counts


def _fill(chosen: list[str], labels: list[list[int]], parts: list[str], classes: int) -> None:
    """Give each part a picture of each class that has groups enough."""
    of_class: list[list[int]] = [[] for _ in range(classes)]
    for position, members in enumerate(labels):
        for label in set(members):
            of_class[label].append(position)
    wished = [parts[0], parts[-1], *parts[1:-1]]
    for positions in of_class:
        due = wished[: len(positions)]
        for name in due:
            if any(chosen[position] == name for position in positions):
                continue
            # The smallest group of one class whose going leaves something where that is due.
            movable = [
                position
                for position in positions
                if len(set(labels[position])) == 1
                and (
                    chosen[position] not in due
                    or sum(chosen[other] == chosen[position] for other in positions) > 1
                )
            ]
            if movable:
                chosen[min(movable, key=lambda position: len(labels[position]))] = name


def _places(dataset: Dataset, parts: Sequence[tuple[int, str]]) -> list[Placed]:
    """A name in the result for each picture: its own, numbered where two parts had it."""
    roots = [part.folder for part in dataset.parts for _ in part.samples]
    taken: set[str] = set()
    placed = []
    for index, part in parts:
        sample = dataset.samples[index]
        inside = os.path.relpath(sample.path, roots[index]).replace(os.sep, "/")
        stem, suffix = os.path.splitext(f"{part}/{inside}")
        place, number = stem + suffix, 2
        while place.casefold() in taken:
            place, number = f"{stem}-{number}{suffix}", number + 1
        taken.add(place.casefold())
        name = dataset.classes[sample.label]
        placed.append(Placed(dataset.relative(sample.path), place, part, name))
    return placed


def lacking_lines(split: Split) -> list[str]:
    """One line for each part that has nothing of some class."""
    lines = []
    for number, part in enumerate(split.parts):
        names = [readable(name) for name, each in split.counts().items() if not each[number]]
        if names:
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            lines.append(
                f"{part} has nothing of {', '.join(names[:MOST_NAMED])}{more}: "
                "the pictures are too few, or too much alike to be on two sides"
            )
    return lines


def left_out_lines(split: Split) -> list[str]:
    """One line for each file that holds no picture."""
    return [f"{readable(path)}: {fault}; left out" for path, fault in split.left_out]
