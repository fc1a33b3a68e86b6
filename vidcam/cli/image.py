"""`vidcam image`: pictures in, the best classes out."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.options import options_of, verbosity
from vidcam.errors import SourceError, UsageError
from vidcam.pictures.options import ImageOptions

if TYPE_CHECKING:
    from vidcam.pictures.predictor import Predicted

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

    with Interrupts():
        files = expand(paths)
        return _run(files, options, output, overwrite, quiet)


def _run(
    files: list[str], options: ImageOptions, output: str | None, overwrite: bool, quiet: bool
) -> int:
    outputs = Outputs(files, options, output, overwrite)
    if len(files) == 1:
        from vidcam.pictures.reading import read_picture

        read_picture(files[0])  # what is wrong with the only one is said before the model is loaded
    from vidcam.pictures.predictor import Predictor
    from vidcam.pictures.targets import counted

    predictor = Predictor(options, len(files))
    log.info("%s", predictor.summary)
    failures: list[SourceError] = []

    def refused(_name: str, error: SourceError) -> None:
        failures.append(error)
        log.error("%s", error)

    start_s = time.perf_counter()
    done = 0
    with outputs.opened() as write:
        keep = options.layout is not None
        for predicted in predictor(files, keep=keep, refused=refused):
            done += 1
            if not quiet:
                click.echo("\n".join(lines_of(predicted)))
            write(predicted)
        if failures and not done:
            raise failures[0] if len(files) == 1 else SourceError("no picture could be read")
    wall_s = time.perf_counter() - start_s
    where = f" → {output}" if output else ""
    rate = f"{counted(done)} in {wall_s:.1f} s, {done / wall_s:.0f} a second"
    log.info("%s%s", rate, where)
    if failures:
        log.error("%d of %s failed", len(failures), counted(len(files)))
    return 1 if failures else 0


def lines_of(predicted: "Predicted") -> Iterator[str]:
    """One picture's table: its name, then a line a class."""
    yield predicted.name
    for rank, score in enumerate(predicted.prediction.topk, 1):
        english = "" if score.label_en in score.label.split(" / ") else f"  {score.label_en}"
        yield f"{rank:4d}  {100 * (score.score or 0.0):6.2f} %  {score.label}{english}"
    if predicted.prediction.shown and predicted.prediction.shown[0].score is None:
        yield f"      shown as {predicted.prediction.shown[0].label}"


class Outputs:
    """The files of `-o`: names checked first, then written picture by picture."""

    def __init__(
        self, files: list[str], options: ImageOptions, output: str | None, overwrite: bool
    ) -> None:
        """Raises UsageError or OutputError when one of them cannot be written."""
        self._options = options
        self._overwrite = overwrite
        self._folder: Path | None = None
        self._targets: dict[str, Path] = {}
        if output is None:
            return
        from vidcam.pictures.inputs import readable
        from vidcam.pictures.records import CSV_NAME, JSON_NAME
        from vidcam.pictures.targets import check_targets, output_folder, stems_of

        self._folder = output_folder(output)
        if layout := options.layout:
            for path, stem in zip(files, stems_of(files), strict=True):
                name = f"{stem}-{layout}{SUFFIXES[layout]}"
                self._targets[readable(path)] = self._folder / name
        records = [self._folder / name for name in (CSV_NAME, JSON_NAME)]
        check_targets([*records, *self._targets.values()], files, overwrite)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """What each prediction is handed to."""
        if self._folder is None:
            yield lambda _predicted: None
            return
        from vidcam.pictures.records import prediction_files
        from vidcam.pictures.targets import make_folder

        make_folder(self._folder)
        draw = self._drawing()
        with prediction_files(self._folder, self._overwrite) as write:

            def both(predicted: "Predicted") -> None:
                draw(predicted)
                write(predicted)

            yield both

    def _drawing(self) -> Write:
        layout = self._options.layout
        if layout is None:
            return lambda _predicted: None
        from vidcam.figures.predicted import Drawing

        drawing = Drawing(self._options)
        return lambda predicted: drawing.save(
            predicted, layout, self._targets[predicted.name], self._overwrite
        )
