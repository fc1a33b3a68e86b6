"""`vidcam image`: pictures in, the best classes out."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.cli.signals import Interrupts, Stop
from vidcam.cli.tables import named, tables
from vidcam.errors import SourceError, UsageError
from vidcam.pictures.options import ImageOptions

if TYPE_CHECKING:
    from vidcam.figures.prediction_folder import PredictionFolder
    from vidcam.pictures.predictor import Predicted, Predictor

log = logging.getLogger("vidcam")


@click.command("image")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-o", "--output", metavar="DIR",
              help="Folder for predictions.csv, predictions.json and drawn pictures.")  # fmt: skip
@click.option("-y", "overwrite", is_flag=True, help="Replace existing outputs.")
@options_of(ImageOptions)
@verbosity
def command(paths: tuple[str, ...], output: str | None, overwrite: bool, quiet: bool,
            **given: Any) -> int:  # fmt: skip
    """Classify pictures: files, folders with all below, quoted globs.

    \b
    vidcam image cat.jpg
    vidcam image photos/ -o results/ --lang zh,en
    vidcam image 'photos/**/*.png' -o results/ --layout both --topk 5
    """
    options = ImageOptions(**given)
    if options.layout and output is None:
        raise UsageError("--layout draws pictures: say where with -o DIR")
    from vidcam.pictures.inputs import expand

    with Interrupts() as interrupts:
        files = expand(paths)
        folder = None
        if output is not None:
            from vidcam.figures.prediction_folder import PredictionFolder

            folder = PredictionFolder(files, options, output, overwrite)
        if len(files) == 1:
            from vidcam.pictures.reading import read_picture

            read_picture(files[0])  # what is wrong with it is said before the model is loaded
        from vidcam.pictures.predictor import Predictor

        predictor = Predictor(options, len(files))
        log.info("%s", predictor.summary)
        stop = Stop()
        interrupts.watch(stop)
        return Run(files, folder, quiet, stop)(predictor)


class Run:
    """The pictures of one call, from the first to the last or to an interruption."""

    def __init__(
        self, files: list[str], folder: "PredictionFolder | None", quiet: bool, stop: Stop
    ) -> None:
        self._files, self._folder, self._quiet, self._stop = files, folder, quiet, stop
        self._done = self._failed = 0

    def __call__(self, predictor: "Predictor") -> int:
        """Classify all; returns the exit code. Raises VidcamError."""
        from vidcam.pictures.targets import counted

        start_s = time.perf_counter()
        with ExitStack() as stack:
            write = stack.enter_context(self._folder.opened()) if self._folder else None
            tell = stack.enter_context(tables(self._quiet, lasting=self._folder is not None))
            for predicted in predictor(self._unless_stopped(), refused=self._refuse):
                self._stop.check()
                try:
                    if write:
                        write(predicted)
                    tell(lines_of(predicted))
                    self._done += 1
                except SourceError as error:  # it has gone, or changed, since it was classified
                    self._refuse(predicted.name, error)
            if not self._done:
                raise SourceError("no picture could be read")
        wall_s = time.perf_counter() - start_s
        rate = f"{counted(self._done)} in {wall_s:.1f} s, {self._done / wall_s:.0f} a second"
        log.info("%s%s", rate, f" → {self._folder.path}" if self._folder else "")
        if self._failed:
            log.error("%d of %s failed", self._failed, counted(len(self._files)))
        return 1 if self._failed else 0

    def _unless_stopped(self) -> Iterator[str]:
        for path in self._files:
            self._stop.check()
            yield path

    def _refuse(self, _name: str, error: SourceError) -> None:
        self._failed += 1
        log.error("%s", error)


def lines_of(predicted: "Predicted") -> Iterator[str]:
    """One picture's table: its name, then a line a class."""
    yield predicted.name
    for rank, score in enumerate(predicted.prediction.topk, 1):
        yield f"{rank:4d}  {100 * (score.score or 0.0):6.2f} %  {named(score)}"
    if predicted.prediction.shown and predicted.prediction.shown[0].score is None:
        yield f"      shown as {predicted.prediction.shown[0].label}"
