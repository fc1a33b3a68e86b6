"""`vidcam explain`: pictures in, figures of where the network looked out."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.cli.signals import Interrupts, Stop
from vidcam.cli.tables import named, tables
from vidcam.errors import SourceError
from vidcam.pictures.options import ExplainOptions

if TYPE_CHECKING:
    from vidcam.cam.faithfulness import Faithfulness
    from vidcam.figures.explanation_folder import ExplanationFolder
    from vidcam.pictures.explanation import Explanation
    from vidcam.pictures.trust import Trust

log = logging.getLogger("vidcam")

TELL_EVERY_S = 5.0


@click.command("explain")
@click.argument("paths", nargs=-1, required=True, metavar="PICTURE...")
@click.option("-o", "--output", required=True, metavar="DIR", help="Folder for the figures.")
@click.option("-y", "overwrite", is_flag=True, help="Replace existing outputs.")
@click.option("--panels", is_flag=True,
              help="A row for each map: original, heat alone, overlay.")  # fmt: skip
@click.option("--save-map", is_flag=True,
              help="Also each map as a NumPy file, (H, W) float32 in [0, 1].")  # fmt: skip
@click.option("--faithfulness", is_flag=True,
              help="Measure each map: the score without, and with only, its hot part.")  # fmt: skip
@options_of(ExplainOptions)
@verbosity
def command(paths: tuple[str, ...], output: str, overwrite: bool, panels: bool, save_map: bool,
            faithfulness: bool, quiet: bool, **given: Any) -> int:  # fmt: skip
    """Show where the network looked in pictures: files, folders with all below, quoted globs.

    \b
    vidcam explain both.jpg -o why/ --cam gradcam --cam layercam --class top1 --class espresso
    vidcam explain cat.jpg -o why/ --panels --save-map
    vidcam explain photos/ -o why/ --cam gradcam --cam scorecam --faithfulness
    """
    options = ExplainOptions(**given)
    from vidcam.figures.explanation_folder import ExplanationFolder, Wanted
    from vidcam.pictures.inputs import expand

    wanted = Wanted(panels, save_map, faithfulness)
    with Interrupts() as interrupts:
        files = expand(paths)
        folder = ExplanationFolder(files, options, output, wanted, overwrite)
        return run(folder, options, quiet, interrupts)


class Steps:
    """Called between the steps of a map: ends the run when it is told to, and says how far a long
    method is."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._told_s = time.monotonic()

    def __call__(self, method: str, done: int, of: int) -> None:
        self._stop.check()
        if of > 1 and time.monotonic() - self._told_s > TELL_EVERY_S:
            self._told_s = time.monotonic()
            log.info("%s: %d of %d passes", method, done, of)


def run(
    folder: "ExplanationFolder", options: ExplainOptions, quiet: bool, interrupts: Interrupts
) -> int:
    """Explain every picture; returns the exit code. Raises VidcamError."""
    if len(folder.files) == 1:
        from vidcam.pictures.reading import read_picture

        read_picture(folder.files[0])  # what is wrong with it is said before the model is loaded
    from vidcam.cam.library import SLOW
    from vidcam.pictures.explainer import Explainer
    from vidcam.pictures.targets import counted

    explainer, stop = Explainer(options), Stop()
    explainer.between = Steps(stop)
    interrupts.watch(stop)
    log.info("%s", explainer.summary)
    if slow := [method for method in options.cam if method in SLOW]:
        log.info("%s: hundreds of passes for each map", ", ".join(slow))
    failed = 0
    with folder, tables(quiet, lasting=True) as tell:
        for path in folder.files:
            stop.check()
            try:
                explanation = explainer(path)
            except SourceError as error:
                if len(folder.files) == 1:
                    raise
                failed += 1
                log.error("%s", error)
                continue
            measured = folder.save(path, explanation, explainer)
            tell(lines_of(explanation, measured))
        if failed == len(folder.files):
            raise SourceError("no picture could be read")
        found = folder.finish().items() if len(folder.files) > 1 else ()
        tell(f"mean of {count}: {numbers(mean)}  {name}" for name, (count, mean) in found)
    log.info("%s explained → %s", counted(len(folder.files) - failed), folder.path)
    if failed:
        log.error("%d of %s failed", failed, counted(len(folder.files)))
    return 1 if failed else 0


def lines_of(explanation: "Explanation", measured: "Sequence[Trust]") -> Iterator[str]:
    """One picture's table: its name, a line a class, then a line for each map that was measured."""
    yield explanation.name
    by_class = {heatmap.score.index: heatmap for heatmap in explanation.heatmaps}
    for heatmap in by_class.values():
        score = heatmap.score
        absent = "  no positive evidence" if heatmap.is_of_absent_class else ""
        yield f"  {100 * (score.score or 0.0):6.2f} %  {named(score)}{absent}"
    for one in measured:
        label = f" of {one.score.label}" if len(by_class) > 1 else ""
        yield f"    {numbers(one.faithfulness)}  {one.row_name}{label}"


def numbers(found: "Faithfulness") -> str:
    """A measurement in one line."""
    removed, kept = float(found.removed.mean()), float(found.kept.mean())
    return (
        f"removed {removed:.3f} (drop {found.drop:+.3f})  kept {kept:.3f}  ROAD {found.road:+.3f}"
    )
