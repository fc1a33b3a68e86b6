"""Frames that wait for the network, and the tickets by which they get its answer."""

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

from vidcam.types import Frame, Prediction

Feed = TypeVar("Feed")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the network said of the frame at `time_s`, of `size` pixels; `window` as in `Result`."""

    time_s: float
    size: tuple[int, int]
    prediction: Prediction
    window: Prediction | None = None


class Ticket(Generic[Feed]):
    """A frame on its way to the sinks; its answer comes while it waits, or never.

    `settled` says that the classifier is done with the frame: it has answered, or it will not.
    """

    __slots__ = ("answer", "feed", "frame", "settled")

    def __init__(self, feed: Feed, frame: Frame) -> None:
        self.feed = feed
        self.frame = frame
        self.answer: Answer | None = None
        self.settled = False


class Inbox(Generic[Feed]):
    """Hands the classifier its next frames, and lets the drawing wait for an answer.

    Complete, it keeps every frame and gives full batches, so nothing is left out. Otherwise it
    keeps only the newest frame of each feed and gives what there is at once: one stalled source
    delays nobody, and what is old is never classified.
    """

    def __init__(self, batch: int, batch_bytes: int, complete: bool) -> None:
        self._batch, self._batch_bytes, self._complete = batch, batch_bytes, complete
        self._tickets: list[Ticket[Feed]] = []
        self._bytes = 0
        self.closed = self._ended = False
        self._reader_waits = self._drawing_waits = False
        # Re-entrant: a signal handler may close it while its thread holds the lock.
        self._changed = threading.Condition(threading.RLock())

    def put(self, ticket: Ticket[Feed]) -> None:
        """Add a frame; without `complete` it takes the place of an older one of its feed."""
        with self._changed:
            if not self._complete:
                for old in self._tickets:
                    if old.feed is ticket.feed:
                        self._forget(old)
                        break
            self._tickets.append(ticket)
            self._bytes += ticket.frame.size_bytes
            self._changed.notify_all()

    def take(self, wait: bool = True) -> list[Ticket[Feed]]:
        """The next batch, which is removed; empty when all is done.

        Without `wait` it is also empty when no batch is ready.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(self._is_ready)
            if self.closed or not self._is_ready():
                return []
            taken = self._tickets[: self._batch]
            del self._tickets[: self._batch]
            self._bytes -= sum(ticket.frame.size_bytes for ticket in taken)
            return taken

    def settle(self, tickets: list[Ticket[Feed]]) -> None:
        """Say that the classifier is done with these frames."""
        with self._changed:
            for ticket in tickets:
                ticket.settled = True
            self._changed.notify_all()

    def wait(self, ticket: Ticket[Feed], timeout_s: float | None) -> bool:
        """Wait until a frame is settled; False when time is up or all is closed."""
        with self._changed:
            self._drawing_waits = True
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: ticket.settled or self.closed, timeout_s)
            finally:
                self._drawing_waits = False
            return ticket.settled

    def reader_waits(self, waits: bool) -> None:
        """Say that no more frames can come before some have been drawn."""
        with self._changed:
            self._reader_waits = waits
            self._changed.notify_all()

    def end(self) -> None:
        """No more frames come: what there is makes the last batches."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop at once."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _is_ready(self) -> bool:
        if self.closed or self._ended:
            return True
        if not self._complete:
            return bool(self._tickets)
        # A batch that cannot fill while both sides wait for it goes as it is.
        stuck = self._reader_waits and self._drawing_waits and bool(self._tickets)
        full = len(self._tickets) >= self._batch or self._bytes > self._batch_bytes
        return full or stuck

    def _forget(self, ticket: Ticket[Feed]) -> None:
        self._tickets.remove(ticket)
        self._bytes -= ticket.frame.size_bytes
        ticket.settled = True
