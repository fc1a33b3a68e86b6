"""Second names for files: links where the file system has them, copies elsewhere."""

import os
import shutil
from pathlib import Path


def twin(path: Path, place: Path) -> bool:
    """Give a file a second name; returns whether as a hard link, else it is a whole copy.

    A symbolic link becomes a symbolic link. Raises OSError when neither can be made.
    """
    try:
        os.link(path, place, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        # Another disk, a file system without links, or a file with too many of them.
        part = place.with_name(f"{place.name}.partial")
        try:
            shutil.copy2(path, part, follow_symlinks=False)
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
        return False
    return True


def prune(folder: Path) -> None:
    """Remove a folder and those in it that hold nothing."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for one, _, _ in os.walk(folder, topdown=False):
        if not os.listdir(one):
            os.rmdir(one)
