"""A network in two halves: the trunk on an engine of its own, the tail in torch."""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidcam.backends import Choice, Pending, Second
from vidcam.backends.output import Explained, output_of
from vidcam.backends.torch import on_device
from vidcam.cam import split
from vidcam.cam.tail import Tail
from vidcam.types import Pixels


class Unsuitable(Exception):
    """The engine cannot take this network, or is not usable here; says why."""


class Refused(Unsuitable):
    """It never will take this network, so that there is no need to try again."""


class Trunk(Protocol):
    """Input to CAM layer. Engines want fixed shapes: `sizes` are the batches that it takes.

    `works_apart` says that a CPU engine works on a batch while its caller does something else.
    """

    name: str
    device: str
    precision: str
    sizes: tuple[int, ...]
    works_apart: bool

    def start(self, pixels: Pixels) -> AbstractContextManager[list[Tensor]]:
        """Begin with n pictures, n in `sizes`, which must stay as they are meanwhile.

        Entering what it returns waits for A and what crosses the cut with it, (n, ...) float32;
        they are valid until it is left.
        """
        ...


class HalvesBackend:
    """Two halves as one engine; partial batches are padded, and the rest is cut off again."""

    def __init__(self, trunk: Trunk, tail: Tail, layer_name: str | None, method: str) -> None:
        self.name, self.device, self.precision = trunk.name, trunk.device, trunk.precision
        self.layer_name = layer_name
        self.overlaps = trunk.works_apart or trunk.device.startswith("cuda")
        self._trunk = trunk
        self._tail = tail
        self._method = method

    @property
    def gives_features(self) -> bool:
        """Whether an Output has the features: they come out of the linear layer's input alone."""
        return self._tail.has_head

    def start(self, pixels: Pixels, choice: Choice | None, second: Second | None = None) -> Pending:
        """As `Backend`."""
        explained = Explained(self._method, choice, second)
        if len(pixels) > max(self._trunk.sizes):
            return self._finish(nullcontext(self._in_parts(pixels)), len(pixels), explained)
        run, count = self._trunk.start(self._padded(pixels)), len(pixels)
        if self._trunk.works_apart:
            return lambda: self._finish(run, count, explained)()
        return self._finish(run, count, explained)

    def _finish(
        self, run: AbstractContextManager[list[Tensor]], count: int, explained: Explained
    ) -> Pending:
        with run as padded, OneThread(), on_device(self.device):
            activation, *crossing = (tensor[:count] for tensor in padded)
            cut = split.differentiate(self._tail, activation, crossing, *explained.choosers)
            return output_of(cut, explained)

    def _in_parts(self, pixels: Pixels) -> list[Tensor]:
        most = max(self._trunk.sizes)
        parts = []
        for at in range(0, len(pixels), most):
            part = pixels[at : at + most]
            with self._trunk.start(self._padded(part)) as padded:
                parts.append([tensor[: len(part)].clone() for tensor in padded])
        return [torch.cat(same) for same in zip(*parts, strict=True)]

    def _padded(self, pixels: Pixels) -> Pixels:
        size = min(size for size in self._trunk.sizes if size >= len(pixels))
        if len(pixels) == size:
            return pixels
        return np.concatenate((pixels, np.zeros((size - len(pixels), *pixels.shape[1:]), np.uint8)))


def fixed_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """A few batch sizes among which each of `sizes` finds one less than twice its own."""
    found = {max(sizes)}
    for size in sizes:
        found.add(min(max(sizes), 1 << (size - 1).bit_length()))
    return tuple(sorted(found))


class OneThread:
    """One thread for torch's operations: the tail is small, and the cores are the engine's.

    The number is one for the whole process, so the last engine to leave puts it back.
    """

    _lock = threading.Lock()
    _inside = 0
    _before = 1

    def __enter__(self) -> None:
        with self._lock:
            if not OneThread._inside:
                OneThread._before = torch.get_num_threads()
            OneThread._inside += 1
            torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            OneThread._inside -= 1
            if not OneThread._inside:
                torch.set_num_threads(OneThread._before)
