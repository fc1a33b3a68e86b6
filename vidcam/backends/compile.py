"""torch.compile: the trunk as generated code, on a CPU or a GPU.

It compiles at the start, for some ten seconds (2026-11: EfficientNet-Lite0 on 2 cores).
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from vidcam.backends import Batches, Choice
from vidcam.backends.fold import fold_batchnorm
from vidcam.backends.halves import HalvesBackend, Unsuitable, fixed_sizes
from vidcam.backends.torch import (
    Normalise,
    autocast,
    choose_device,
    choose_precision,
    on_device,
    upload,
)  # fmt: skip
from vidcam.cam.layers import layer_of
from vidcam.cam.partition import PartitionError, partition
from vidcam.cam.tail import TailError
from vidcam.models import Model
from vidcam.options import CamOptions, ModelOptions
from vidcam.types import Pixels


def compile_backend(
    model: Model, options: ModelOptions, cam: CamOptions, batches: Batches
) -> HalvesBackend:
    """The engine, compiled. Raises Unsuitable."""
    device = choose_device(options.device)
    if device == "mps":
        raise Unsuitable("it is for CPUs and CUDA")
    precision = choose_precision(options.precision, device)
    layer = layer_of(model, cam)
    sample = torch.zeros(1, 3, model.size, model.size)
    try:
        halves = partition(fold_batchnorm(model.net, sample, keep=layer), layer, model.size)
    except (PartitionError, TailError) as error:
        raise Unsuitable(str(error)) from error
    trunk = CompiledTrunk(
        nn.Sequential(Normalise(model), halves.trunk), device, precision, batches.sizes
    )
    backend = HalvesBackend(trunk, halves.tail.to(device), layer, cam.cam)
    choice = Choice() if layer else None
    try:
        for size in trunk.sizes:
            backend.start(np.zeros((size, model.size, model.size, 3), np.uint8), choice)()
    except Exception as error:  # the compiler raises whatever its parts raise
        text = str(error).strip().partition("\n")[0]
        raise Unsuitable(f"torch.compile: {type(error).__name__}: {text}") from error
    return backend


class CompiledTrunk:
    """Normalisation and trunk in one compiled graph for each batch size."""

    name = "compile"
    works_apart = False

    def __init__(self, trunk: nn.Module, device: str, precision: str, sizes: Sequence[int]) -> None:
        self.device, self.precision = device, precision
        self.sizes = fixed_sizes(sizes)
        placed = trunk.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._trunk: Callable[[Tensor], tuple[Tensor, ...]] = torch.compile(placed, dynamic=False)

    def start(self, pixels: Pixels) -> AbstractContextManager[list[Tensor]]:
        """As `Trunk`."""
        with (
            torch.no_grad(), on_device(self.device), autocast(self.precision, self.device),
            warnings.catch_warnings(),
        ):  # fmt: skip
            warnings.simplefilter("ignore")
            found = self._trunk(upload(pixels, self.device))
            return nullcontext([tensor.float() for tensor in found])
