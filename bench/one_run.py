"""One run of `vidcam file`, start-up apart: `python bench/one_run.py CLIP OUT [--set NAME=VALUE]`.

Prints one JSON line: frames, wall and CPU seconds from opening the clip until the output has been
checked, wall seconds by stage, and the memory: with the model loaded, at 10, 50 and 100 % of the
frames, and the most that the run has held.
"""

import json
import time

import click
from engines import session_with
from report import LeftOut, forget_peak, memory_mb, settings_of

from vidcam.errors import VidcamError
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source
from vidcam.types import RunStats

SHARES = (10, 50, 100)


class Watch:
    """Takes the memory when so many of the frames have been written."""

    def __init__(self, frames: int) -> None:
        self._due = {max(1, frames * share // 100): f"at_{share}" for share in SHARES}
        self.memory: dict[str, float] = {}

    def __call__(self, stats: RunStats) -> None:
        """As the pipeline's progress."""
        if name := self._due.get(stats.written):
            self.memory[name] = memory_mb()


@click.command()
@click.argument("clip")
@click.argument("target")
@click.option("--set", "pairs", multiple=True, help="name=value of FileOptions.")
def main(clip: str, target: str, pairs: tuple[str, ...]) -> None:
    """Print the JSON line."""
    try:
        session = session_with(settings_of(pairs))
        options = session.options
        loaded_mb = memory_mb()
        forget_peak()
        start_s, cpu_s = time.perf_counter(), time.process_time()
        source = open_source(clip, options, options.audio)
        watch = Watch(options.max_frames or source.info.frames or 0)
        sink = VideoFileSink(target, options, overwrite=True)
        stats = session.run(source, [sink], watch)
    except (LeftOut, VidcamError) as error:
        raise click.ClickException(str(error)) from None
    report = {
        "frames": stats.written,
        "seconds": time.perf_counter() - start_s,
        "cpu_s": time.process_time() - cpu_s,
        "stages_s": stats.stages_s,
        "memory_mb": {"loaded": loaded_mb, **watch.memory, "peak": memory_mb("VmHWM")},
        "runs": session.summary,
    }
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
