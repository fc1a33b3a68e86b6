"""Each stage of `vidcam file` alone, on the same frames, by the clock of the whole process."""

import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from vidcam.classifier import Seen
from vidcam.compositor import Compositor
from vidcam.errors import VidcamError
from vidcam.feed import Feed, WholeReader
from vidcam.options import FileOptions
from vidcam.sinks.check import Tally, check_file
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source
from vidcam.stats import SourceStats
from vidcam.types import Frame, Pixels, Prediction, Rect, Result, StreamInfo

if TYPE_CHECKING:
    from vidcam.session import Session

STAGES = ("decode", "prepare", "network", "cam", "draw", "encode", "check")
# Decoded frames and their model pixels that are held in memory at a time.
HELD_BYTES = 300_000_000
FEWEST_HELD = 8
# The network runs so many batches without the map, then with it, and so on.
IN_TURN = 4

Drawn = tuple[av.VideoFrame, Result]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of all threads, and wall time, in milliseconds per frame written."""

    cpu_ms: float
    wall_ms: float


@dataclass(slots=True)
class Clock:
    """Counts the CPU time of this process, and the wall time, of blocks.

    A `device` other than the CPU is waited for at both ends of a block.
    """

    device: str = "cpu"
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count a block."""
        self._wait()
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        yield
        self._wait()
        self.cpu_s += time.process_time() - cpu_s
        self.wall_s += time.perf_counter() - wall_s

    def cost(self, frames: float) -> Cost:
        """What was counted, over so many frames."""
        return Cost(1000 * self.cpu_s / frames, 1000 * self.wall_s / frames)

    def beyond(self, other: "Clock") -> "Clock":
        """What was counted beyond what another counted, never below 0."""
        cpu_s, wall_s = self.cpu_s - other.cpu_s, self.wall_s - other.wall_s
        return Clock(self.device, max(0.0, cpu_s), max(0.0, wall_s))

    def _wait(self) -> None:
        if self.device == "cpu":
            return
        import torch

        if self.device == "mps":
            torch.mps.synchronize()
        else:
            torch.cuda.synchronize(self.device)


@dataclass
class Held:
    """Frames that are decoded, and what the stages before have made of them.

    Every `stride`th is classified; `pixels` (N, S, S, 3) uint8 has a row for each of these, and is
    filled up to whole batches. `crops` are the rectangles that the network sees.
    """

    info: StreamInfo
    frames: list[Frame]
    feed: Feed
    classified: list[Frame]
    pixels: Pixels
    crops: list[Rect]


def stage_costs(
    session: "Session", clip: str, options: FileOptions, target: Path
) -> dict[str, Cost]:
    """The cost of each of STAGES for the session and its options; writes `target`.

    Decoding reads all of the clip. The other stages take its first frames, as many as HELD_BYTES
    hold. Raises what the source and the file raise.
    """
    costs = {"decode": decode(clip, options)}
    held = hold(session, clip, options)
    costs["prepare"] = prepare(held)
    seen, costs["network"], costs["cam"] = network(session, options, held)
    drawn, costs["draw"] = draw(options, held, seen)
    costs["encode"], costs["check"] = encode(options, held.info, drawn, target)
    return {name: costs[name] for name in STAGES}


def decode(clip: str, options: FileOptions) -> Cost:
    """Read a clip to its end, its sound packets too when they would be written."""
    clock = Clock()
    with clock.running():
        source = open_source(clip, options, options.audio)
        try:
            frames = sum(isinstance(item, Frame) for item in source)
        finally:
            source.close()
    return clock.cost(frames)


def hold(session: "Session", clip: str, options: FileOptions) -> Held:
    """Decode the frames that the other stages work on."""
    batch, size = session.policy.batch, session.classifier.size
    frames: list[Frame] = []
    source = open_source(clip, options, audio=False)
    try:
        info = source.info
        # The composed picture is another one of twice the size when it lies beside the original.
        pictures = 3 if options.layout == "side-by-side" else 1
        frame_bytes = pictures * info.width * info.height * 3 // 2 + 3 * size**2
        most = max(FEWEST_HELD, HELD_BYTES // frame_bytes)
        for item in source:
            if isinstance(item, Frame):
                frames.append(item)
            if len(frames) == most:
                break
    finally:
        source.close()
    feed = Feed(
        WholeReader(source), SourceStats(info.name), session.geometry, session.classifier, options
    )
    classified = frames[:: options.stride]
    rows = -(-len(classified) // batch) * batch
    pixels = np.full((rows, size, size, 3), 128, np.uint8)
    return Held(info, frames, feed, classified, pixels, [])


def prepare(held: Held) -> Cost:
    """From decoded frames to model pixels."""
    clock = Clock()
    with clock.running():
        held.crops = [
            held.feed.prepare(frame, row)
            for frame, row in zip(held.classified, held.pixels, strict=False)
        ]
    # What is missing in the last batch is repeated, so that only whole batches are measured.
    count = len(held.classified)
    held.pixels[count:] = held.pixels[np.arange(len(held.pixels) - count) % count]
    return clock.cost(len(held.frames))


def network(session: "Session", options: FileOptions, held: Held) -> tuple[list[Seen], Cost, Cost]:
    """Classify without the map and with it, a few batches of each in turn; the map is the rest."""
    size, device = session.policy.batch, session.backend.device
    batches = [held.pixels[start : start + size] for start in range(0, len(held.pixels), size)]
    clocks = {False: Clock(device), True: Clock(device)}
    seen: list[Seen] = []
    for explain in clocks:  # what a first call sets up is no cost of a frame
        session.classifier(batches[0], explain)
    for number, start in enumerate(range(0, len(batches), IN_TURN)):
        for explain in (True, False) if number % 2 else (False, True):
            with clocks[explain].running():
                found = classify(session, batches[start : start + IN_TURN], explain)
            if explain:
                seen += found
    frames = len(held.pixels) * len(held.frames) / len(held.classified)
    plain, explained = clocks[False], clocks[True]
    if not session.classifier.explains:
        return seen, plain.cost(frames), Cost(0.0, 0.0)
    # A batch is explained as a whole when one of its frames is due.
    firsts = range(0, len(held.pixels), size)
    due = sum(any(n % options.cam_every == 0 for n in range(f, f + size)) for f in firsts)
    return seen, plain.cost(frames), explained.beyond(plain).cost(frames * len(batches) / due)


def classify(session: "Session", batches: list[Pixels], explain: bool) -> list[Seen]:
    """What the network sees, the next batch under way while one is waited for where it can be."""
    ahead = 2 if session.backend.overlaps else 1
    pending: list[Callable[[], list[Seen]]] = []
    seen: list[Seen] = []
    for pixels in batches:
        pending.append(session.classifier.start(pixels, explain))
        if len(pending) == ahead:
            seen += pending.pop(0)()
    for wait in pending:
        seen += wait()
    return seen


def draw(options: FileOptions, held: Held, seen: list[Seen]) -> tuple[list[Drawn], Cost]:
    """Smooth scores and maps over time, and draw them; the held frames are used up."""
    clock, compose = Clock(), Compositor(options)
    drawn: list[Drawn] = []
    prediction: Prediction | None = None
    with clock.running():
        for number, frame in enumerate(held.frames):
            at, between = divmod(number, options.stride)
            if prediction is None or not between:
                one = seen[at] if at % options.cam_every == 0 else seen[at].without_map()
                answer = held.feed.answer(frame, one, held.pixels[at], held.crops[at])
                prediction = answer.prediction
            else:
                prediction = replace(prediction, cam_fresh=False)
            result = Result(frame, prediction, 0.0)
            drawn.append((compose(result), result))
    return drawn, clock.cost(len(held.frames))


def encode(
    options: FileOptions, info: StreamInfo, drawn: list[Drawn], target: Path
) -> tuple[Cost, Cost]:
    """Encode drawn pictures into a file and close it; check the file once more, alone."""
    whole, check = Clock(), Clock()
    tally = Tally(array("d"), float(1 / info.rate))
    width, height = drawn[0][0].width, drawn[0][0].height
    sink = VideoFileSink(target, options, overwrite=True)
    try:
        with whole.running():
            sink.open(replace(info, width=width, height=height, audio=None))
            for picture, result in drawn:
                sink.frame(picture, result)
        tally.times_s.extend(result.frame.time_s for _, result in drawn)
    except BaseException:
        sink.close(VidcamError("the measuring was ended"))
        raise
    with whole.running():
        sink.close()
    with check.running():
        check_file(target, tally)
    return whole.beyond(check).cost(len(drawn)), check.cost(len(drawn))
