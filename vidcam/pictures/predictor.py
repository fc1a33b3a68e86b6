"""Still pictures through the network: decoded in threads, classified in batches, in order."""

import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from vidcam.backends import Batches, load_backend
from vidcam.classifier import Classifier, Seen
from vidcam.errors import SourceError
from vidcam.labels import parse_classes
from vidcam.machine import cores
from vidcam.models import load_model
from vidcam.options import CamOptions
from vidcam.pictures.inputs import readable
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.reading import SHRINK, as_picture
from vidcam.pictures.square import square_of
from vidcam.policy import AUTO_BATCH
from vidcam.prepare import Geometry
from vidcam.spec import from_mapping
from vidcam.types import Pixels, Prediction, Rect, Score

# As timm evaluates its networks.
PICTURE_FIT = "crop"
# How many batches may be decoded before they are asked for.
BATCHES_AHEAD = 2
# A chart has at most so many bars.
MOST_BARS = 50
NO_CAM = CamOptions(cam="none")


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """The prediction of a picture: that with the index `number`, from 0, of those handed over.

    `bars` are the scores of a chart: of all classes that compete where they are few, else the best.
    """

    number: int
    name: str
    prediction: Prediction
    bars: tuple[Score, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    number: int
    name: str
    square: Pixels
    crop: Rect


_Batch = tuple[list[_Prepared], Callable[[], list[Seen]]]
Refused = Callable[[str, SourceError], None]


class Predictor:
    """A loaded model that classifies still pictures."""

    def __init__(self, options: ImageOptions, count: int | None = None) -> None:
        """Load the model; `count` is how many pictures will come at a time, if that is known.

        Raises UsageError, or SourceError when weights cannot be fetched.
        """
        self.options = options
        self.model = load_model(options)
        most = options.batch or AUTO_BATCH
        self.batch = min(most, count or most)
        # What bf16 changes in the labels of pictures is in docs/pictures.md.
        precise = replace(options, precision="f32") if options.precision == "auto" else options
        self.backend = load_backend(
            self.model, precise, NO_CAM, Batches((self.batch,), in_turn=True)
        )
        self.classifier = Classifier(self.model, self.backend, options, NO_CAM)
        labels = self.model.labels
        competing = parse_classes(options.classes, labels) if options.classes else labels.shown
        self._few_classes = len(competing) <= MOST_BARS
        fit = options.fit or self.model.fit or PICTURE_FIT
        self.geometry = Geometry(self.model.size, fit, self.model.crop_share)
        # The first call builds the kernels: here, so that it is not counted as a picture's time.
        blank = np.zeros((self.batch, *[self.model.size] * 2, 3), np.uint8)
        self.classifier(blank, explain=False)

    @property
    def summary(self) -> str:
        """What runs, on what and how, in one line."""
        backend = self.backend
        return (
            f"{self.model.name} on {backend.device} ({backend.name}, {backend.precision}), "
            f"{self.geometry.fit} fit"
        )

    def __call__(
        self, pictures: Iterable[Any], *, refused: Refused | None = None
    ) -> Iterator[Predicted]:
        """Each picture's prediction, in order.

        `pictures` are paths, PIL images, or arrays: (H, W, 3) uint8 RGB or (H, W) grey. One that
        cannot be read is told to `refused`, else its SourceError is raised.
        """
        threads = min(4, cores())
        with ThreadPoolExecutor(threads, "vidcam-pictures") as pool:
            ready = self._ready(pictures, pool, refused)
            try:
                # A batch is begun before the one under way is asked for: the engine does both.
                under_way: _Batch | None = None
                for begun in self._begun(ready):
                    if under_way:
                        yield from self._predicted(*under_way)
                    under_way = begun
                if under_way:
                    yield from self._predicted(*under_way)
            finally:
                ready.close()

    def _ready(
        self, pictures: Iterable[Any], pool: ThreadPoolExecutor, refused: Refused | None
    ) -> Generator[_Prepared]:
        waiting: deque[tuple[str, Future[_Prepared]]] = deque()
        numbered = enumerate(pictures)
        try:
            while True:
                for number, given in islice(numbered, self.batch * BATCHES_AHEAD - len(waiting)):
                    name = name_of(given, number)
                    waiting.append((name, pool.submit(self._prepare, number, name, given)))
                if not waiting:
                    return
                name, future = waiting.popleft()
                try:
                    yield future.result()
                except SourceError as error:
                    if refused is None:
                        raise
                    refused(name, error)
        finally:
            for _, future in waiting:
                future.cancel()

    def _prepare(self, number: int, name: str, given: Any) -> _Prepared:
        share = self.model.crop_share if self.geometry.fit == "crop" else 1.0
        picture = as_picture(given, math.ceil(self.model.size / share))
        square, crop = square_of(picture, self.geometry)
        return _Prepared(number, name, square, _enlarged(crop, picture.info.get(SHRINK, 1.0)))

    def _begun(self, ready: Iterator[_Prepared]) -> Iterator[_Batch]:
        while batch := list(islice(ready, self.batch)):
            pixels = np.stack([one.square for one in batch])
            yield batch, self.classifier.start(pixels, explain=False)

    def _predicted(
        self, batch: list[_Prepared], pending: Callable[[], list[Seen]]
    ) -> Iterator[Predicted]:
        for one, seen in zip(batch, pending(), strict=True):
            top = self.classifier.top(seen.scores, self.options.topk)
            shown = self.classifier.shown(top, self.options, seen.nearness)
            bars = self.classifier.top(seen.scores, MOST_BARS) if self._few_classes else top
            prediction = Prediction(top, shown, one.crop)
            yield Predicted(one.number, one.name, prediction, bars[:MOST_BARS])


def _enlarged(crop: Rect, shrink: float) -> Rect:
    """A rectangle of a picture that was decoded at a fraction, in pixels of the file's."""
    return Rect(*(round(number * shrink) for number in crop.as_list()))


def name_of(given: object, number: int) -> str:
    """How a picture is called: its path as given, else by its number from 1."""
    if isinstance(given, str | os.PathLike):
        return readable(os.fspath(given))
    return f"picture {number + 1}"


def predict(pictures: Any, **options: Any) -> list[Prediction]:
    """The predictions of one or more pictures, in order.

        for prediction in vidcam.predict(["cat.jpg", "dog.png"], topk=3, lang="en"):
            print(prediction.topk[0].label, prediction.topk[0].score)

    `pictures` is a path, a PIL image, an array ((H, W, 3) uint8 RGB or (H, W) grey), or a list of
    these; a folder or a glob stands for the pictures in it. The keywords are the fields of
    `ImageOptions`. Scores are softmax probabilities. Raises SourceError for a picture that cannot
    be read, and UsageError.
    """
    parsed: ImageOptions = from_mapping(ImageOptions, options.items())
    listed = given_pictures(pictures)
    if not listed:
        return []
    predictor = Predictor(parsed, len(listed))
    return [predicted.prediction for predicted in predictor(listed)]


def given_pictures(pictures: Any) -> list[Any]:
    """What a Python caller hands over as a list; folders and globs become their files."""
    from vidcam.pictures.inputs import expand

    is_one = isinstance(pictures, str | os.PathLike | np.ndarray | Image.Image)
    listed = [pictures] if is_one or not isinstance(pictures, Iterable) else list(pictures)
    found: list[Any] = []
    for given in listed:
        is_path = isinstance(given, str | os.PathLike)
        found += expand([os.fspath(given)]) if is_path else [given]
    return found
