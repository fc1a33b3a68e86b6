"""What a run of `vidcam file` costs on this machine, in parts and as a whole.

The limit is the CPU time of what cannot be left out, over the cores: it is measured by the CPU
time of the process, in which all threads of decoder, network and encoder count and other programs
do not. Rounds alternate the whole and its parts, so that both see the same machine.
"""

import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import av

from vidcam.bench.stages import STAGES, Clock, Cost, stage_costs
from vidcam.machine import cores
from vidcam.options import BenchOptions, EncodeOptions
from vidcam.sinks.encoder import encoder
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source

if TYPE_CHECKING:
    from vidcam.pipeline import Pipeline
    from vidcam.session import Session

# What cannot be left out.
LIMITING = ("decode", "network", "encode")


@dataclass(frozen=True, slots=True)
class Round:
    """One repeat: the run end to end, start-up apart, and every stage alone.

    `others` is the share of the cores' time that other programs took during the run, None where
    the system does not tell.
    """

    run: Cost
    stages: dict[str, Cost]
    others: float | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured: `frames` written in each of the `rounds`, on so many `cores`.

    `peak_memory_bytes` is the most that the process has held by the end of its first run.
    """

    frames: int
    cores: int
    device: str
    peak_memory_bytes: int
    rounds: tuple[Round, ...]

    def stage(self, name: str) -> Cost:
        """Medians of one of STAGES."""
        return _median([one.stages[name] for one in self.rounds])

    @property
    def run(self) -> Cost:
        """Medians of the run end to end."""
        return _median([one.run for one in self.rounds])

    @property
    def stages_cpu_ms(self) -> float:
        """CPU time of all stages, per frame."""
        return sum(self.stage(name).cpu_ms for name in STAGES)

    @property
    def cpu_limit_ms(self) -> float:
        """Time per frame if decoding, network and encoding filled the cores and were all."""
        return sum(self.stage(name).cpu_ms for name in LIMITING) / self.cores

    @property
    def limit_ms(self) -> float:
        """The least time per frame: that of the cores, or of the device where it takes longer."""
        if self.device == "cpu":
            return self.cpu_limit_ms
        return max(self.cpu_limit_ms, self.stage("network").wall_ms)

    @property
    def efficiency(self) -> float:
        """The least time over the time that the run took."""
        return self.limit_ms / self.run.wall_ms

    @property
    def busy(self) -> float:
        """The share of the cores' time that the run used."""
        return self.run.cpu_ms / (self.run.wall_ms * self.cores)

    @property
    def others(self) -> float | None:
        """The share of the cores' time that other programs took, None where it is not known."""
        known = [one.others for one in self.rounds if one.others is not None]
        return median(known) if known else None

    def share(self, name: str) -> float:
        """The share of a stage in the CPU time of all stages."""
        return self.stage(name).cpu_ms / self.stages_cpu_ms


def measure(
    session: "Session",
    clip: str,
    options: BenchOptions,
    folder: Path,
    *,
    began: Callable[[str], None] = lambda _step: None,
    started: "Callable[[Pipeline], None] | None" = None,
) -> Measurement:
    """Explain a clip as a whole and stage by stage, `options.repeats` times.

    `options` are those of the session. Outputs are written to `folder`. `began` is told each step,
    and may raise to end all; `started` gets each pipeline that runs. Raises UsageError,
    SourceError, SourceLost or OutputError.
    """
    repeats, suffix = options.repeats, suffix_for(options)
    rounds: list[Round] = []
    frames = peak_bytes = 0
    for number in range(1, repeats + 1):
        began(f"round {number} of {repeats}: the whole")
        sink = VideoFileSink(folder / f"whole{suffix}", options, overwrite=True)
        clock, used_s = Clock(), cores_used_s()
        with clock.running():
            try:
                source = open_source(clip, options, options.audio)
            except BaseException as error:
                sink.close(error)
                raise
            frames = session.run(source, [sink], started=started).written
        used_s = cores_used_s() - used_s
        began(f"round {number} of {repeats}: each stage alone")
        peak_bytes = peak_bytes or peak_memory_bytes()
        stages = stage_costs(session, clip, options, folder / f"stages{suffix}")
        others = max(0.0, used_s - clock.cpu_s) / (clock.wall_s * cores())
        rounds.append(Round(clock.cost(frames), stages, others if used_s else None))
    return Measurement(frames, cores(), session.backend.device, peak_bytes, tuple(rounds))


def suffix_for(options: EncodeOptions) -> str:
    """The ending of a container that holds what the encoder makes. Raises UnknownName."""
    name = encoder(options.encoder).canonical_name
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        return ".mp4" if name in container.supported_codecs else ".mkv"


def cores_used_s() -> float:
    """Time for which anything has used the cores of this process; 0 where it is not known."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    names = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    rows = [line.split() for line in path.read_text().splitlines()]
    # user, nice, system, (idle, iowait,) irq, softirq, and what the host took.
    ticks = sum(sum(map(int, row[1:4] + row[6:9])) for row in rows if row[0] in names)
    return ticks / os.sysconf("SC_CLK_TCK")


def peak_memory_bytes() -> int:
    """The most memory that this process has held so far."""
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(median(c.cpu_ms for c in costs), median(c.wall_ms for c in costs))
