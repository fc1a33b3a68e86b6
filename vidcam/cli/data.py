"""`vidcam data`: folders of labelled pictures checked, divided, measured and looked at."""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from vidcam.cli.options import Commands, options_of, verbosity
from vidcam.errors import UsageError
from vidcam.pictures.inputs import readable
from vidcam.training.options import PreviewOptions, SplitOptions

if TYPE_CHECKING:
    from vidcam.training.check import Finding, Report
    from vidcam.training.cores import Progress

log = logging.getLogger("vidcam")

# Of each kind the terminal shows so many; --json has all.
MOST_SHOWN = 5


@click.group("data", cls=Commands)
def command() -> None:
    """Check, divide, measure and preview folders of labelled pictures.

    A folder of class folders (FOLDER/cat/1.jpg), or train/ and val/ or test/ with class folders.
    """


@command.command("check")
@click.argument("folder")
@click.option("--json", "json_file", metavar="FILE|-", help="All findings as JSON.")
@click.option("--fix", is_flag=True,
              help="Move what is bad to a quarantine folder; nothing is deleted.")  # fmt: skip
@click.option("--quarantine", metavar="DIR",
              help="Where --fix moves it. Default: FOLDER-quarantine beside FOLDER.")  # fmt: skip
@click.option("-y", "overwrite", is_flag=True, help="Replace an existing --json file.")
@verbosity
def check_command(folder: str, json_file: str | None, fix: bool, quarantine: str | None,
                  overwrite: bool, quiet: bool) -> int:  # fmt: skip
    """Find what is wrong with a folder of labelled pictures; exit code 1 if something is.

    \b
    vidcam data check pictures
    vidcam data check pictures --json - | jq .findings
    vidcam data check pictures --fix
    """
    if quarantine and not fix:
        raise UsageError("--quarantine says where --fix moves files: add --fix")
    from vidcam.cli.signals import Interrupts
    from vidcam.sinks.partial import check_target
    from vidcam.training.check import check
    from vidcam.training.quarantine import quarantine_of

    if json_file not in (None, "-"):
        check_target(Path(json_file), overwrite)
    with Interrupts():
        target = quarantine_of(folder, quarantine) if fix else None
        report = check(folder, progress(quiet, "reading"))
        if json_file:
            _write_json(report, json_file, overwrite)
        if not quiet:
            click.echo("\n".join(report_lines(report)), err=json_file == "-")
        left = _fixed(report, folder, target) if target else list(report.findings)
    return 1 if left else 0


def _write_json(report: "Report", name: str, overwrite: bool) -> None:
    from vidcam.sinks.records import record_file

    def writer(stream: TextIO) -> "Callable[[Report], None]":
        def write(report: "Report") -> None:
            json.dump(report.as_record(), stream, ensure_ascii=False, indent=1)
            stream.write("\n")

        return write

    with record_file(name, writer, overwrite) as write:
        write(report)


def _fixed(report: "Report", folder: str, target: Path) -> "list[Finding]":
    """Move what is bad; returns the findings that remain."""
    from vidcam.training.quarantine import MANIFEST, move, plan, remaining

    moves = plan(report)
    leaks = sum(one.reason.startswith("leak") for one in moves)
    if leaks:
        log.info(
            "%d pictures are in two parts; the copies in the training side go, "
            "those that test stay", leaks,
        )  # fmt: skip
    left = remaining(report, moves)
    if moves:
        files = move(folder, moves, target)
        moved = "1 file" if files == 1 else f"{files} files"
        log.info("%s moved → %s; %s says from where", moved, target, target / MANIFEST)
    if left:
        remain = "1 finding remains" if len(left) == 1 else f"{len(left)} findings remain"
        log.info("%s, for you to decide", remain)
    return left


def report_lines(report: "Report") -> list[str]:
    """The report as a table for people: a line a kind, and the first of its findings."""
    from vidcam.training.check import KINDS

    dataset = report.dataset
    parts = ", ".join(f"{part.name} {len(part.samples)}" for part in dataset.parts)
    classes = "1 class" if len(dataset.classes) == 1 else f"{len(dataset.classes)} classes"
    lines = [f"{readable(dataset.folder)}: {report.pictures} pictures, {classes} ({parts})"]
    if report.is_clean:
        return [*lines, "nothing wrong was found"]
    for kind, meaning in KINDS.items():
        found = report.of(kind)
        if not found:
            continue
        lines.append(f"{len(found):6d}  {kind}: {meaning}")
        for one in found[:MOST_SHOWN]:
            same = " ~ " if kind.startswith("near") else " = "
            paths = same.join([*map(readable, one.paths[:4]), *(["…"] * (len(one.paths) > 4))])
            lines.append("          " + ": ".join(filter(None, (paths, readable(one.detail)))))
        if len(found) > MOST_SHOWN:
            lines.append(f"          … and {len(found) - MOST_SHOWN} more; --json lists all")
    return lines


@command.command("split")
@click.argument("source", metavar="SRC")
@click.option("-o", "--output", required=True, metavar="DST", help="Folder of the result.")
@click.option("-y", "overwrite", is_flag=True, help="Replace another split in DST.")
@options_of(SplitOptions)
@verbosity
def split_command(source: str, output: str, overwrite: bool, quiet: bool, **given: Any) -> int:
    """Divide pictures into train, test and perhaps val; the source is never touched.

    \b
    vidcam data split pictures -o divided --ratio 8:2
    vidcam data split pictures -o divided --ratio 8:2 --val 0.1 --seed 7
    """
    options = SplitOptions(**given)
    from vidcam.cli.signals import Interrupts
    from vidcam.training.dataset import find_dataset
    from vidcam.training.placing import check_place, place
    from vidcam.training.split import divide, lacking_lines, left_out_lines

    with Interrupts():
        target = Path(output)
        dataset = find_dataset(source)
        check_place(source, target, overwrite)
        split = divide(dataset, options, progress(quiet, "looking for duplicates"))
        doubts = [dataset.doubt] if dataset.doubt else []
        for line in (*doubts, *left_out_lines(split), *lacking_lines(split)):
            log.warning("%s", line)
        placement = place(split, source, target, overwrite)
        counts = split.counts()
        if not quiet:
            rows = [(readable(name), *each, sum(each)) for name, each in counts.items()]
            totals = [sum(each) for each in zip(*counts.values(), strict=True)]
            rows.append(("total", *totals, sum(totals)))
            click.echo("\n".join(table(("class", *split.parts, "total"), rows)))
            click.echo("\n".join(["", *tree(readable(target), split.parts, counts)]))
    if split.tied:
        log.info("%d pictures look like another one; look-alikes are kept on one side", split.tied)
    log.info("%d linked, %d copied, %d there already → %s", placement.linked, placement.copied,
             placement.kept, target)  # fmt: skip
    return 0


@command.command("stats")
@click.argument("folder")
@click.option("-o", "--output", metavar="DIR", help="Folder for sizes.png.")
@click.option("-y", "overwrite", is_flag=True, help="Replace existing outputs.")
@verbosity
def stats_command(folder: str, output: str | None, overwrite: bool, quiet: bool) -> int:
    """Sizes, pictures per class, channel means and deviations.

    \b
    vidcam data stats pictures -o figures/
    """
    from vidcam.cli.signals import Interrupts
    from vidcam.pictures.targets import make_folder, output_folder
    from vidcam.sinks.partial import check_target
    from vidcam.training.stats import statistics

    with Interrupts():
        target = output_folder(output) if output else None
        if target and target.is_dir():
            check_target(target / "sizes.png", overwrite)
        stats = statistics(folder, progress(quiet, "reading"))
        if not quiet:
            from vidcam.training.stats import class_rows, level_rows, size_rows

            tables = [table(*rows(stats)) for rows in (class_rows, size_rows, level_rows)]
            click.echo("\n\n".join("\n".join(lines) for lines in tables))
        for part in stats.parts:
            if part.unread:
                log.warning("%s: %d could not be read; vidcam data check says why",
                            part.name, part.unread)  # fmt: skip
        if target:
            from vidcam.figures.dataset import size_scatter
            from vidcam.figures.sheet import save
            from vidcam.figures.style import Style

            make_folder(target)
            figure = size_scatter([(part.name, part.sizes_px) for part in stats.parts], Style())
            save(figure, target / "sizes.png", overwrite)
            log.info("sizes → %s", target / "sizes.png")
    return 0


@command.command("preview")
@click.argument("folder")
@click.option("-o", "--output", required=True, metavar="FILE", help="PNG file.")
@click.option("-y", "overwrite", is_flag=True, help="Replace an existing file.")
@options_of(PreviewOptions)
@verbosity
def preview_command(folder: str, output: str, overwrite: bool, quiet: bool, **given: Any) -> int:
    """One batch as the network sees it: augmented, with labels, and the levels of its pixels.

    \b
    vidcam data preview pictures -o batch.png --augment strong
    """
    options = PreviewOptions(**given)
    if Path(output).suffix.lower() != ".png":
        raise UsageError(f"-o {output}: is written as PNG; let the name end in .png")
    from vidcam.cli.signals import Interrupts
    from vidcam.sinks.partial import check_target

    with Interrupts():
        check_target(Path(output), overwrite)
        from vidcam.figures.dataset import batch_sheet
        from vidcam.figures.sheet import save
        from vidcam.figures.style import Style
        from vidcam.training.augment import describe
        from vidcam.training.preview import batch_of

        shown = batch_of(folder, options)
        for reason in shown.unread:
            log.warning("%s", reason)
        text = describe(shown.preset)
        if not quiet:
            click.echo(text)
        title = f"--augment {options.augment}, epoch {options.epoch}, seed {options.seed}"
        figure = batch_sheet(shown.pixels, shown.labels, Style(), title, text.splitlines())
        save(figure, Path(output), overwrite)
        log.info("%d pictures → %s", len(shown.labels), output)
    return 0


def progress(quiet: bool, what: str) -> "Progress":
    """A bar on the terminal, and nothing elsewhere."""

    def show(results: Iterable[Any], total: int) -> Iterable[Any]:
        if quiet or not sys.stderr.isatty():
            return results
        from rich.console import Console
        from rich.progress import track

        return track(results, what, total, console=Console(stderr=True), transient=True)

    return show


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of columns, the first to the left, the numbers to the right; CJK is two wide."""
    from rich.cells import cell_len

    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *rest in cells:
        line = first + " " * (widths[0] - cell_len(first))
        for cell, width in zip(rest, widths[1:], strict=True):
            line += "  " + " " * (width - cell_len(cell)) + cell
        lines.append(line)
    return lines


def tree(top: str, parts: Sequence[str], counts: dict[str, list[int]]) -> list[str]:
    """The folders of a split with their numbers of pictures."""
    lines = [f"{top}/"]
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        filled = {name: each[number] for name, each in counts.items() if each[number]}
        lines.append(f"{'└' if is_last else '├'}── {part}/  {sum(filled.values())}")
        for position, (name, count) in enumerate(filled.items(), 1):
            branch = "└" if position == len(filled) else "├"
            lines.append(f"{' ' if is_last else '│'}   {branch}── {readable(name)}/  {count}")
    return lines
