"""Batches of augmented pictures, in an order that seed and epoch decide alone."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidcam.errors import SourceError
from vidcam.pictures.reading import read_picture
from vidcam.pictures.square import square_of
from vidcam.prepare import Geometry
from vidcam.training.augment import GEOMETRIES, Preset, preset
from vidcam.training.cores import cores
from vidcam.training.dataset import Sample
from vidcam.training.features import side_px
from vidcam.types import Pixels

# Which epoch, which pictures; epoch -1 is evaluation, without chance.
Key = tuple[int, tuple[int, ...]]
EVALUATION = -1


@dataclass(frozen=True, eq=False)
class Batch:
    """Pixels (N, S, S, 3) uint8 RGB and labels (N,); `unread` are paths with their reasons."""

    pixels: Pixels
    labels: NDArray[np.int64]
    unread: dict[str, str]


class Pictures(torch.utils.data.Dataset[Batch]):
    """A whole batch by its key. Fit to be sent to another process."""

    def __init__(
        self, samples: Sequence[Sample], geometry: Geometry, augment: str, seed: int
    ) -> None:
        self._samples, self._geometry = samples, geometry
        self._augment, self._seed = augment, seed
        self._preset: Preset | None = None
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_preset": None, "_pool": None}

    def __getitem__(self, key: Key) -> Batch:
        """The pictures of a batch that can be read."""
        epoch, numbers = key
        if self._pool is None:
            in_worker = torch.utils.data.get_worker_info() is not None
            self._pool = ThreadPoolExecutor(1 if in_worker else cores(), "vidcam-read")
        squares = list(self._pool.map(lambda number: self._square(epoch, number), numbers))
        unread = {
            self._samples[number].path: square
            for number, square in zip(numbers, squares, strict=True)
            if isinstance(square, str)
        }
        kept = [n for n, square in enumerate(squares) if not isinstance(square, str)]
        size = self._geometry.size
        pixels = np.stack([squares[n] for n in kept]) if kept else np.empty((0, size, size, 3))
        labels = np.array([self._samples[numbers[n]].label for n in kept], np.int64)
        return Batch(pixels.astype(np.uint8, copy=False), labels, unread)

    def _square(self, epoch: int, number: int) -> Pixels | str:
        """A picture's square, or why there is none."""
        try:
            picture = read_picture(self._samples[number].path, side_px(self._geometry))
        except SourceError as error:
            return str(error)
        if epoch == EVALUATION:
            return square_of(picture, self._geometry)[0]
        if self._preset is None:
            own = self._augment in GEOMETRIES
            geometry = None if own else self._geometry
            self._preset = preset(self._augment, geometry, self._geometry.size)
        return np.asarray(self._preset.augmented(picture, self._seed, epoch, number))

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class Loader:
    """Goes through pictures batch by batch, read in this process or in others."""

    def __init__(self, pictures: Pictures, workers: int) -> None:
        """`workers` 0: in threads of this process, while the network waits."""
        self._pictures = pictures
        self._keys: list[Key] = []
        # Forked processes would inherit threads that hold locks.
        more: dict[str, Any] = {"multiprocessing_context": "spawn", "persistent_workers": True}
        self._loader = torch.utils.data.DataLoader(
            pictures, batch_size=None, sampler=_Keys(self._keys), num_workers=workers,
            generator=torch.Generator(), **(more if workers else {}),
        )  # fmt: skip

    def __call__(self, keys: Sequence[Key]) -> Iterator[Batch]:
        """The batches of keys, in order."""
        self._keys[:] = keys
        yield from self._loader

    def close(self) -> None:
        """Let threads and processes go."""
        self._pictures.close()
        del self._loader


class _Keys(torch.utils.data.Sampler[Key]):
    """A list that is filled anew for each epoch."""

    def __init__(self, keys: list[Key]) -> None:
        self._keys = keys

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._keys))

    def __len__(self) -> int:
        return len(self._keys)


def training_keys(
    labels: Sequence[int], batch: int, epoch: int, seed: int, balance: bool
) -> list[Key]:
    """The batches of an epoch in random order.

    With `balance` pictures are drawn with replacement, each class as often as the others. A last
    batch of one picture is left out, since BatchNorm needs two.
    """
    rng = np.random.default_rng((seed, epoch))
    if balance:
        shares = 1 / np.bincount(labels)[np.asarray(labels)]
        order = rng.choice(len(labels), len(labels), p=shares / shares.sum())
    else:
        order = rng.permutation(len(labels))
    keys = list(_keys(order.tolist(), batch, epoch))
    return keys[:-1] if len(keys) > 1 and len(keys[-1][1]) == 1 else keys


def evaluation_keys(count: int, batch: int) -> list[Key]:
    """All pictures in order, without chance."""
    return list(_keys(range(count), batch, EVALUATION))


def _keys(order: Sequence[int], batch: int, epoch: int) -> Iterator[Key]:
    for start in range(0, len(order), batch):
        yield epoch, tuple(order[start : start + batch])
