"""`vidcam image`: pictures in, the best classes out."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.cli.tables import named, tables
from vidcam.errors import SourceError, UsageError
from vidcam.pictures.options import ImageOptions

if TYPE_CHECKING:
    from vidcam.pictures.predictor import Predicted, Predictor

log = logging.getLogger("vidcam")

SUFFIXES = {"overlay": ".jpg", "chart": ".png", "both": ".png"}
Write = Callable[["Predicted"], None]


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
    from vidcam.cli.signals import Interrupts
    from vidcam.pictures.inputs import expand

    with Interrupts() as interrupts:
        files = expand(paths)
        outputs = Outputs(files, options, output, overwrite, quiet)
        if len(files) == 1:
            from vidcam.pictures.reading import read_picture

            read_picture(files[0])  # what is wrong with it is said before the model is loaded
        from vidcam.pictures.predictor import Predictor

        predictor = Predictor(options, len(files))
        log.info("%s", predictor.summary)
        run = Run(files, outputs)
        interrupts.watch(run)
        return run(predictor)


class Run:
    """The pictures of one call, from the first to the last or to an interruption."""

    def __init__(self, files: list[str], outputs: "Outputs") -> None:
        self._files, self._outputs = files, outputs
        self._error: BaseException | None = None
        self._done = self._failed = 0

    def stop(self, error: BaseException | None = None) -> None:
        """End before the next picture, with `error`."""
        self._error = error

    def __call__(self, predictor: "Predictor") -> int:
        """Classify all; returns the exit code. Raises VidcamError."""
        from vidcam.pictures.targets import counted

        start_s = time.perf_counter()
        with self._outputs.opened() as write:
            for predicted in predictor(self._unless_stopped(), refused=self._refuse):
                self._check()
                try:
                    write(predicted)
                    self._done += 1
                except SourceError as error:  # it has gone, or changed, since it was classified
                    self._refuse(predicted.name, error)
            if not self._done:
                raise SourceError("no picture could be read")
        wall_s = time.perf_counter() - start_s
        rate = f"{counted(self._done)} in {wall_s:.1f} s, {self._done / wall_s:.0f} a second"
        folder = self._outputs.folder
        log.info("%s%s", rate, f" → {folder}" if folder else "")
        if self._failed:
            log.error("%d of %s failed", self._failed, counted(len(self._files)))
        return 1 if self._failed else 0

    def _unless_stopped(self) -> Iterator[str]:
        for path in self._files:
            self._check()
            yield path

    def _check(self) -> None:
        if self._error:
            raise self._error

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


class Outputs:
    """The terminal and the files of `-o`: names checked first, then written picture by picture."""

    def __init__(
        self, files: list[str], options: ImageOptions, output: str | None, overwrite: bool,
        quiet: bool,
    ) -> None:  # fmt: skip
        """Raises UsageError when one of them cannot be written."""
        self._files = files
        self._options = options
        self._overwrite = overwrite
        self._quiet = quiet
        self.folder: Path | None = None
        self._targets: list[Path] = []
        if output is None:
            return
        from vidcam.pictures.records import CSV_NAME, JSON_NAME
        from vidcam.pictures.targets import check_targets, output_folder, stems_of

        folder = output_folder(output)
        if layout := options.layout:
            names = (f"{stem}-{layout}{SUFFIXES[layout]}" for stem in stems_of(files))
            self._targets = [folder / name for name in names]
        records = [folder / name for name in (CSV_NAME, JSON_NAME)]
        check_targets([*records, *self._targets], files, overwrite)
        self.folder = folder

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """What each prediction is handed to. Raises OutputError, and SourceError in the call."""
        with ExitStack() as stack:
            writes: list[Write] = []
            if self.folder is not None:
                writes = [self._drawing(), stack.enter_context(self._records(self.folder))]
            tell = stack.enter_context(tables(self._quiet, lasting=self.folder is not None))
            writes.append(lambda predicted: tell(lines_of(predicted)))

            def write_all(predicted: "Predicted") -> None:
                for write in writes:
                    write(predicted)

            yield write_all

    @contextmanager
    def _records(self, folder: Path) -> Iterator[Write]:
        from vidcam.pictures.records import prediction_files
        from vidcam.pictures.targets import make_folder

        is_new = not folder.is_dir()
        make_folder(folder)
        try:
            with prediction_files(folder, self._overwrite) as write:
                yield write
        except BaseException:
            if is_new:
                with suppress(OSError):  # it may hold pictures, or what an interruption keeps
                    folder.rmdir()
            raise

    def _drawing(self) -> Write:
        if not self._targets:
            return lambda _predicted: None
        from vidcam.figures.predicted import Drawing

        drawing = Drawing(self._options)

        def draw(predicted: "Predicted") -> None:
            path, target = self._files[predicted.number], self._targets[predicted.number]
            drawing.save(predicted, path, target, self._overwrite)

        return draw
