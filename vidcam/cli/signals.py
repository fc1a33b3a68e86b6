"""SIGINT and SIGTERM take the same road: stop the pipeline, let the sinks finish, exit 130."""

import signal
from types import FrameType

from vidcam.errors import Interrupted
from vidcam.pipeline import Pipeline


class Interrupts:
    """Handles both signals while it is entered.

    With a pipeline running, a signal ends it at its next step; without one it raises
    KeyboardInterrupt.
    Further signals change nothing, so that an output being finished is finished.
    """

    def __init__(self) -> None:
        self.asked = False
        self.pipeline: Pipeline | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def watch(self, pipeline: Pipeline) -> None:
        """Stop this pipeline when a signal comes."""
        self.pipeline = pipeline

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self.pipeline is None:
            # No Interrupted: libraries that catch Exception and try again would swallow it.
            raise KeyboardInterrupt
        self.pipeline.stop(Interrupted("interrupted"))
