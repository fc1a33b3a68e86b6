"""The pictures of a command line: files, folders and globs as one list."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import NoReturn

from vidcam.errors import SourceError, UsageError, redact, system_reason

# What Pillow opens without another program: no EPS, which would start Ghostscript.
PICTURE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib",
    ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif", ".jp2", ".j2k", ".j2c",
    ".jpc", ".jpf", ".jpx", ".qoi", ".ico", ".tga",
})  # fmt: skip
# What archives and notebooks leave beside pictures; its copies are no pictures of anybody's.
LEFTOVERS = frozenset({"__MACOSX", ".ipynb_checkpoints"})


def expand(inputs: Sequence[str]) -> list[str]:
    """Each file once, in the order given; folders, with all below, and globs in natural order.

    Folders and globs give files with a picture's suffix only. A file named outright stays in the
    list whatever it is, as does a path that does not exist: opening it says what is wrong. Raises
    SourceError when a folder or a glob holds no picture, UsageError for a URL.
    """
    found: list[str] = []
    for text in inputs:
        if text.lower().startswith(("http://", "https://")):
            raise UsageError(f"{redact(text)}: pictures are read from files; download it first")
        if os.path.isdir(text):
            found += _pictures("folder", text, _files_below(text))
        elif has_magic(text) and not os.path.isfile(text):
            found += _pictures("pattern", text, _files_like(text))
        else:
            found.append(text)
    once: dict[str, str] = {}
    for path in found:
        once.setdefault(os.path.abspath(path), path)
    return list(once.values())


def readable(path: str | Path) -> str:
    """A path for people and records; a name that is no UTF-8 does not break them."""
    return os.fsencode(path).decode("utf-8", "replace")


def natural(path: str) -> tuple[object, ...]:
    """The key that sorts `2.jpg` before `10.jpg`, folder by folder."""
    folders = [
        [int(part) if n % 2 else part.casefold() for n, part in enumerate(re.split(r"(\d+)", name))]
        for name in Path(path).parts
    ]
    return folders, path


def _files_below(top: str) -> Iterator[str]:
    """The files in a folder and below; links to folders are followed, each folder once."""

    def refuse(error: OSError) -> None:
        if error.filename == top:
            _refuse_folder(top, error)

    seen: set[tuple[int, int]] = set()
    for folder, below, names in os.walk(top, onerror=refuse, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        below[:] = [name for name in below if _is_for_people(name)]
        yield from (os.path.join(folder, name) for name in names if _is_for_people(name))


def _refuse_folder(top: str, error: OSError) -> NoReturn:
    raise SourceError(f"folder {readable(top)}: {system_reason(error)}") from error


def _files_like(pattern: str) -> Iterator[str]:
    """The files that a glob means; it passes over hidden ones unless it names them."""
    asked = LEFTOVERS.intersection(Path(pattern).parts)
    for path in glob(pattern, recursive=True):
        if not (LEFTOVERS - asked).intersection(Path(path).parts):
            yield path


def _is_for_people(name: str) -> bool:
    return not name.startswith(".") and name not in LEFTOVERS


def _pictures(kind: str, text: str, paths: Iterable[str]) -> list[str]:
    pictures = [
        path
        for path in paths
        if os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES and os.path.isfile(path)
    ]
    if not pictures:
        raise SourceError(f"{kind} {readable(text)}: holds no picture")
    return sorted(pictures, key=natural)
