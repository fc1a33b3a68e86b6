"""Files that appear under their name only when they are whole."""

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vidcam.errors import OutputError, UsageError, VidcamError, system_reason


class PartialFile:
    """`NAME.partial.EXT` beside the target, renamed to it on `commit`."""

    def __init__(self, target: str | Path, overwrite: bool) -> None:
        """Check the target before any work is done. Raises UsageError or OutputError."""
        self.target = Path(target)
        self.path = partial_path(self.target)
        self._overwrite = overwrite
        check_target(self.target, overwrite)
        try:
            self.path.open("wb").close()
        except OSError as error:
            raise OutputError(f"{self.target}: {system_reason(error)}") from error

    def commit(self) -> None:
        """Give the file its name. Raises OutputError, and keeps the part."""
        try:
            if self.target.exists() and not self._overwrite:
                raise FileExistsError(errno.EEXIST, "a file of this name has come meanwhile")
            self.path.replace(self.target)
        except OSError as error:
            reason = system_reason(error)
            raise OutputError(f"{self.target}: {reason}; all is in {self.path}") from error

    def discard(self) -> None:
        """Remove what was written."""
        self.path.unlink(missing_ok=True)


def write_whole(target: Path, overwrite: bool, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file that gets the name of `target` only when it is whole.

    Raises UsageError when the name is taken or its folder is missing, OutputError when the system
    refuses the writing; other errors pass, and nothing is left.
    """
    file = PartialFile(target, overwrite)
    try:
        write(file.path)
    except BaseException as error:
        with suppress(OSError):
            file.discard()
        if isinstance(error, OSError) and not isinstance(error, VidcamError):
            raise OutputError(f"{target}: {system_reason(error)}") from error
        raise
    file.commit()


def partial_path(target: Path) -> Path:
    """The name under which a target is written."""
    return target.with_name(f"{target.stem}.partial{target.suffix}")


def check_target(target: Path, overwrite: bool) -> None:
    """Raise UsageError when a file of this name cannot or must not be written."""
    if not target.parent.is_dir():
        raise UsageError(f"{target}: folder {target.parent} does not exist; make it first")
    if target.is_dir():
        raise UsageError(f"{target}: is a folder")
    if is_special(target):
        raise UsageError(f"{target}: is a device or a pipe, which no file can be written over")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists already; -y replaces it")


def is_special(path: Path) -> bool:
    """Whether a name is taken by a device, pipe or socket, which must never be renamed over."""
    return path.exists() and not path.is_file() and not path.is_dir()
