"""Batches of augmented pictures, in an order that seed and epoch decide alone."""

import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidcam.errors import SourceError, VidcamError
from vidcam.machine import cores
from vidcam.pictures.reading import read_picture
from vidcam.pictures.square import square_of
from vidcam.prepare import Geometry
from vidcam.training.augment import GEOMETRIES, Preset, preset
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
    """A whole batch by its key: of `val` in evaluation, else of `train`.

    Fit to be sent to another process.
    """

    def __init__(
        self, train: Sequence[Sample], val: Sequence[Sample], geometry: Geometry,
        augment: str, seed: int,
    ) -> None:  # fmt: skip
        self._train, self._val, self._geometry = train, val, geometry
        self._augment, self._seed = augment, seed
        self._preset: Preset | None = None
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_preset": None, "_pool": None}

    def __getitem__(self, key: Key) -> Batch:
        """The pictures of a batch that can be read."""
        epoch, numbers = key
        samples = self._val if epoch == EVALUATION else self._train
        if self._pool is None:
            in_worker = torch.utils.data.get_worker_info() is not None
            self._pool = ThreadPoolExecutor(1 if in_worker else cores(), "vidcam-read")
        squares = list(
            self._pool.map(lambda number: self._square(samples[number], epoch, number), numbers)
        )
        unread = {
            samples[number].path: square
            for number, square in zip(numbers, squares, strict=True)
            if isinstance(square, str)
        }
        kept = [n for n, square in enumerate(squares) if not isinstance(square, str)]
        size = self._geometry.size
        pixels = np.stack([squares[n] for n in kept]) if kept else np.empty((0, size, size, 3))
        labels = np.array([samples[numbers[n]].label for n in kept], np.int64)
        return Batch(pixels.astype(np.uint8, copy=False), labels, unread)

    def _square(self, sample: Sample, epoch: int, number: int) -> Pixels | str:
        """A picture's square, or why there is none."""
        try:
            picture = read_picture(sample.path, side_px(self._geometry))
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

    def __call__(self, keys: Sequence[Key]) -> Generator[Batch, None, None]:
        """The batches of keys, in order."""
        self._keys[:] = keys
        with _deaf():
            batches = iter(self._loader)
        yield from batches

    def close(self) -> None:
        """Let threads and processes go."""
        self._pictures.close()
        del self._loader


@contextmanager
def readers_watched() -> Iterator[None]:
    """Raise VidcamError when a process that reads is gone, which torch says wherever one is."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise VidcamError(
            "a process that reads pictures was ended from outside, perhaps for want of memory; "
            "fewer --workers need less, and --resume goes on"
        ) from error


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes begun meanwhile hear no Ctrl-C, which a terminal sends to all: this one decides.

    SIGTERM too: whoever stops a service sends it to all of them. This process gets its own later.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it unblocks both when it is begun
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
