"""Engines that run a network: uint8 pixels in, logits and what a map needs out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import UsageError
from vidcam.models import Model
from vidcam.options import CamOptions, ModelOptions
from vidcam.types import Map, Pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    Chooser = Callable[[NDArray[np.float32]], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Second:
    """Another explanation of the same pictures: a method, and classes (None: the same ones)."""

    method: str
    choose: "Chooser | None"


@dataclass(frozen=True, slots=True)
class Output:
    """One batch's result: logits (N, K) float32 and, if asked for, signed maps (N, h, w)."""

    logits: NDArray[np.float32]
    maps: Map | None
    second_maps: Map | None = None


class Backend(Protocol):
    """An engine."""

    device: str
    precision: str
    layer_name: str | None

    def __call__(
        self, pixels: Pixels, choose: "Chooser | None", second: Second | None = None
    ) -> Output:
        """Classify pixels (N, S, S, 3) uint8 RGB.

        `choose` maps logits (N, K) to the class (N,) of each picture that is explained; None
        explains nothing. `second` asks for a second map of each picture that is explained.
        """
        ...


def load_backend(model: Model, options: ModelOptions, cam: CamOptions) -> Backend:
    """The engine that the options ask for. Raises UsageError when it is not there."""
    if options.backend not in ("auto", "torch"):
        raise UsageError(
            f"--backend {options.backend} is not part of this version of vidcam; use torch or auto"
        )
    from vidcam.backends.torch import TorchBackend

    return TorchBackend(model, options, cam)
