"""Files of torch that are whole whenever they are there."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from vidcam.errors import OutputError, system_reason


class _Quiet:
    """Writes to a file, and keeps the first error for later.

    torch's writer ends the process when a write fails under it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Nothing: the file is flushed once, when it is whole."""


def save_whole(path: Path, payload: Any) -> None:
    """Write what `torch.load` reads to `path`, in place of what is there.

    It is written beside (`NAME.partial.EXT`), flushed to the disk and renamed, so that whatever
    happens there is the old file or the new one. Raises OutputError; the old file is kept then.
    """
    import torch

    part = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        with part.open("wb") as file:
            quiet = _Quiet(file)
            torch.save(payload, cast(BinaryIO, quiet))
            if quiet.error:
                raise quiet.error
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            kept = "; the one from before is kept" if path.exists() else ""
            raise OutputError(f"{path}: {system_reason(error)}{kept}") from error
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where folders can be flushed."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
