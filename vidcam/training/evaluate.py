"""Labelled pictures through a network: their logits, and the features that its head sees."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vidcam.backends.torch import Normalise, choose_device
from vidcam.errors import SourceError, UnknownName, UsageError
from vidcam.labels import Labels, parse_classes
from vidcam.machine import cores
from vidcam.models import Model, load_model
from vidcam.models.heads import HeadInput, head_of
from vidcam.pictures.inputs import readable
from vidcam.pictures.predictor import PICTURE_FIT
from vidcam.pictures.reading import read_picture
from vidcam.pictures.square import square_of
from vidcam.policy import AUTO_BATCH
from vidcam.prepare import Geometry
from vidcam.training.cores import Progress, silent
from vidcam.training.dataset import Dataset, Sample
from vidcam.training.eval_options import EvalOptions
from vidcam.training.unknown import Unknown
from vidcam.types import Pixels

BATCHES_AHEAD = 2
MOST_NAMED = 6


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the network says of N pictures; `unread` are the reasons of those left out.

    `paths` (N) name the files as they are opened. `logits` (N, K) float32 are of the classes that
    compete, `features` (N, D) float32 what the last layer sees. `labels` (N,) are places among the
    competing classes, -1 for a picture of a class that the model lacks.
    """

    paths: tuple[str, ...]
    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    unread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def of(self, chosen: NDArray[np.bool_]) -> "Answers":
        """Those of a mask (N,)."""
        paths = tuple(path for path, keep in zip(self.paths, chosen, strict=True) if keep)
        return Answers(paths, self.logits[chosen], self.features[chosen], self.labels[chosen])

    def at(self, temperature: float) -> "Answers":
        """With the logits divided by a temperature, as all that shows scores does it."""
        return replace(self, logits=self.logits / np.float32(temperature))


@dataclass(frozen=True)
class Matched:
    """The class folders of a data set as the model's classes.

    `places` has the place of each class of the data set among the competing ones, None for one that
    the model lacks.
    """

    dataset: Dataset
    places: tuple[int | None, ...]

    def known(self, samples: Iterable[Sample]) -> list[Sample]:
        """The pictures of classes that the model has."""
        return [sample for sample in samples if self.places[sample.label] is not None]

    def strange(self, samples: Iterable[Sample]) -> list[Sample]:
        """The pictures of classes that it lacks."""
        return [sample for sample in samples if self.places[sample.label] is None]

    def counted(self, samples: Iterable[Sample]) -> dict[str, int]:
        """How many pictures there are of each class, by the folder's name."""
        counts: dict[str, int] = {}
        for sample in samples:
            name = readable(self.dataset.classes[sample.label])
            counts[name] = counts.get(name, 0) + 1
        return counts


@dataclass(eq=False)
class Evaluator:
    """A loaded model that answers labelled pictures in float32, as `vidcam image` sees them."""

    options: EvalOptions
    model: Model = field(init=False)
    classes: NDArray[np.int64] = field(init=False)
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Load the model. Raises UsageError, or SourceError when weights cannot be fetched."""
        options = self.options
        self.model = load_model(options)
        labels = self.model.labels
        self.classes = np.arange(len(labels))
        if options.classes:
            self.classes = np.sort(parse_classes(options.classes, labels))
        self.names = _distinct([labels.shown[index] for index in self.classes], self.classes)
        self.device = choose_device(options.device)
        fit = options.fit or self.model.fit or PICTURE_FIT
        self.geometry = Geometry(self.model.size, fit, self.model.crop_share)
        self._net: nn.Module = self.model.net.to(self.device)
        self._normalise = Normalise(self.model).to(self.device)
        self._batch = options.batch or AUTO_BATCH

    @property
    def summary(self) -> str:
        """What runs, on what and how, in one line."""
        return f"{self.model.name} on {self.device} (torch, f32), {self.geometry.fit} fit"

    @property
    def unknown(self) -> Unknown | None:
        """What the model was given to tell what it does not know; None without."""
        temperature, thresholds = self.model.temperature, self.model.thresholds
        if temperature is None or thresholds is None or len(thresholds) != len(self.model.labels):
            return None
        chosen = np.asarray(thresholds, np.float64)[self.classes]
        return Unknown(temperature, chosen, self.model.neighbours)

    def match(self, dataset: Dataset) -> Matched:
        """The folders of a data set as classes of this model, by name in any language.

        Raises UsageError when the model has none of them.
        """
        places = {int(index): place for place, index in enumerate(self.classes)}
        found = [_index_of(readable(name), self.model.labels) for name in dataset.classes]
        matched = tuple(None if index is None else places.get(index) for index in found)
        if all(place is None for place in matched):
            folders, own = _some(map(readable, dataset.classes)), _some(self.names)
            raise UsageError(
                f"{readable(dataset.folder)}: no folder is called like a class of "
                f"{self.model.name}: its folders are {folders}; the model's classes are {own}"
            )
        return Matched(dataset, matched)

    def __call__(
        self, places: Sequence[int | None], samples: Sequence[Sample], progress: Progress = silent
    ) -> Answers:
        """Answer the pictures, in order; one that cannot be read is passed over, with its reason.

        `places` has for each label of the samples the place among the competing classes, as
        `Matched` has it. The logits are the network's own, at no temperature. Raises SourceError
        when none can be read, UsageError when the network gives no numbers.
        """
        unread: list[str] = []
        done: list[Sample] = []
        logits, features = [], []
        squares = self._squares(samples, unread)
        with HeadInput(head_of(self._net)) as head, torch.no_grad():
            shown = iter(progress(squares, len(samples)))
            while batch := list(islice(shown, self._batch)):
                pixels = torch.from_numpy(np.stack([square for _, square in batch]))
                given = self._normalise(pixels.to(self.device)).contiguous()
                whole = self._net(given).float().cpu().numpy()
                logits.append(whole[:, self.classes])
                given_to_head = head.features(len(batch))
                seen = whole if given_to_head is None else given_to_head.cpu().numpy()
                features.append(seen)
                done += [sample for sample, _ in batch]
        if not done:
            raise SourceError(f"no picture could be read: {unread[0]}" if unread else "no picture")
        found = np.concatenate(logits)
        if not np.isfinite(found).all():
            raise UsageError(f"{self.model.name} gives scores that are no numbers: it is broken")
        found_at = [places[sample.label] for sample in done]
        labels = np.array([-1 if place is None else place for place in found_at], np.int64)
        paths = tuple(sample.path for sample in done)
        return Answers(paths, found, np.concatenate(features), labels, tuple(unread))

    def square(self, path: str) -> Pixels:
        """The network's square (S, S, 3) of a picture. Raises SourceError."""
        share = self.geometry.crop_share if self.geometry.fit == "crop" else 1.0
        picture = read_picture(path, math.ceil(self.model.size / share))
        return square_of(picture, self.geometry)[0]

    def _squares(
        self, samples: Sequence[Sample], unread: list[str]
    ) -> Iterator[tuple[Sample, Pixels]]:
        """Decoded in threads, in order, a little ahead of the network."""
        waiting: deque[tuple[Sample, Future[Pixels]]] = deque()
        coming = iter(samples)
        with ThreadPoolExecutor(min(4, cores()), "vidcam-pictures") as pool:
            try:
                while True:
                    for sample in islice(coming, self._batch * BATCHES_AHEAD - len(waiting)):
                        waiting.append((sample, pool.submit(self.square, sample.path)))
                    if not waiting:
                        return
                    sample, future = waiting.popleft()
                    try:
                        yield sample, future.result()
                    except SourceError as error:
                        unread.append(str(error))
            finally:
                for _, future in waiting:
                    future.cancel()


def _index_of(name: str, labels: Labels) -> int | None:
    """The class that a folder is called after; a number is a class only where it is its name."""
    for names in (labels.shown, labels.english):
        if name in names:
            return names.index(name)
    if not labels.is_imagenet:
        folded = [one.casefold() for one in labels.shown]
        return folded.index(name.casefold()) if name.casefold() in folded else None
    if name.isdecimal():
        return None
    try:
        return labels.index_of(name)
    except UnknownName:
        return _of_wordnet(name)


def _of_wordnet(name: str) -> int | None:
    """The class of a WordNet id (n02084071), as ImageNet's own folders are called."""
    from timm.data import ImageNetInfo

    ids: list[str] = ImageNetInfo("imagenet-1k").label_names()
    return ids.index(name) if name in ids else None


def _distinct(names: Sequence[str], indices: Sequence[int] | NDArray[np.int64]) -> tuple[str, ...]:
    """The names, with the index where two classes have the same."""
    return tuple(
        f"{name} ({index})" if names.count(name) > 1 else name
        for name, index in zip(names, indices, strict=True)
    )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = ", …" if len(listed) > MOST_NAMED else ""
    return ", ".join(listed[:MOST_NAMED]) + more
