"""JSON lines and CSV: one record per frame. docs/command.md says what each field is."""

import csv
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, TypeVar

import av

from vidcam.errors import OutputError, VidcamError, system_reason
from vidcam.sinks import Sink
from vidcam.sinks.partial import PartialFile, is_special
from vidcam.types import Result

log = logging.getLogger("vidcam")

CSV_HEADER = ("source", "frame", "time_s", "rank", "index", "label", "label_en", "score")


def record(result: Result) -> dict[str, Any]:
    """A result in the form of the JSON lines."""
    frame, prediction = result.frame, result.prediction
    cam = None
    if prediction.cam_class is not None:
        cam = {"class": prediction.cam_class, "fresh": prediction.cam_fresh}
    return {
        "source": frame.source,
        "frame": frame.index,
        "time_s": round(frame.time_s, 6),
        "topk": [score.as_record() for score in prediction.topk],
        "shown": [score.as_record() for score in prediction.shown],
        "cam": cam,
        "crop": prediction.crop.as_list(),
    }


def rows(result: Result) -> Iterator[tuple[Any, ...]]:
    """A result as rows of the CSV, one a rank."""
    frame = result.frame
    for rank, score in enumerate(result.prediction.topk, 1):
        fields = score.as_record().values()
        yield (frame.source, frame.index, f"{frame.time_s:.6f}", rank, *fields)


# A text file that takes one result after another.
Written = Callable[[Result], None]
Record = TypeVar("Record")


def json_lines(stream: TextIO) -> Written:
    """Writes results to `stream` as JSON lines."""

    def write(result: Result) -> None:
        stream.write(json.dumps(record(result), ensure_ascii=False) + "\n")

    return write


def csv_rows(stream: TextIO) -> Written:
    """Writes results to `stream` as CSV, after its header."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)

    def write(result: Result) -> None:
        writer.writerows(rows(result))

    return write


class RecordSink(Sink):
    """Hands each result to a writer; the file behind it may serve several runs."""

    def __init__(self, write: Written) -> None:
        self._write = write

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """As `Sink`."""
        self._write(result)


class ClassifiedSink(Sink):
    """Hands the result of each classified frame to a writer, whatever is drawn or dropped."""

    def __init__(self, write: Written) -> None:
        self._write = write

    def classified(self, result: Result) -> None:
        """As `Sink`."""
        self._write(result)


@contextmanager
def record_file(
    name: str,
    make: Callable[[TextIO], Callable[[Record], None]],
    overwrite: bool,
    encoding: str = "utf-8",
) -> Iterator[Callable[[Record], None]]:
    """A writer on stdout (`-`), a pipe, or a file that gets its name when the block ends well.

    Raises UsageError, or OutputError when writing fails.
    """
    if name == "-":
        with _writing("stdout"):
            write = make(sys.stdout)
        yield _guarded(write, "stdout")
        with _writing("stdout"):
            sys.stdout.flush()
        return
    partial = None if is_special(Path(name)) else PartialFile(name, overwrite)
    path = partial.path if partial else Path(name)
    with _writing(name):
        stream = path.open("w", encoding=encoding, newline="")
    try:
        with _writing(name):
            write = make(stream)
        yield _guarded(write, name)
        with _writing(name):
            stream.flush()
    except BaseException as error:
        if partial and isinstance(error, KeyboardInterrupt):
            log.error("%s keeps the records so far", partial.path)
        elif partial:
            partial.discard()
        raise
    finally:
        # What could not be flushed has been reported above.
        with suppress(OSError):
            stream.close()
    if partial:
        partial.commit()


def _guarded(write: Callable[[Record], None], name: str) -> Callable[[Record], None]:
    def guarded(record: Record) -> None:
        with _writing(name):
            write(record)

    return guarded


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # A reader of ours that has gone is no fault of the output's: `cli.main` ends quietly.
        if isinstance(error, VidcamError | BrokenPipeError):
            raise
        raise OutputError(f"{name}: {system_reason(error)}") from error
