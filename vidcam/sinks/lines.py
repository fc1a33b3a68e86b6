"""Text files of a live run: under their final name from the first record, whole line by line.

Nothing here waits for a reader: what a slow one has not taken is kept, up to a bound, and given
to it with the next record; beyond the bound records are left out and counted.
"""

import codecs
import errno
import io
import logging
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from vidcam.errors import OutputError, system_reason
from vidcam.sinks.names import free_name
from vidcam.sinks.partial import check_target, is_special

log = logging.getLogger("vidcam")

T = TypeVar("T")

WAITING_BYTES = 1_000_000
# A pipe that is ready takes so much without blocking.
PIECE_BYTES = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
CLOSE_S = 0.5


class LiveRecords(Generic[T]):
    """Writes one item after another, each to the end before the call returns, if it can be.

    A write that fails raises OutputError once (BrokenPipeError when our reader has gone); after
    that every call does nothing, because several sources share the file.
    """

    def __init__(self, file: int, name: str, make: Callable[[TextIO], Callable[[T], None]],
                 encoding: str) -> None:  # fmt: skip
        self._file, self._name = file, name
        self._is_file = stat.S_ISREG(os.fstat(file).st_mode)
        self._encode = codecs.getincrementalencoder(encoding)("surrogateescape").encode
        self._text = io.StringIO()
        self._waiting = bytearray()
        self._failed = False
        self._left_out = 0
        self._write = make(self._text)
        self._send()  # what `make` wrote: a header

    def __call__(self, item: T) -> None:
        """Write an item. Raises OutputError or BrokenPipeError, once."""
        if self._failed:
            return
        self._pump()
        if len(self._waiting) > WAITING_BYTES:
            self._left_out += 1
            if self._left_out == 1:
                log.warning("%s: its reader is too slow; records are left out", self._name)
            return
        self._write(item)
        self._send()

    def close(self) -> None:
        """Give a slow reader a last half second for what waits. Raises as `__call__`."""
        deadline_s = time.monotonic() + CLOSE_S
        while self._waiting and not self._failed:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                log.warning("%s: its reader did not take the last records", self._name)
                break
            self._pump(left_s)
        if self._left_out:
            log.warning("%s: %d records were left out", self._name, self._left_out)

    def _send(self) -> None:
        self._waiting += self._encode(self._text.getvalue())
        self._text.seek(0)
        self._text.truncate()
        self._pump()

    def _pump(self, wait_s: float = 0.0) -> None:
        """Write what waits, as far as it goes without blocking."""
        whole = os.fstat(self._file).st_size if self._is_file else 0
        try:
            while self._waiting and (self._is_file or _is_ready(self._file, wait_s)):
                # One call for a file's whole record: a killed run hardly ever leaves half of one.
                piece = self._waiting if self._is_file else self._waiting[:PIECE_BYTES]
                del self._waiting[: os.write(self._file, piece)]
        except BlockingIOError:
            return
        except OSError as error:
            self._failed = True
            if self._is_file:
                with suppress(OSError):
                    os.ftruncate(self._file, whole)
            # A reader of ours that has gone is no fault of the output's: `cli.main` ends quietly.
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputError(f"{self._name}: {system_reason(error)}") from error


@contextmanager
def live_record_file(
    name: str,
    make: Callable[[TextIO], Callable[[T], None]],
    overwrite: bool = False,
    encoding: str = "utf-8",
) -> Iterator[LiveRecords[T]]:
    """A writer on stdout (`-`), a pipe with a reader, or a new file: `name`, or `name-2`…

    Raises UsageError, or OutputError when the file cannot be written.
    """
    if name == "-":
        sys.stdout.flush()
        records = LiveRecords(sys.stdout.fileno(), "stdout", make, encoding.removesuffix("-sig"))
        with _closed_with(records):
            yield records
        return
    path = Path(name)
    try:
        path, file = _open(path, overwrite)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        reason = system_reason(error)
        if error.errno == errno.ENXIO:
            reason = "nobody reads this pipe; start its reader first"
        raise OutputError(f"{path}: {reason}") from error
    try:
        records = LiveRecords(file, str(path), make, encoding)
        with _closed_with(records):
            yield records
    finally:
        # Each record's own write has said what is wrong with the file.
        with suppress(OSError):
            os.close(file)


@contextmanager
def _closed_with(records: LiveRecords[T]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):  # what came first is what is reported
            records.close()
        raise
    records.close()


def _open(path: Path, overwrite: bool) -> tuple[Path, int]:
    if is_special(path):
        # A pipe without a reader would hold the start for ever.
        return path, os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    check_target(path, overwrite=True)
    path = free_name(path, overwrite)
    # Two runs that begin together never share a file.
    how = os.O_TRUNC if overwrite else os.O_EXCL
    return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | how, 0o666)


def _is_ready(file: int, wait_s: float) -> bool:
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    return bool(poll.poll(wait_s * 1000))
