"""What `vidcam image -o` writes: every name is checked before any work is done."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vidcam.pictures.options import ImageOptions
from vidcam.pictures.records import CSV_NAME, JSON_NAME, prediction_files
from vidcam.pictures.targets import check_targets, make_folder, output_folder, stems_of

if TYPE_CHECKING:
    from vidcam.pictures.predictor import Predicted

SUFFIXES = {"overlay": ".jpg", "chart": ".png", "both": ".png"}


class PredictionFolder:
    """The files of one call: records of all pictures, and with `--layout` a picture of each."""

    def __init__(
        self, files: Sequence[str], options: ImageOptions, name: str, overwrite: bool
    ) -> None:
        """Raises UsageError or OutputError when one of them cannot be written."""
        self.path = output_folder(name)
        self._files = files
        self._options = options
        self._overwrite = overwrite
        self._targets: list[Path] = []
        if layout := options.layout:
            names = (f"{stem}-{layout}{SUFFIXES[layout]}" for stem in stems_of(files))
            self._targets = [self.path / name for name in names]
        records = [self.path / name for name in (CSV_NAME, JSON_NAME)]
        check_targets([*records, *self._targets], files, overwrite)

    @contextmanager
    def opened(self) -> Iterator[Callable[["Predicted"], None]]:
        """What each prediction is handed to. Raises OutputError, and SourceError in the call."""
        draw = self._drawing()
        is_new = not self.path.is_dir()
        make_folder(self.path)
        try:
            with prediction_files(self.path, self._overwrite) as record:

                def write(predicted: "Predicted") -> None:
                    draw(predicted)
                    record(predicted)

                yield write
        except BaseException:
            if is_new:
                with suppress(OSError):  # it may hold pictures, or what an interruption keeps
                    self.path.rmdir()
            raise

    def _drawing(self) -> Callable[["Predicted"], None]:
        if not self._targets:
            return lambda _predicted: None
        from vidcam.figures.predicted import Drawing

        drawing = Drawing(self._options)

        def draw(predicted: "Predicted") -> None:
            path, target = self._files[predicted.number], self._targets[predicted.number]
            drawing.save(predicted, path, target, self._overwrite)

        return draw
