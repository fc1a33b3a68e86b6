"""SIGINT and SIGTERM take the same road: stop the pipeline, let the sinks finish."""

import signal
from types import FrameType
from typing import Protocol

from vidcam.errors import Interrupted


class Stoppable(Protocol):
    """What a signal ends: a pipeline, or a live run."""

    def stop(self, error: BaseException | None = None) -> None:
        """End soon, with `error` for the caller."""
        ...


class Stop:
    """Ends a run of pictures at its next step: an exception out of nowhere may come in a callback
    of C's, where it is swallowed."""

    def __init__(self) -> None:
        self._error: BaseException | None = None

    def stop(self, error: BaseException | None = None) -> None:
        """End soon, with `error`."""
        self._error = error

    def check(self) -> None:
        """Raise the error of `stop`, if it was called."""
        if self._error:
            raise self._error


class Interrupts:
    """Handles both signals while it is entered.

    With a pipeline running, a signal ends it at its next step; without one it raises
    KeyboardInterrupt.
    Further signals change nothing, so that an output being finished is finished.
    """

    def __init__(self, regular: bool = False) -> None:
        """`regular` says that a signal is this command's normal end, not an interruption."""
        self.asked = False
        self.pipeline: Stoppable | None = None
        self._error = None if regular else Interrupted("interrupted")
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def watch(self, pipeline: Stoppable) -> None:
        """Stop this pipeline when a signal comes."""
        self.pipeline = pipeline
        if self.asked:  # a KeyboardInterrupt in a callback of C's is swallowed
            pipeline.stop(self._error)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self.pipeline is None:
            # No Interrupted: libraries that catch Exception and try again would swallow it.
            raise KeyboardInterrupt
        self.pipeline.stop(self._error)
