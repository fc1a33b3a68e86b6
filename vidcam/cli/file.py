"""`vidcam file`: videos in, explained videos out."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.errors import Interrupted, UsageError, VidcamError
from vidcam.options import FileOptions

if TYPE_CHECKING:
    from vidcam.cli.signals import Interrupts
    from vidcam.session import Session
    from vidcam.sinks.records import Written
    from vidcam.sources import Source

log = logging.getLogger("vidcam")


@click.command("file")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", metavar="PATH",
              help="Video file; with several inputs a folder, or a name with {stem}.")  # fmt: skip
@click.option("-y", "overwrite", is_flag=True, help="Replace existing outputs.")
@click.option("--jsonl", metavar="FILE|-", help="One JSON record per frame.")
@click.option("--csv", metavar="FILE|-", help="One CSV row per frame and rank.")
@options_of(FileOptions)
@verbosity
def command(inputs: tuple[str, ...], output: str | None, overwrite: bool, jsonl: str | None,
            csv: str | None, quiet: bool, **given: Any) -> int:  # fmt: skip
    """Explain videos: files, folders, quoted globs, http(s) URLs, or lavfi:GRAPH.

    \b
    vidcam file clip.mp4 -o out.mp4
    vidcam file clip.mp4 -o out.mp4 --lang ja,en --cam layercam
    vidcam file 'videos/*.mp4' -o explained/
    vidcam file clip.mp4 --jsonl - | head
    """
    options = FileOptions(**given)
    if output is None and jsonl is None and csv is None:
        raise UsageError("nothing to write: give -o OUT.mp4, --jsonl FILE or --csv FILE")
    from vidcam.sources.inputs import expand

    uris = expand(inputs)
    targets = plan(uris, inputs, output, overwrite)
    check_distinct(uris, targets, {"--jsonl": jsonl, "--csv": csv})
    return _run(list(zip(uris, targets, strict=True)), options, overwrite, jsonl, csv, quiet)


def plan(
    uris: Sequence[str], inputs: Sequence[str], output: str | None, overwrite: bool
) -> list[Path | None]:
    """The output of each input. Raises UsageError when two are the same, or one is in the way."""
    if output is None:
        return [None] * len(uris)
    from vidcam.sinks.partial import check_target, partial_path
    from vidcam.sources.inputs import stem_of

    several = len(uris) > 1 or Path(inputs[0]).is_dir()
    is_folder = Path(output).is_dir() or output.endswith("/")
    if several and not is_folder and "{stem}" not in output:
        raise UsageError(
            f"-o {output}: several inputs need a folder that exists, or a name with {{stem}}"
        )
    sources = {Path(uri).resolve() for uri in uris}
    targets: list[Path | None] = []
    for uri in uris:
        name = output.replace("{stem}", stem_of(uri))
        target = Path(name) / f"{stem_of(uri)}.mp4" if is_folder else Path(name)
        if sources & {target.resolve(), partial_path(target).resolve()}:
            raise UsageError(f"-o {target} would overwrite an input; write to another name")
        if target in targets:
            raise UsageError(f"-o {output}: two inputs would be written to {target}")
        check_target(target, overwrite)
        targets.append(target)
    return targets


def check_distinct(
    uris: Sequence[str], targets: Sequence[Path | None], records: dict[str, str | None]
) -> None:
    """Raise UsageError when a record file is an input or another output."""
    from vidcam.sinks.partial import partial_path

    taken = {Path(uri).resolve() for uri in uris}
    taken |= {target.resolve() for target in targets if target}
    for flag, name in records.items():
        if name is None:
            continue
        path = Path(name).resolve()
        if path in taken or partial_path(path) in taken:
            raise UsageError(f"{flag} {name}: an input or another output has that name")
        taken.add(path)


def _run(
    jobs: list[tuple[str, Path | None]],
    options: FileOptions,
    overwrite: bool,
    jsonl: str | None,
    csv: str | None,
    quiet: bool,
) -> int:
    from vidcam.cli.signals import Interrupts
    from vidcam.sinks.records import csv_rows, json_lines, record_file

    failed = 0
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        writers: list[Written] = []
        if jsonl:
            writers.append(stack.enter_context(record_file(jsonl, json_lines, overwrite)))
        if csv:
            encoding = "utf-8-sig"  # so that spreadsheets show Chinese
            writers.append(stack.enter_context(record_file(csv, csv_rows, overwrite, encoding)))
        job = Job(options, overwrite, quiet, writers, interrupts)
        for uri, target in jobs:
            try:
                job.explain(uri, target)
            except VidcamError as error:
                # What is wrong before the model is loaded is wrong for every input.
                is_for_all = isinstance(error, UsageError) and job.session is None
                if len(jobs) == 1 or is_for_all or isinstance(error, Interrupted):
                    raise
                failed += 1
                log.error("%s", error)
            if interrupts.asked and len(jobs) > 1:
                raise Interrupted("interrupted")
    if failed:
        log.error("%d of %d inputs failed", failed, len(jobs))
    return 1 if failed else 0


@dataclass
class Job:
    """One call of the command: what every input has in common, the model loaded once."""

    options: FileOptions
    overwrite: bool
    quiet: bool
    writers: "Sequence[Written]"
    interrupts: "Interrupts"
    session: "Session | None" = None

    def explain(self, uri: str, target: Path | None) -> None:
        """Explain one input. Raises VidcamError."""
        from vidcam.cli.report import ProgressReport, closing_table
        from vidcam.sinks import Sink
        from vidcam.sinks.file import VideoFileSink
        from vidcam.sinks.records import RecordSink
        from vidcam.sources import open_source

        source: Source = open_source(uri, self.options, self.options.audio and target is not None)
        sinks: list[Sink] = [RecordSink(write) for write in self.writers]
        try:
            if target is not None:
                sinks.append(VideoFileSink(target, self.options, self.overwrite))
            if self.session is None:
                self.session = _load(self.options)
        except BaseException as error:
            for sink in sinks:
                sink.close(error)
            source.close()
            raise
        name = source.info.name
        try:
            with ProgressReport(source.info, self.quiet) as progress:
                stats = self.session.run(source, sinks, progress, self.interrupts.watch)
        finally:
            self.interrupts.pipeline = None
        if stats.corrupt:
            log.warning("%s: %d corrupt packets or frames passed over", name, stats.corrupt)
        if not self.quiet:
            closing_table(f"{name} → {target}" if target else name, stats)


def _load(options: FileOptions) -> "Session":
    from vidcam.session import session_of

    session = session_of(options)
    log.info("%s", session.summary)
    return session
