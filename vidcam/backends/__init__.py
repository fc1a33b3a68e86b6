"""Engines that run a network: uint8 pixels in, logits and what a map needs out.

`torch` runs the whole network in one pass. The others run the trunk, input to CAM layer, on an
engine of their own; what lies behind the layer stays in torch, so every map is exact.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vidcam.models import Model
from vidcam.options import CamOptions, ModelOptions
from vidcam.types import Map, Pixels

log = logging.getLogger("vidcam")


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Which class of each picture is explained: the best that competes, unless `index` is given.

    `index` is one class for all pictures, or (N,) one for each. `left_out` (K,) bool says which
    classes do not compete; None lets all compete.
    """

    index: int | NDArray[np.int64] | None = None
    left_out: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Second:
    """Another explanation of the same pictures: a method, and a class (None: the same ones)."""

    method: str
    index: int | None


@dataclass(frozen=True, slots=True)
class Output:
    """One batch's result: logits (N, K) float32 and, if asked for, signed maps (N, h, w).

    `classes` (N,) are those that the maps explain. `features` (N, D) float32 are what the head was
    given, None where the engine does not know it.
    """

    logits: NDArray[np.float32]
    maps: Map | None = None
    classes: NDArray[np.int64] | None = None
    second_maps: Map | None = None
    features: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Batches:
    """What an engine will be given: mostly batches of `sizes`.

    `in_turn` says that the next one comes before the one under way is asked for.
    """

    sizes: Sequence[int] = (1,)
    in_turn: bool = False


ONE_BY_ONE = Batches()
Pending = Callable[[], Output]


class Backend(Protocol):
    """An engine.

    `name` is that of `--backend`. `overlaps` says that `start` returns before the work is done, so
    that the caller can prepare the next batch meanwhile.
    """

    name: str
    device: str
    precision: str
    layer_name: str | None
    overlaps: bool

    def start(self, pixels: Pixels, choice: Choice | None, second: Second | None = None) -> Pending:
        """Begin to classify pixels (N, S, S, 3) uint8 RGB; what it returns waits for the result.

        `choice` None explains nothing; `second` asks for a second map of each picture that is
        explained. The pixels must stay as they are until the result is there.
        """
        ...


def load_backend(
    model: Model, options: ModelOptions, cam: CamOptions, batches: Batches = ONE_BY_ONE
) -> Backend:
    """The engine that the options ask for, prepared for some batches.

    A network that an engine cannot take runs on torch, which is said. Raises UsageError when what
    is asked for is not there.
    """
    from vidcam.backends import openvino
    from vidcam.backends.compile import compile_backend
    from vidcam.backends.halves import Unsuitable
    from vidcam.backends.torch import TorchBackend, choose_device

    device = choose_device(options.device)
    name = options.backend
    if name == "auto":
        name = "openvino" if openvino.is_best_for(device, options.precision) else "torch"
    try:
        if name != "torch":
            prepare = compile_backend if name == "compile" else openvino.openvino_backend
            backend = prepare(model, options, cam, batches)
            if model.neighbours is not None and not backend.gives_features:
                raise Unsuitable("it keeps back what the head is given, which tells the unknown")
            return backend
    except Unsuitable as error:
        log.warning("%s: runs on torch instead of %s: %s", model.name, name, error)
    return TorchBackend(model, options, cam)
