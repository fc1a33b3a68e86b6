"""The one flow: sources → frames → classifier → results, in the order of each source.

A reader thread a source captures, a classify thread runs the network, the caller's thread draws,
encodes and is where errors and signals land. `file` and `live` differ by one Policy: with
`wait_for_result` every frame waits for its own result and nothing is dropped; without it frames
flow at their source's rate, the network takes the newest one whenever it is free, and what cannot
be drawn in time is dropped where it is captured, and counted.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from vidcam import yuv
from vidcam.batcher import Batcher, Work
from vidcam.channel import Channel, Closed
from vidcam.classifier import Classifier
from vidcam.feed import Feed
from vidcam.inbox import Inbox, Ticket
from vidcam.options import VideoOptions
from vidcam.policy import Policy
from vidcam.sources import Item
from vidcam.types import (
    AudioPacket,
    Changed,
    CodedPacket,
    Frame,
    Lost,
    Prediction,
    Rect,
    Result,
    RunStats,
)  # fmt: skip
from vidcam.view import View

# What waits for the drawing: enough decoded frames to keep every core busy.
CHANNEL_ITEMS = 96
CHANNEL_BYTES = 96_000_000
# Live, frames are counted apart; this much sound may wait through a stall of the outputs.
LIVE_ITEMS = 4096
LIVE_BYTES = 512_000_000
BATCH_BYTES = 64_000_000
# A live frame that finds so many of its source waiting is dropped: this bounds the delay.
LIVE_WAITING = 3
# A live frame waits so long for its own result when the network is quicker than that.
LIVE_HOLD_S = 0.06
TICK_S = 0.02
STEP_S = 0.1
JOIN_S = 2.0
TOO_SLOW = "drawing and encoding too slow"
SOUND_TOO_SLOW, CODED_TOO_SLOW = "sound: outputs too slow", "coded packets: outputs too slow"


@dataclass(frozen=True, slots=True)
class Classified:
    """A live frame's own result, whether that frame has been drawn with it or not."""

    result: Result
    size_bytes: int = 0


Given = Result | AudioPacket | CodedPacket | Classified | Changed | Lost
# Frames travel as tickets, all else as it is.
Travelling = Ticket[Feed] | AudioPacket | CodedPacket | Classified | Changed | Lost
Entry = tuple[Feed, Travelling]


class Pipeline:
    """Any number of feeds through one classifier."""

    def __init__(
        self, feeds: Sequence[Feed], classifier: Classifier, options: VideoOptions,
        policy: Policy, view: View | None = None,
    ) -> None:  # fmt: skip
        self.stats = RunStats()
        self.feeds = feeds
        self._policy = policy
        self._batcher = Batcher(classifier, options, policy.batch, view)
        self._threads: list[threading.Thread] = []
        self._reading = len(feeds)
        self._lock = threading.Lock()
        self._network_s = 0.0
        self._inbox: Inbox[Feed] = Inbox(policy.batch, BATCH_BYTES, policy.wait_for_result)
        complete = policy.wait_for_result
        self._out: Channel[Entry] = Channel(
            CHANNEL_ITEMS if complete else LIVE_ITEMS,
            CHANNEL_BYTES if complete else LIVE_BYTES,
            _size,
        )

    def __iter__(self) -> Iterator[tuple[Feed, Given] | None]:
        """What every feed gives, each in its order, and None now and then when nothing comes.

        Raises what any thread raised.
        """
        work: list[tuple[Callable[[], None], str]] = [
            (partial(self._read, feed), "vidcam-read") for feed in self.feeds
        ]
        work.append((self._classify, "vidcam-classify"))
        self._threads = [
            threading.Thread(target=self._run, args=(one,), daemon=True, name=name)
            for one, name in work
        ]
        for thread in self._threads:
            thread.start()
        try:
            while True:
                try:
                    entry = self._out.get(TICK_S)
                except Closed:
                    return
                if entry is None:
                    yield None
                    continue
                feed, item = entry
                if not isinstance(item, Ticket):
                    yield feed, item
                elif (result := self._result(feed, item)) is not None:
                    yield feed, result
        finally:
            self.stop()

    def stop(self, error: BaseException | None = None) -> None:
        """End at once, with `error` for the caller; may be called from a signal handler."""
        self._out.close(error)
        self._inbox.close()

    def close(self, join_s: float = JOIN_S) -> None:
        """Stop, wait for the threads for a bounded time, and let go of the sources.

        A reader that hangs inside FFmpeg is a daemon, and its source stays open: closing it under
        the reader would crash the process.
        """
        self.stop()
        for feed in self.feeds:
            feed.reader.stop()
        until_s = time.monotonic() + join_s
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        classifying = bool(self._threads) and self._threads[-1].is_alive()
        for number, feed in enumerate(self.feeds):
            reading = bool(self._threads) and self._threads[number].is_alive()
            feed.reader.close(not reading and not classifying)
            feed.stats.corrupt = feed.reader.corrupt
        self.stats.corrupt = sum(feed.stats.corrupt for feed in self.feeds)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the wall time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stats.add(stage, time.perf_counter() - start)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            self.stop(error)

    def _read(self, feed: Feed) -> None:
        feed.reader.run(partial(self._accept, feed), self.timed)
        with self._lock:
            self._reading -= 1
            if not self._reading:
                self._inbox.end()

    def _accept(self, feed: Feed, item: Item | Changed | Lost) -> None:
        """Take what a reader captured. Raises Closed when all is over."""
        if isinstance(item, Frame):
            self.stats.read += 1
            feed.stats.captured += 1
            self._accept_frame(feed, item)
        elif self._policy.wait_for_result:
            self._put(feed, item)
        elif isinstance(item, AudioPacket | CodedPacket):
            self._accept_packet(feed, item)
        else:
            self._out.offer((feed, item), beyond=True)

    def _accept_packet(self, feed: Feed, item: AudioPacket | CodedPacket) -> None:
        coded = isinstance(item, CodedPacket)
        useless = coded and feed.coded_broken and not item.packet.is_keyframe
        taken = not useless and self._out.offer((feed, item))
        if coded:
            feed.coded_broken = not taken
        if not taken:
            feed.stats.dropped[CODED_TOO_SLOW if coded else SOUND_TOO_SLOW] += 1

    def _accept_frame(self, feed: Feed, frame: Frame) -> None:
        ticket = Ticket(feed, frame)
        live = not self._policy.wait_for_result
        if live and feed.waiting >= LIVE_WAITING:
            feed.stats.dropped[TOO_SLOW] += 1
            return
        if frame.index % self._policy.every == 0:
            self._inbox.put(ticket)
        else:
            ticket.settled = True
        if live:
            with self._lock:
                feed.waiting += 1
            self._out.offer((feed, ticket), beyond=True)
        else:
            self._put(feed, ticket)

    def _put(self, feed: Feed, item: Travelling) -> None:
        if self._out.offer((feed, item)):
            return
        self._inbox.reader_waits(True)
        self._out.put((feed, item))
        self._inbox.reader_waits(False)

    def _classify(self) -> None:
        # Live, an answer never waits until the next batch is prepared.
        overlaps = self._batcher.overlaps and self._policy.wait_for_result
        under_way: Work | None = None
        while True:
            tickets = self._inbox.take(wait=under_way is None)
            if not tickets and under_way is None:
                break
            begun = self._batcher.begin(tickets, self.timed) if tickets else None
            for work in (under_way, None if overlaps else begun):
                if work is not None:
                    self._finish(work)
            under_way = begun if overlaps else None
        self._out.close()

    def _finish(self, work: Work) -> None:
        results = self._batcher.finish(work, self.timed, self.stats)
        self._network_s = time.monotonic() - work.start_s
        self._inbox.settle(work.tickets)
        if self._policy.wait_for_result:
            return
        for feed, result in results:
            feed.stats.classified += 1
            self._out.offer((feed, Classified(result)), beyond=True)

    def _result(self, feed: Feed, ticket: Ticket[Feed]) -> Result | None:
        """What a frame is drawn with; None when all is over."""
        frame = ticket.frame
        if self._policy.wait_for_result:
            # In steps: a signal that closes all just before the wait would wake nobody.
            while not ticket.settled and not self._inbox.wait(ticket, STEP_S):
                if self._inbox.closed:
                    return None
            latest = feed.shown
        else:
            with self._lock:
                feed.waiting -= 1
            quick = self._network_s <= LIVE_HOLD_S and not len(self._out)
            if not ticket.settled and not self._inbox.wait(ticket, LIVE_HOLD_S if quick else 0.0):
                # The network still reads these pixels: what is drawn must not reach it.
                frame = replace(frame, picture=yuv.copy(frame.picture))
            latest = feed.latest
        size = frame.picture.width, frame.picture.height
        if latest is not None and latest.size != size:
            latest = None  # the source came back in another size: its map lies elsewhere
        feed.shown = answer = ticket.answer or latest
        latency_s = time.monotonic() - frame.captured_s
        if answer is None:
            whole = Rect(0, 0, frame.picture.width, frame.picture.height)
            return Result(frame, Prediction((), (), whole), latency_s)
        if answer is ticket.answer:
            return Result(frame, answer.prediction, latency_s, 0.0, answer.window)
        carried = replace(answer.prediction, cam_fresh=False)
        window = answer.window and replace(answer.window, cam_fresh=False)
        age_s = max(0.0, frame.time_s - answer.time_s)
        if self._policy.wait_for_result:
            age_s = 0.0  # `--stride` asks for predictions that are carried in full
        return Result(frame, carried, latency_s, age_s, window)


def _size(entry: Entry) -> int:
    item = entry[1]
    return item.frame.size_bytes if isinstance(item, Ticket) else item.size_bytes
