"""The one flow: source → frames → batches → classifier → results → compositor → sinks.

A reader thread decodes, a classify thread runs the network, the caller's thread draws, encodes and
is where errors and signals land. Channels between them are bounded and block; nothing is dropped.
An error in any thread closes its channel with that error; the caller then closes the sinks, joins
the threads for a bounded time and raises the error with its own traceback.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from vidcam.channel import Channel, Closed
from vidcam.classifier import Classifier
from vidcam.compositor import Compositor
from vidcam.options import FileOptions
from vidcam.prepare import Geometry, Preparer, map_on_picture
from vidcam.sinks import Sink
from vidcam.sources import Item, Source
from vidcam.timeline import Timeline
from vidcam.types import AudioPacket, Batch, Frame, Prediction, Result, RunStats

AUTO_BATCH = 8
# Decoded frames that wait, before and behind the network: enough to keep every core busy.
CHANNEL_ITEMS = 64
CHANNEL_BYTES = 64_000_000
BATCH_BYTES = 64_000_000
JOIN_S = 2.0


class Pipeline:
    """One source through one classifier, in order, every frame."""

    def __init__(
        self, source: Source, classifier: Classifier, geometry: Geometry, options: FileOptions
    ) -> None:
        self.stats = RunStats()
        self._source = source
        self._classifier = classifier
        self._options = options
        self._preparer = Preparer(geometry)
        self._timeline = Timeline(classifier, options)
        self._batch = options.batch or AUTO_BATCH
        self._pixels = np.empty((self._batch, geometry.size, geometry.size, 3), np.uint8)
        self._last: Prediction | None = None
        self._threads: list[threading.Thread] = []
        self._read: Channel[Item] = Channel(CHANNEL_ITEMS, CHANNEL_BYTES, _size)
        self._done: Channel[Result | AudioPacket] = Channel(CHANNEL_ITEMS, CHANNEL_BYTES, _size)

    def __iter__(self) -> Iterator[Result | AudioPacket]:
        """Results and sound in order. Raises what any thread raised."""
        self._threads = [
            threading.Thread(target=self._run, args=(work, channel), daemon=True, name=name)
            for work, channel, name in (
                (self._read_source, self._read, "vidcam-read"),
                (self._classify, self._done, "vidcam-classify"),
            )
        ]
        for thread in self._threads:
            thread.start()
        try:
            yield from self._done
        finally:
            self.stop()

    def stop(self, error: BaseException | None = None) -> None:
        """End at once, with `error` for the reader; may be called from a signal handler."""
        self._done.close(error)
        self._read.close()

    def close(self) -> None:
        """Stop, wait for the threads for a bounded time, and let go of the source.

        A reader that hangs inside FFmpeg is a daemon, and its source stays open: closing it under
        the reader would crash the process.
        """
        self.stop()
        for thread in self._threads:
            thread.join(JOIN_S)
        self.stats.corrupt = self._source.corrupt
        if not any(thread.is_alive() for thread in self._threads):
            self._source.close()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the wall time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stats.add(stage, time.perf_counter() - start)

    def _run(self, work: Callable[[], None], channel: Channel[Item]) -> None:
        try:
            work()
        except Closed:
            channel.close()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            channel.close(error)
        else:
            channel.close()

    def _read_source(self) -> None:
        items = iter(self._source)
        while True:
            with self.timed("decode"):
                item = next(items, None)
            if item is None:
                return
            if isinstance(item, Frame):
                self.stats.read += 1
            self._read.put(item)

    def _classify(self) -> None:
        try:
            pending: list[Item] = []
            chosen = size = 0
            for item in self._read:
                pending.append(item)
                size += item.size_bytes
                if isinstance(item, Frame):
                    chosen += item.index % self._options.stride == 0
                if chosen == self._batch or size > BATCH_BYTES:
                    self._flush(pending)
                    pending, chosen, size = [], 0, 0
            self._flush(pending)
        finally:
            self._read.close()

    def _flush(self, pending: list[Item]) -> None:
        stride = self._options.stride
        frames = [i for i in pending if isinstance(i, Frame) and i.index % stride == 0]
        predictions = self._predictions(frames) if frames else {}
        for item in pending:
            if isinstance(item, AudioPacket):
                self._done.put(item)
                continue
            prediction = predictions.get(item.index)
            if prediction is None:
                assert self._last is not None  # frame 0 is always classified
                prediction = replace(self._last, cam_fresh=False)
            self._last = prediction
            self._done.put(Result(item, prediction, time.monotonic() - item.captured_s))

    def _predictions(self, frames: list[Frame]) -> dict[int, Prediction]:
        with self.timed("prepare"):
            pixels = self._pixels[: len(frames)]
            crops = [self._preparer(f.picture, row) for f, row in zip(frames, pixels, strict=True)]
            batch = Batch(tuple(frames), pixels)
        every = self._options.cam_every
        first = self.stats.classified
        due = [(first + n) % every == 0 for n in range(len(frames))]
        with self.timed("network"):
            seen = self._classifier(batch.pixels, explain=any(due))
        self.stats.classified += len(frames)
        predictions: dict[int, Prediction] = {}
        for n, frame in enumerate(frames):
            one = seen[n] if due[n] else replace(seen[n], map=None, cam_class=None)
            if one.map is not None:
                self.stats.explained += 1
                grid = map_on_picture(self._preparer.geometry, crops[n], one.map)
                one = replace(one, map=grid)
            predictions[frame.index] = self._timeline(one, pixels[n], frame.time_s, crops[n])
        return predictions


def drive(pipeline: Pipeline, source: Source, sinks: Sequence[Sink], options: FileOptions,
          progress: Callable[[RunStats], None] | None = None) -> RunStats:  # fmt: skip
    """Compose every result of a pipeline and hand it to the sinks, which are always closed.

    Raises what any part raised, after the sinks have been closed with it.
    """
    start = time.perf_counter()
    stats = pipeline.stats
    failure: BaseException | None = None
    try:
        compositor = Compositor(options)
        width, height = compositor.size(source.info.width, source.info.height)
        for sink in sinks:
            sink.open(replace(source.info, width=width, height=height))
        for item in pipeline:
            if isinstance(item, AudioPacket):
                for sink in sinks:
                    sink.audio(item)
                continue
            with pipeline.timed("draw"):
                picture = compositor(item)
            with pipeline.timed("encode"):
                for sink in sinks:
                    sink.frame(picture, item)
            stats.written += 1
            if progress:
                progress(stats)
    except BaseException as error:
        failure = error
        raise
    finally:
        pipeline.stop()
        try:
            with pipeline.timed("finish"):
                _close(sinks, failure)
        finally:
            pipeline.close()
            stats.wall_s = time.perf_counter() - start
    return stats


def _close(sinks: Sequence[Sink], failure: BaseException | None) -> None:
    """Close every sink, whatever another's close raises; the first failure is raised."""
    raised: BaseException | None = None
    for sink in sinks:
        try:
            sink.close(failure or raised)
        except BaseException as error:  # noqa: BLE001 - raised below, when all are closed
            raised = raised or error
    if raised is not None and failure is None:
        raise raised


def _size(item: Item | Result) -> int:
    return item.frame.size_bytes if isinstance(item, Result) else item.size_bytes
