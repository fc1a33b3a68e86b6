"""Tables about pictures on stdout."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from vidcam.types import Score

Tell = Callable[[Iterable[str]], None]


@contextmanager
def tables(quiet: bool, lasting: bool) -> Iterator[Tell]:
    """Writes lines to stdout as soon as they are known.

    Where `lasting` files are written too, a reader of stdout that goes away ends the tables only.
    Raises OutputError when stdout cannot be written.
    """
    from vidcam.sinks.records import record_file

    if quiet:
        yield lambda _lines: None
        return
    with record_file("-", _writing, overwrite=False) as write:
        is_read = True

        def tell(lines: Iterable[str]) -> None:
            nonlocal is_read
            if not is_read:
                return
            try:
                write(lines)
            except BrokenPipeError:
                if not lasting:
                    raise
                is_read = False
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as we run

        yield tell


def _writing(stream: TextIO) -> Tell:
    def write(lines: Iterable[str]) -> None:
        stream.write("".join(_plain(line) + "\n" for line in lines))
        stream.flush()

    return write


def _plain(line: str) -> str:
    """Without what a file name may do to a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)


def named(score: "Score") -> str:
    """A class by its label, and in English where that is another."""
    is_told = score.label_en in score.label.split(" / ")
    return score.label if is_told else f"{score.label}  {score.label_en}"
