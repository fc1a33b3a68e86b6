"""What a run says of its pictures before it learns: copies that spoil it, and too few of a class.

Only what costs next to nothing is looked for; `vidcam data check` looks at everything.
"""

import os
from collections.abc import Callable, Hashable, Iterable, Sequence

from vidcam.pictures.inputs import readable
from vidcam.training.duplicates import digest
from vidcam.training.sides import Sides

FEW = 10
TAIL_BYTES = 4096
# A sentence names so many classes.
MOST_NAMED = 5


def doubts(folder: str, sides: Sides) -> list[str]:
    """A sentence each: equal files under two labels, on both sides, and classes of few pictures."""
    label_of = {sample.path: sample.label for sample in (*sides.train, *sides.val)}
    learnt, held = ({sample.path for sample in side} for side in (sides.train, sides.val))
    disputed, leaked = 0, 0
    for group in equal_files([*label_of]):
        if len({label_of[path] for path in group}) > 1:
            disputed += len(group)
        if not learnt.isdisjoint(group):
            leaked += len(held.intersection(group))
    found = []
    if disputed:
        found.append(f"{disputed} files have a copy under another label")
    if leaked:
        them = "picture that validates is" if leaked == 1 else "pictures that validate are"
        found.append(f"leak: {leaked} {them} learnt from too, so the accuracy will look too good")
    told = [f"{one}; vidcam data check {readable(folder)} says which" for one in found]
    few = [(sides.labels[n], count) for n, count in enumerate(sides.counts()) if count < FEW]
    if few:
        named = ", ".join(f"{count} of {name}" for name, count in few[:MOST_NAMED])
        more = f" and {len(few) - MOST_NAMED} classes more" if len(few) > MOST_NAMED else ""
        told.append(f"few pictures to learn from: {named}{more}; more would help most")
    return told


def equal_files(paths: Sequence[str]) -> list[list[str]]:
    """The files that are equal to the byte, two or more a group.

    Of most files only the size is asked for, of those of one size the end is read, and only what
    is still alike is read whole. A file that is empty or cannot be read is like no other.
    """
    groups: Iterable[Sequence[str]] = [paths]
    for key in (os.path.getsize, _tail, _content):
        groups = [part for group in groups for part in _parted(group, key)]
    return [list(group) for group in groups]


def _parted(paths: Sequence[str], key: Callable[[str], Hashable]) -> Iterable[list[str]]:
    """The paths with equal keys, two or more a group."""
    groups: dict[Hashable, list[str]] = {}
    for path in paths:
        try:
            value = key(path)
        except OSError:
            continue
        if value:
            groups.setdefault(value, []).append(path)
    return (group for group in groups.values() if len(group) > 1)


def _tail(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        return digest(file.read())


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return digest(file.read())
