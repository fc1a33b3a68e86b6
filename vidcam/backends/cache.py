"""Folders that are dear to make, kept in the user's cache: whole or not there at all."""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

log = logging.getLogger("vidcam")

# The oldest beyond so many are removed; a network of 100 MB makes an entry of as many.
MOST_ENTRIES = 16
BUILDING = "building-"
ABANDONED_S = 86_400.0


@contextmanager
def cached(key: str, build: Callable[[Path], None]) -> Iterator[Path]:
    """The folder of `key`, which `build` fills if it is not there.

    It is built beside and renamed when it is whole, so that neither a kill nor another start at
    the same time leaves half of it. Where nothing can be kept it is a temporary folder.
    """
    try:
        root = cache_folder()
        root.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=BUILDING, dir=root, ignore_cleanup_errors=True)
    except OSError as error:
        log.warning("nothing can be kept in the cache (%s): it is made anew at each start", error)
        scratch = tempfile.TemporaryDirectory(prefix="vidcam-", ignore_cleanup_errors=True)
        root = Path(scratch.name)
    with scratch as name:
        entry = root / key
        if not entry.is_dir():
            made = Path(name) / "made"
            made.mkdir()
            build(made)
            _keep(made, entry)
            _prune(root)
        os.utime(entry)
        yield entry


def drop(key: str) -> None:
    """Remove the folder of `key`."""
    shutil.rmtree(cache_folder() / key, ignore_errors=True)


def cache_folder() -> Path:
    """Where the folders are: in VIDCAM_CACHE_DIR, or where the system keeps caches."""
    own = os.environ.get("VIDCAM_CACHE_DIR")
    return Path(own or platformdirs.user_cache_dir("vidcam", appauthor=False)) / "engines"


def _keep(made: Path, entry: Path) -> None:
    try:
        made.rename(entry)
    except OSError:
        if not entry.is_dir():  # else another start was quicker, and made the same
            raise


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
