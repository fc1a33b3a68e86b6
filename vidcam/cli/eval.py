"""`vidcam eval`: a model and labelled pictures in, what its answers are worth out."""

import logging
import time
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.data import progress, table
from vidcam.cli.options import options_of, verbosity
from vidcam.cli.tables import tables
from vidcam.training.eval_options import EvalOptions

if TYPE_CHECKING:
    from vidcam.training.evaluated import Evaluated

log = logging.getLogger("vidcam")

MOST_ROWS = 25


def _without_model(command: Any) -> Any:
    """The options of EvalOptions; the model is an argument."""
    decorated = options_of(EvalOptions)(command)
    params = decorated.__click_params__
    decorated.__click_params__ = [one for one in params if one.name != "model"]
    return decorated


@click.command("eval")
@click.argument("model", metavar="MODEL")
@click.argument("folder", metavar="FOLDER")
@click.option("-o", "--output", metavar="DIR",
              help="Folder for metrics.json, CSV files, figures and report.html.")  # fmt: skip
@click.option("-y", "overwrite", is_flag=True, help="Replace existing outputs.")
@_without_model
@verbosity
def command(folder: str, output: str | None, overwrite: bool, quiet: bool, **given: Any) -> int:
    """Measure a model on labelled pictures: FOLDER/cat/1.jpg, or FOLDER/test/cat/1.jpg.

    \b
    vidcam eval run pictures
    vidcam eval run/best.pt pictures -o results/ --part val
    vidcam eval efficientnet_lite0 photos -o results/ --lang zh,en
    vidcam eval run pictures --fit-unknown
    """
    options = EvalOptions(**given)
    from vidcam.cli.signals import Interrupts
    from vidcam.pictures.targets import counted
    from vidcam.training.dataset import find_dataset
    from vidcam.training.eval_sides import check_outside, choose_sides

    with Interrupts():
        dataset = find_dataset(folder)
        sides = choose_sides(dataset, options)
        writer = None
        if output is not None:
            from vidcam.figures.evaluation import EvaluationFolder

            check_outside(output, folder)
            inputs = [sample.path for sample in dataset.samples]
            writer = EvaluationFolder(output, inputs, overwrite)
        from vidcam.training.evaluation import Evaluation

        evaluation = Evaluation(options, dataset, sides)
        log.info("%s", evaluation.summary)
        if evaluation.caution:
            log.info("%s", evaluation.caution)
        start_s = time.perf_counter()
        evaluated = evaluation(progress(quiet, "answering"), details=writer is not None)
        if writer is not None:
            from vidcam.figures.style import Style

            writer.write(evaluated, Style(options.font))
        wall_s = time.perf_counter() - start_s
        with tables(quiet, lasting=writer is not None) as tell:
            tell(lines_of(evaluated))
        for reason in evaluated.unread:
            log.error("%s", reason)
        pictures = f"{counted(evaluated.metrics.n)} in {wall_s:.1f} s"
        log.info("%s%s", pictures, f" → {writer.folder}" if writer else "")
    if evaluated.unread:
        log.error("%s could not be read", counted(len(evaluated.unread)))
    return 1 if evaluated.unread else 0


def lines_of(evaluated: "Evaluated") -> list[str]:
    """The result as tables for people: the totals, then a line a class, the worst first."""
    from vidcam.training.report import CLASS_HEAD, class_rows, percent

    metrics, macro = evaluated.metrics, evaluated.metrics.macro
    rows = class_rows(metrics)
    top5 = "" if evaluated.top5 is None else f"top-5 {percent(evaluated.top5)}  "
    lines = [
        f"top-1 {percent(metrics.top1)}  {top5}"
        f"mean F1 {percent(macro['f1'])}  calibration error {percent(metrics.calibration.ece)}  "
        f"({metrics.n} pictures, {len(rows)} classes, part {evaluated.subject.part})",
        "",
        *table(CLASS_HEAD, rows[:MOST_ROWS]),
    ]
    if len(rows) > MOST_ROWS:
        lines.append(f"… and {len(rows) - MOST_ROWS} more")
    for pair in evaluated.pairs:
        true, answer = (evaluated.names[place] for place in (pair.true, pair.answer))
        lines.append(f"{pair.count:6d} × {true} taken for {answer}")
    if evaluated.left_out:
        folders = ", ".join(f"{name} ({count})" for name, count in evaluated.left_out.items())
        total = sum(evaluated.left_out.values())
        lines.append(f"left out, of classes that the model lacks: {total}: {folders}")
    if said := evaluated.said:
        text = f"unknown: {percent(said.kept)} of the right answers stay known"
        if said.strange:
            text += f"; said of {percent(said.of_strange)} of {said.strange} of other classes"
        lines.append(text)
    return lines
