"""Batches on their way through the network: model pixels in, each frame's answer out."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from vidcam.classifier import Classifier, Seen
from vidcam.feed import Feed, Timed
from vidcam.inbox import Ticket
from vidcam.options import VideoOptions
from vidcam.types import Batch, Pixels, Rect, Result, RunStats
from vidcam.view import View


@dataclass(frozen=True, slots=True)
class Work:
    """A batch that the network has been given; `seen` waits for what it says."""

    tickets: list[Ticket[Feed]]
    batch: Batch
    crops: list[Rect]
    due: list[bool]
    seen: Callable[[], list[Seen]]
    start_s: float


class Batcher:
    """Gives the network its batches, in buffers that are reused."""

    def __init__(
        self, classifier: Classifier, options: VideoOptions, most: int, view: View | None
    ) -> None:
        self._classifier = classifier
        self._every = options.cam_every
        self._view = view
        # While one batch is under way on a GPU, the next one is prepared in the other buffer.
        self.overlaps = classifier.backend.overlaps
        shape = (2 if self.overlaps else 1, most, classifier.size, classifier.size, 3)
        self._buffers: Iterator[Pixels] = cycle(np.empty(shape, np.uint8))

    def begin(self, tickets: list[Ticket[Feed]], timed: Timed) -> Work:
        """Prepare the frames and hand them to the network. At most two may be under way."""
        start_s = time.monotonic()
        frames = tuple(ticket.frame for ticket in tickets)
        pixels = next(self._buffers)[: len(frames)]
        with timed("prepare"):
            crops = [t.feed.prepare(t.frame, p) for t, p in zip(tickets, pixels, strict=True)]
            batch = Batch(frames, pixels)
        due = [ticket.feed.is_due_for_map(self._every) for ticket in tickets]
        with timed("network"):
            seen = self._classifier.start(batch.pixels, any(due), self._view)
        return Work(tickets, batch, crops, due, seen, start_s)

    def finish(self, work: Work, timed: Timed, stats: RunStats) -> list[tuple[Feed, Result]]:
        """Wait for the network and give each ticket its answer."""
        with timed("network"):
            seen = work.seen()
        stats.classified += len(work.tickets)
        results = []
        for n, (ticket, frame) in enumerate(zip(work.tickets, work.batch.frames, strict=True)):
            one = seen[n] if work.due[n] else seen[n].without_map()
            stats.explained += one.map is not None
            answer = ticket.feed.answer(frame, one, work.batch.pixels[n], work.crops[n])
            ticket.answer = answer
            latency_s = time.monotonic() - frame.captured_s
            result = Result(frame, answer.prediction, latency_s, 0.0, answer.window)
            results.append((ticket.feed, result))
        return results
