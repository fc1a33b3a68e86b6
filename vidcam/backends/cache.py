"""Folders that are dear to make, kept in the user's cache: whole or not there at all."""

import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from vidcam.errors import VidcamError, system_reason

log = logging.getLogger("vidcam")

Build = Callable[[Path], None]

# The oldest beyond so many are removed; a network of 100 MB makes an entry of as many.
MOST_ENTRIES = 16
BUILDING = "building-"
ABANDONED_S = 86_400.0
# The checksums of an entry's files: a crash of the machine may leave zeros where they were.
SUMS = "sums.json"


@contextmanager
def cached(key: str, build: Build) -> Iterator[Path]:
    """The folder of `key`, which `build` fills if it is not there or damaged.

    It is built beside and renamed when it is whole, so that neither a kill nor another start at
    the same time leaves half of it. Where it cannot be kept it is a temporary folder. Raises what
    `build` raises, OSError only if the temporary folder has no room either.
    """
    root = cache_folder()
    entry = root / key
    if not _is_whole(entry):
        try:
            root.mkdir(parents=True, exist_ok=True)
            _build_beside(entry, build)
            _prune(root)
        except VidcamError:
            raise
        except OSError as error:
            log.warning(
                "%s: nothing can be kept (%s); it is made for this start alone",
                root, system_reason(error),
            )  # fmt: skip
            with tempfile.TemporaryDirectory(
                prefix="vidcam-", ignore_cleanup_errors=True
            ) as scratch:
                build(Path(scratch))
                yield Path(scratch)
            return
    with suppress(OSError):  # another user's, or gone this moment
        os.utime(entry)
    yield entry


def cache_folder() -> Path:
    """Where the folders are: in VIDCAM_CACHE_DIR, or where the system keeps caches."""
    own = os.environ.get("VIDCAM_CACHE_DIR")
    return Path(own or platformdirs.user_cache_dir("vidcam", appauthor=False)) / "engines"


def _build_beside(entry: Path, build: Build) -> None:
    with tempfile.TemporaryDirectory(
        prefix=BUILDING, dir=entry.parent, ignore_cleanup_errors=True
    ) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        build(made)
        (made / SUMS).write_text(json.dumps(_sums(made)))
        if _is_whole(entry):  # another start was quicker, and reads it already
            return
        if entry.exists():
            log.warning("%s is damaged; it is made anew", entry)
            entry.rename(Path(scratch) / "damaged")
        try:
            made.rename(entry)
        except OSError:
            if not _is_whole(entry):  # else one was quicker at this very moment
                raise


def _is_whole(entry: Path) -> bool:
    try:
        return bool(json.loads((entry / SUMS).read_text()) == _sums(entry))
    except (OSError, ValueError):
        return False


def _sums(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    return {path.name: zlib.crc32(path.read_bytes()) for path in files}


def _prune(root: Path) -> None:
    entries = []
    for path in root.iterdir():
        try:
            used_s = path.stat().st_mtime
        except OSError:
            continue
        if not path.name.startswith(BUILDING):
            entries.append((used_s, path))
        elif time.time() - used_s > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)
    for _, path in sorted(entries)[:-MOST_ENTRIES]:
        shutil.rmtree(path, ignore_errors=True)
