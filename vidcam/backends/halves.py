"""A network in two halves: the trunk on an engine of its own, the tail in torch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidcam.backends import Choice, Pending, Second
from vidcam.backends.output import Explained, output_of
from vidcam.cam import split
from vidcam.cam.tail import Tail
from vidcam.types import Pixels


class Unsuitable(Exception):
    """The engine cannot take this network, or is not usable here; says why."""


class Trunk(Protocol):
    """Input to CAM layer. Engines want fixed shapes: `sizes` are the batches that it takes."""

    name: str
    device: str
    precision: str
    sizes: tuple[int, ...]

    def __call__(self, pixels: Pixels) -> list[Tensor]:
        """A and what crosses the cut with it, (n, ...) float32, of n pictures; n is in `sizes`.

        They are valid until the next call.
        """
        ...


class HalvesBackend:
    """Two halves as one engine; partial batches are padded, and the rest is cut off again."""

    overlaps = False

    def __init__(self, trunk: Trunk, tail: Tail, layer_name: str | None, method: str) -> None:
        self.name, self.device, self.precision = trunk.name, trunk.device, trunk.precision
        self.layer_name = layer_name
        self._trunk = trunk
        self._tail = tail
        self._method = method
        self._padded: dict[int, Pixels] = {}

    def start(self, pixels: Pixels, choice: Choice | None, second: Second | None = None) -> Pending:
        """As `Backend`."""
        explained = Explained(self._method, choice, second)
        with one_thread():
            activation, *crossing = self._run(pixels)
            cut = split.differentiate(
                self._tail, activation, crossing, explained.choose, explained.choose_second
            )
            return output_of(cut, explained)

    def _run(self, pixels: Pixels) -> list[Tensor]:
        most = max(self._trunk.sizes)
        if len(pixels) <= most:
            return self._run_padded(pixels)
        parts = [
            [tensor.clone() for tensor in self._run_padded(pixels[at : at + most])]
            for at in range(0, len(pixels), most)
        ]
        return [torch.cat(same) for same in zip(*parts, strict=True)]

    def _run_padded(self, pixels: Pixels) -> list[Tensor]:
        count = len(pixels)
        size = min(size for size in self._trunk.sizes if size >= count)
        if count == size:
            return self._trunk(pixels)
        if size not in self._padded:
            self._padded[size] = np.zeros((size, *pixels.shape[1:]), np.uint8)
        padded = self._padded[size]
        padded[:count] = pixels
        return [tensor[:count] for tensor in self._trunk(padded)]


def fixed_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """A few batch sizes among which each of `sizes` finds one less than twice its own."""
    found = {max(sizes)}
    for size in sizes:
        found.add(min(max(sizes), 1 << (size - 1).bit_length()))
    return tuple(sorted(found))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch's operations: the tail is small, and the cores are the engine's."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
