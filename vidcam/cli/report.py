"""Progress and the closing table, on stderr."""

import sys
import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from vidcam.stats import SourceStats
from vidcam.types import RunStats, StreamInfo

LINE_EVERY_S = 5.0
STAGES = ("decode", "prepare", "network", "draw", "encode", "finish")


class ProgressReport:
    """Frames, rate and time left: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, info: StreamInfo, quiet: bool) -> None:
        self._info = info
        self._quiet = quiet
        self._start_s = self._line_s = time.monotonic()
        self._bar: Progress | None = None
        if not quiet and sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[fps]:.0f} fps"), TimeRemainingColumn(),
            )  # fmt: skip
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(info.name, total=info.frames, fps=0.0)

    def __enter__(self) -> "ProgressReport":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, stats: RunStats) -> None:
        """Say where the run is."""
        now_s = time.monotonic()
        fps = stats.written / max(1e-9, now_s - self._start_s)
        if self._bar:
            self._bar.update(self._task, completed=stats.written, fps=fps)
        elif not self._quiet and now_s - self._line_s >= LINE_EVERY_S:
            self._line_s = now_s
            total = self._info.frames
            left = f" of {total}" if total else ""
            rest = f", {max(0, total - stats.written) / fps:.0f} s left" if total else ""
            click.echo(
                f"vidcam: {self._info.name}: {stats.written}{left} frames, {fps:.0f} fps{rest}",
                err=True,
            )


def closing_table(name: str, stats: RunStats) -> None:
    """Print what was done and what each stage cost."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 100)
    table = Table(title=Text(name), title_justify="left", box=None, pad_edge=False)
    for column in ("read", "corrupt", "classified", "explained", "written", "seconds", "fps"):
        table.add_column(column, justify="right")
    counts = (stats.read, stats.corrupt, stats.classified, stats.explained, stats.written)
    table.add_row(*map(str, counts), f"{stats.wall_s:.1f}", f"{stats.fps:.1f}")
    console.print(table)
    stages = Table(box=None, pad_edge=False)
    stages.add_column("ms/frame", justify="right")
    for stage in STAGES:
        stages.add_column(stage, justify="right")
    per_frame_ms = 1000 / max(1, stats.written)
    stages.add_row("", *(f"{stats.stages_s.get(s, 0.0) * per_frame_ms:.2f}" for s in STAGES))
    console.print(stages)


def live_table(sources: Sequence[SourceStats], stats: RunStats) -> None:
    """Print what each source gave, how late its pictures were, and what was dropped and why."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    table = Table(box=None, pad_edge=False)
    table.add_column("source", overflow="fold")
    for column in ("captured", "drawn", "classified", "dropped", "corrupt", "connections"):
        table.add_column(column, justify="right")
    table.add_column("latency p50/p95/max", justify="right")
    for source in sources:
        counts = (source.captured, source.written, source.classified,
                  source.dropped.total(), source.corrupt, source.connections)  # fmt: skip
        latency = source.latency
        late = (latency.percentile_s(50), latency.percentile_s(95), latency.max_s)
        milliseconds = "/".join(f"{1000 * seconds:.0f}" for seconds in late)
        table.add_row(Text(source.name), *map(str, counts), f"{milliseconds} ms")
    console.print(table)
    for source in sources:
        for cause, count in source.dropped.most_common():
            console.print(Text(f"{source.name}: {count} dropped: {cause}"), soft_wrap=True)
        for cause, count in source.undelivered.most_common():
            console.print(Text(f"{source.name}: {count} not delivered: {cause}"), soft_wrap=True)
    console.print(Text(f"{stats.written} pictures in {stats.wall_s:.1f} s"))
