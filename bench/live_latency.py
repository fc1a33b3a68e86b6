"""How late `vidcam live` shows a camera: `python bench/live_latency.py [--seconds 600]`.

A camera at 30 fps sends pictures that carry the time when they were sent; the network is slowed
to 5 fps; all is recorded. Prints one JSON line: the delay from sending to the sinks as it was read
back from the pictures and as the program counted it from capture, both halves of the run, the rate
of the recording, and the memory at the beginning and at the end. `warm_s` at the start are left
out: a stream that is being opened comes late and at once.
"""

import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import stamps  # noqa: E402

from vidcam.classifier import Classifier  # noqa: E402
from vidcam.live import LiveRun, Placeholder, live_policy  # noqa: E402
from vidcam.options import LiveOptions  # noqa: E402
from vidcam.outputs import Outputs, parse_targets  # noqa: E402
from vidcam.overlays.status import NoSignal  # noqa: E402
from vidcam.session import Session  # noqa: E402
from vidcam.sinks import Sink  # noqa: E402
from vidcam.sources.capture import captures  # noqa: E402
from vidcam.stats import SourceStats  # noqa: E402
from vidcam.types import Result  # noqa: E402
from vidcam.view import View  # noqa: E402

SAMPLE_EVERY_S = 0.5


class Slowed:
    """A backend that takes as long as one that gives `fps`."""

    def __init__(self, backend: Any, fps: float) -> None:
        self._backend, self._least_s = backend, 1 / fps
        self._never = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def start(self, *arguments: Any) -> Any:
        """As `Backend`."""
        start_s = time.monotonic()
        output = self._backend.start(*arguments)()
        self._never.wait(max(0.0, start_s + self._least_s - time.monotonic()))
        return lambda: output


@dataclass
class Watching(Sink):
    """Reads the stamps of what arrives, behind all other sinks; takes samples of the memory."""

    start_s: float = field(default_factory=time.monotonic)
    numbers: list[int] = field(default_factory=list)
    since_s: list[float] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    captured_s: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)

    def frame(self, picture: av.VideoFrame, result: Result) -> None:
        """As `Sink`."""
        number, millis = stamps.read(result.frame.picture)
        self.numbers.append(number)
        self.since_s.append(time.monotonic() - self.start_s)
        self.ages_s.append(stamps.age_s(millis))
        self.captured_s.append(time.monotonic() - result.frame.captured_s)

    def tick(self) -> None:
        """As `Sink`."""
        now_s = time.monotonic() - self.start_s
        if not self.memory or now_s - self.memory[-1][0] >= SAMPLE_EVERY_S:
            self.memory.append((now_s, memory_mb()))


def memory_mb() -> float:
    """What this process holds."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def watch(url: str, folder: Path, seconds: float, fps: float) -> tuple[Watching, SourceStats]:
    """Run live over the camera at `url`, recorded to `folder`/live.mp4."""
    recording = str(folder / "live.mp4")
    options = LiveOptions(camera=(url,), duration=seconds, precision="f32")
    session = Session(options, live_policy(1, options))
    session.classifier = Classifier(session.model, Slowed(session.backend, fps), options, options)
    counts = SourceStats("camera")
    run = LiveRun(session, captures(options), [counts], options)
    outputs = Outputs(parse_targets([recording], 1, options), options, True, View.of(options))
    picture_of = NoSignal(options)
    placeholder = Placeholder(
        lambda width, height, lost: picture_of(
            width, height, lost.source, lost.cause, lost.since_s
        ),
        run.clock,
    )
    station = outputs.station(run.pipeline.feeds[0], 0, placeholder)
    watching = Watching()
    station.groups[1].sinks.append(watching)
    run.run([station], outputs.check)
    return watching, counts


@click.command()
@click.option("--seconds", default=600.0, help="How long it runs.")
@click.option("--fps", default=5.0, help="What the network manages.")
@click.option("--rate", default=30, help="Pictures a second of the camera.")
@click.option("--size", default="640x360", help="Size of its pictures.")
@click.option("--warm", "warm_s", default=3.0, help="Seconds at the start that are left out.")
def main(seconds: float, fps: float, rate: int, size: str, warm_s: float) -> None:
    """Print the JSON line."""
    width, height = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as name, stamps.Pusher((width, height), rate) as camera:
        watching, counts = watch(camera.url, Path(name), seconds, fps)
        with av.open(str(Path(name) / "live.mp4")) as container:
            video = container.streams.video[0]
            times_s = [float(p.pts * p.time_base) for p in container.demux(video) if p.size]
    times = np.sort(np.array(times_s))
    times = times[times >= warm_s]
    since, ages = np.array(watching.since_s), np.array(watching.ages_s)
    # The model is loaded before: the first picture begins the run.
    late = since - since[0] >= warm_s
    half = (since[0] + warm_s + since[-1]) / 2
    memory = [mb for at_s, mb in watching.memory if at_s - since[0] >= warm_s]
    ends = max(1, min(20, len(memory) // 4))
    numbers = np.array(watching.numbers)[late]
    steps = np.diff(numbers) % stamps.MODULO
    report = {
        "what": "live latency, network slowed",
        "seconds": seconds, "network_fps": fps, "camera_fps": rate, "size": size,
        "sent_to_sink_ms": _percentiles(ages[late]),
        "first_half_ms": _percentiles(ages[late & (since < half)]),
        "second_half_ms": _percentiles(ages[late & (since >= half)]),
        "captured_to_sink_ms": _percentiles(np.array(watching.captured_s)[late]),
        "recorded_fps": round((len(times) - 1) / (times[-1] - times[0]), 2),
        "longest_step_ms": round(float(np.diff(times).max()) * 1000, 1),
        "lost_on_the_way": int((steps - 1).sum()), "repeated": int((steps == 0).sum()),
        "captured": counts.captured, "written": counts.written, "classified": counts.classified,
        "dropped": dict(counts.dropped),
        "memory_mb": {"first": round(float(np.median(memory[:ends])), 1),
                      "last": round(float(np.median(memory[-ends:])), 1),
                      "most": round(max(memory), 1)},
    }  # fmt: skip
    click.echo(json.dumps(report))


def _percentiles(seconds: "np.ndarray[Any, Any]") -> dict[str, float]:
    found = {f"p{p}": round(float(np.percentile(seconds, p)) * 1000, 1) for p in (50, 95)}
    return found | {"max": round(float(seconds.max()) * 1000, 1)}


if __name__ == "__main__":
    main()
