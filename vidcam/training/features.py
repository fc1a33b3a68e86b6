"""Features: what a network gives its head, computed once for each picture and view.

Pictures are read and squared as every other command does it, so what is measured here is what
runs there.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from vidcam.backends.fold import fold_batchnorm
from vidcam.errors import SourceError
from vidcam.machine import cores
from vidcam.models.heads import head_path, replace_module
from vidcam.pictures.inputs import readable
from vidcam.pictures.reading import read_picture
from vidcam.pictures.square import square_of
from vidcam.prepare import Geometry
from vidcam.training.cores import Progress, silent
from vidcam.training.dataset import Sample
from vidcam.types import Pixels

Features = NDArray[np.float32]
# One square of a picture; the number is that of the picture.
View = Callable[[Image.Image, int], Pixels]
# What becomes of pictures that cannot be read: each path with its reason.
Unread = dict[str, str]

# At a time. On a CPU larger ones are no faster, and their tensors, which are too large to be kept
# for the next, cost up to half as much again (8 at 288 px, one thread: 42 ms a picture, 28 by 2).
CPU_BATCH, BATCH = 2, 32
# So many pictures are read and squared while the network has not come to them.
CHUNK = 32


def side_px(geometry: Geometry) -> int:
    """The side that a picture is read for, as `vidcam image` does it."""
    share = geometry.crop_share if geometry.fit == "crop" else 1.0
    return math.ceil(geometry.size / share)


def plain(geometry: Geometry) -> View:
    """The square that every other command cuts."""
    return lambda picture, _number: square_of(picture, geometry)[0]


class Backbone:
    """A network without its head, in eval mode, its BatchNorm folded: pixels to features."""

    def __init__(
        self, net: nn.Module, mean: Sequence[float], std: Sequence[float], size: int,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        """`net` stays as it is; `mean` and `std` are per channel on 0..255."""
        was_training = net.training
        net.eval()
        folded = copy.deepcopy(fold_batchnorm(net, torch.zeros(1, 3, size, size), keep=None))
        net.train(was_training)
        replace_module(folded, head_path(folded), nn.Identity())
        self._net = folded.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._batch = CPU_BATCH if device == "cpu" else BATCH
        self._mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self._scale = 1 / torch.tensor(std, device=device).view(1, 3, 1, 1)

    def __call__(self, pixels: Pixels) -> Features:
        """(N, D) float32 of (N, S, S, 3) uint8 RGB."""
        rows = []
        with torch.inference_mode():
            for start in range(0, len(pixels), self._batch):
                batch = torch.from_numpy(pixels[start : start + self._batch]).to(self._device)
                inputs = (batch.permute(0, 3, 1, 2).float() - self._mean) * self._scale
                rows.append(self._net(inputs).float().cpu().numpy())
        return np.concatenate(rows)


def gives_vectors(net: nn.Module, size: int) -> bool:
    """Whether a network hands its head one vector a picture."""
    head = net.get_submodule(head_path(net))
    seen: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(2, 3, size, size))
    finally:
        handle.remove()
    return isinstance(head, nn.Linear) and len(seen) == 1 and seen[0].ndim == 2


def features_of(
    samples: Sequence[Sample], views: Sequence[tuple[int, View]], backbone: Backbone,
    unread: Unread, progress: Progress = silent,
) -> list[Features]:  # fmt: skip
    """For each view the features (N, D) of the pictures that can be read, in order.

    A view is the side in pixels that a picture is read for, and what makes its square. Pictures
    that cannot be read are added to `unread`, and are left out. Raises SourceError when none can.
    """

    def squares(item: tuple[int, Sample]) -> list[Pixels] | None:
        number, sample = item
        try:
            pictures = {side: read_picture(sample.path, side) for side in {s for s, _ in views}}
        except SourceError as error:
            unread[sample.path] = str(error)
            return None
        return [view(pictures[side], number) for side, view in views]

    found: list[list[Features]] = [[] for _ in views]
    for group in progress(_chunks(squares, samples), math.ceil(len(samples) / CHUNK)):
        for position, rows in enumerate(found):
            pixels = [one[position] for one in group if one is not None]
            if pixels:
                rows.append(backbone(np.stack(pixels)))
    if not all(found):
        first = next(iter(unread.values()), "no picture")
        raise SourceError(f"no picture could be read: {first}")
    return [np.concatenate(rows) for rows in found]


def _chunks(
    function: Callable[[tuple[int, Sample]], list[Pixels] | None], samples: Sequence[Sample]
) -> Iterator[list[list[Pixels] | None]]:
    """Squares by the chunk; the next one is read while the caller works on this one."""
    numbered = list(enumerate(samples))
    pool = ThreadPoolExecutor(cores(), thread_name_prefix="vidcam-read")
    try:
        ready: Iterator[list[Pixels] | None] | None = None
        for start in range(0, len(numbered), CHUNK):
            coming = pool.map(function, numbered[start : start + CHUNK])
            if ready is not None:
                yield list(ready)
            ready = coming
        if ready is not None:
            yield list(ready)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def labels_of(samples: Sequence[Sample], unread: Unread) -> NDArray[np.int64]:
    """The labels of the pictures that could be read."""
    return np.array([s.label for s in samples if s.path not in unread], np.int64)


def named(unread: Unread) -> list[str]:
    """A sentence for each picture that could not be read."""
    return [readable(reason) for _, reason in sorted(unread.items())]
