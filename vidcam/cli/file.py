"""`vidcam file`: videos in, explained videos out."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
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
    from vidcam.sinks.partial import check_target
    from vidcam.sources.inputs import stem_of

    several = len(uris) > 1 or Path(inputs[0]).is_dir()
    is_folder = Path(output).is_dir() or output.endswith("/")
    if several and not is_folder and "{stem}" not in output:
        raise UsageError(
            f"-o {output}: several inputs need a folder that exists, or a name with {{stem}}"
        )
    targets = []
    for uri in uris:
        name = output.replace("{stem}", stem_of(uri))
        target = Path(name) / f"{stem_of(uri)}.mp4" if is_folder else Path(name)
        if target.exists() and target.resolve() == Path(uri).resolve():
            raise UsageError(f"-o {target} is the input itself; write to another name")
        if target in targets:
            raise UsageError(f"-o {output}: two inputs would be written to {target}")
        check_target(target, overwrite)
        targets.append(target)
    return list(targets)


def check_distinct(
    uris: Sequence[str], targets: Sequence[Path | None], records: dict[str, str | None]
) -> None:
    """Raise UsageError when a record file is an input or another output."""
    taken = {Path(uri).resolve(): "an input" for uri in uris}
    taken |= {target.resolve(): "-o" for target in targets if target}
    for flag, name in records.items():
        if name is None:
            continue
        path = Path(name).resolve()
        if path in taken:
            raise UsageError(f"{flag} {name}: {taken[path]} has that name; give each its own")
        taken[path] = flag


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
    session: Session | None = None
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        writers: list[Written] = []
        if jsonl:
            writers.append(stack.enter_context(record_file(jsonl, json_lines, overwrite)))
        if csv:
            encoding = "utf-8-sig"  # so that spreadsheets show Chinese
            writers.append(stack.enter_context(record_file(csv, csv_rows, overwrite, encoding)))
        for uri, target in jobs:
            try:
                session = _explain(uri, target, options, overwrite, writers, quiet,
                                   session, interrupts)  # fmt: skip
            except VidcamError as error:
                if len(jobs) == 1 or isinstance(error, Interrupted | UsageError):
                    raise
                failed += 1
                log.error("%s", error)
    if failed:
        log.error("%d of %d inputs failed", failed, len(jobs))
    return 1 if failed else 0


def _explain(
    uri: str,
    target: Path | None,
    options: FileOptions,
    overwrite: bool,
    writers: "Sequence[Written]",
    quiet: bool,
    session: "Session | None",
    interrupts: "Interrupts",
) -> "Session":
    from vidcam.cli.report import ProgressReport, closing_table
    from vidcam.sinks import Sink
    from vidcam.sinks.file import VideoFileSink
    from vidcam.sinks.records import RecordSink
    from vidcam.sources import open_source

    source: Source = open_source(uri, options, options.audio and target is not None)
    sinks: list[Sink] = [RecordSink(write) for write in writers]
    try:
        if target is not None:
            sinks.append(VideoFileSink(target, options, overwrite))
        if session is None:
            session = _load(options)
    except BaseException as error:
        for sink in sinks:
            sink.close(error)
        source.close()
        raise

    def started(pipeline: Any) -> None:
        interrupts.pipeline = pipeline

    try:
        with ProgressReport(source.info, quiet) as progress:
            stats = session.run(source, sinks, progress, started)
    finally:
        interrupts.pipeline = None
    if stats.corrupt:
        log.warning("%s: %d corrupt packets or frames passed over", source.info.name, stats.corrupt)
    if not quiet:
        closing_table(f"{source.info.name} → {target}" if target else source.info.name, stats)
    return session


def _load(options: FileOptions) -> "Session":
    from vidcam.session import Session

    session = Session(options)
    backend = session.backend
    log.info(
        "%s on %s (%s), %s fit, %s",
        session.model.name, backend.device, backend.precision, session.geometry.fit,
        f"{options.cam} of {backend.layer_name}" if backend.layer_name else "no map",
    )  # fmt: skip
    return session
