"""`vidcam compare`: runs side by side."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidcam.cli.data import table
from vidcam.cli.options import verbosity
from vidcam.cli.tables import tables
from vidcam.errors import UsageError

if TYPE_CHECKING:
    from vidcam.training.compare import Measured

log = logging.getLogger("vidcam")

MOST_CLASSES = 40
SUFFIXES = {".csv", ".png"}


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "--output", multiple=True, metavar="FILE",
              help="FILE.csv: all numbers; FILE.png: a figure (repeatable).")  # fmt: skip
@click.option("-y", "overwrite", is_flag=True, help="Replace existing outputs.")
@verbosity
def command(runs: tuple[str, ...], output: tuple[str, ...], overwrite: bool, quiet: bool) -> int:
    """Set runs side by side: in total and class by class, with the differences to the first.

    RUN is a folder of vidcam eval -o, its metrics.json, or a folder of vidcam train.

    \b
    vidcam compare plain augmented
    vidcam compare eval-adam eval-sgd -o adam-sgd.csv -o adam-sgd.png
    """
    if len(runs) < 2:
        raise UsageError("compare needs two runs at least; name them one after the other")
    for name in output:
        if Path(name).suffix.lower() not in SUFFIXES:
            raise UsageError(f"-o {name}: is written as CSV or PNG; end the name in .csv or .png")
    from vidcam.cli.signals import Interrupts
    from vidcam.sinks.partial import check_target
    from vidcam.training.compare import read_runs, warnings

    with Interrupts():
        for name in output:
            check_target(Path(name), overwrite)
        measured = read_runs(runs)
        for sentence in warnings(measured):
            log.warning("%s", sentence)
        _write(measured, output, overwrite)
        with tables(quiet, lasting=bool(output)) as tell:
            tell(_table(measured))
    return 0


def _write(runs: "Sequence[Measured]", output: Sequence[str], overwrite: bool) -> None:
    """Write the files. Raises OutputError."""
    from vidcam.training.compare import OF_CLASS, csv_rows, lines

    for name in output:
        if Path(name).suffix.lower() == ".csv":
            from vidcam.sinks.records import record_file

            with record_file(name, csv_rows(runs), overwrite, "utf-8-sig") as write:
                write(lines(runs, OF_CLASS))
        else:
            from vidcam.figures.compared import comparison
            from vidcam.figures.sheet import save
            from vidcam.figures.style import Style

            save(comparison(runs, lines(runs), Style()), Path(name), overwrite)
        log.info("→ %s", name)


def _table(runs: "Sequence[Measured]") -> list[str]:
    """The totals, then F1 class by class; of many classes those that differ most."""
    from vidcam.training.compare import cells, lines

    found = lines(runs)
    totals = [line for line in found if not line.class_name]
    classes = [line for line in found if line.class_name]
    shown = classes
    if len(classes) > MOST_CLASSES:
        shown = sorted(classes, key=lambda line: -line.spread)[:MOST_CLASSES]
    rows = [cells(line) for line in totals]
    if shown:
        rows += [["", *[""] * len(runs)], ["F1 of", *[""] * len(runs)], *map(cells, shown)]
    told = table(["", *(run.name for run in runs)], rows)
    if len(classes) > len(shown):
        told.append(f"… and {len(classes) - len(shown)} classes that differ less")
    told.append("* the best; in brackets the difference to the first, shares in points of percent")
    return [line.rstrip() for line in told]
