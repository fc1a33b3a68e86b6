"""OpenVINO: the fastest engine for the trunk on a CPU (the extra `[openvino]`).

The converted trunk and the tail are kept in the user's cache: a later start reads both. It needs
the network itself no more, and does not even build the built-in one.
"""

import hashlib
import json
import logging
from contextlib import AbstractContextManager
from functools import cache, partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidcam.backends import Batches
from vidcam.backends.cache import cached
from vidcam.backends.halves import HalvesBackend, Refused, Unsuitable, fixed_sizes
from vidcam.cam.layers import layer_of
from vidcam.cam.tail import Tail, TailError
from vidcam.errors import UsageError, VidcamError
from vidcam.models import Model
from vidcam.options import CamOptions, ModelOptions
from vidcam.types import Pixels

log = logging.getLogger("vidcam")

PRECISIONS = ("f32", "bf16")
REFUSED = "unsuitable.txt"
ABOUT = "about.json"
EXPORTED, CONVERTED = "trunk.pt2", "trunk.xml"
# Part of the key: this number says that what an entry holds has changed, the versions that the
# code of a network or what is made of it may have.
FORMAT = 2
# On 2 free cores, of small networks; large ones and busy machines need a few times as much.
ABOUT_S = 10
PACKAGES = ("torch", "torchvision", "timm", "openvino")


def is_best_for(device: str, precision: str) -> bool:
    """Whether `--backend auto` takes this engine."""
    return device == "cpu" and precision in ("auto", *PRECISIONS) and is_installed()


def is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("openvino") is not None


@cache
def shared_core() -> Any:
    """OpenVINO's core, one for the process and never let go.

    Each core gives its thread a stack for signals, and frees it when it goes: of several, one may
    leave a stack that is gone, and the next Ctrl-C ends the process (2026-11, OpenVINO 2026.4.1).
    """
    import openvino

    return openvino.Core()


def openvino_backend(
    model: Model, options: ModelOptions, cam: CamOptions, batches: Batches
) -> HalvesBackend:
    """The engine. Raises Unsuitable, or UsageError when OpenVINO is not installed."""
    if not is_installed():
        raise UsageError("--backend openvino: not installed; pip install 'vidcam[openvino]'")
    if options.device not in ("auto", "cpu"):
        raise UsageError(f"--backend openvino runs on the CPU, not on --device {options.device}")
    try:
        core = shared_core()
    except Exception as error:  # a broken install raises anything
        raise Unsuitable(f"OpenVINO: {type(error).__name__}: {error}") from error
    precision = _precision(core, options.precision)
    try:
        with cached(_key(model, cam), partial(_build, model, cam)) as folder:
            if (folder / REFUSED).exists():
                raise Unsuitable((folder / REFUSED).read_text("utf-8"))
            layer = json.loads((folder / ABOUT).read_text("utf-8"))["layer"]
            trunk = OpenVINOTrunk(core, folder / CONVERTED, model, precision, batches)
            return HalvesBackend(trunk, Tail.load(folder), layer, cam.cam)
    except VidcamError:
        raise
    except (OSError, RuntimeError) as error:
        raise Unsuitable(f"OpenVINO: {error}") from error


class OpenVINOTrunk:
    """A compiled model for each batch size.

    For whole files two batches are under way, each on half of the cores: a thread that works alone
    need not wait for another one at every layer. Live, a batch has all cores, to be done sooner.
    """

    name = "openvino"
    device = "cpu"

    def __init__(
        self, core: Any, path: Path, model: Model, precision: str, batches: Batches
    ) -> None:
        self.precision = precision
        self.sizes = fixed_sizes(batches.sizes)
        self.works_apart = batches.in_turn
        settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        if batches.in_turn:
            settings |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": "2"}
        self._compiled: dict[int, Any] = {}
        self._free: dict[int, list[_Request]] = {size: [] for size in self.sizes}
        for size in self.sizes:
            network = _with_pixels(core.read_model(path), model)
            network.reshape([size, model.size, model.size, 3])
            self._compiled[size] = core.compile_model(network, "CPU", settings)

    def start(self, pixels: Pixels) -> AbstractContextManager[list[Tensor]]:
        """As `Trunk`."""
        free = self._free[len(pixels)]
        try:
            request = free.pop()
        except IndexError:
            request = _Request(self._compiled[len(pixels)].create_infer_request(), free)
        request.begin(pixels)
        return request


class _Request:
    """One of OpenVINO's requests, which holds its outputs; it returns to `free` when it is left."""

    def __init__(self, request: Any, free: "list[_Request]") -> None:
        self._request, self._free = request, free
        self._pixels: Any = None

    def begin(self, pixels: Pixels) -> None:
        import openvino

        self._pixels = openvino.Tensor(np.ascontiguousarray(pixels), shared_memory=True)
        self._request.set_input_tensor(self._pixels)
        self._request.start_async()

    def __enter__(self) -> list[Tensor]:
        self._request.wait()
        outputs = self._request.model_outputs
        return [torch.from_numpy(self._request.get_tensor(output).data) for output in outputs]

    def __exit__(self, *_: object) -> None:
        self._free.append(self)


def _with_pixels(network: Any, model: Model) -> Any:
    """The network with (N, S, S, 3) uint8 for an input, normalised inside."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(network)
    taken = steps.input()
    taken.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    taken.model().set_layout(Layout("NCHW"))
    taken.preprocess().convert_element_type(Type.f32).mean(list(model.mean)).scale(list(model.std))
    return steps.build()


def _precision(core: Any, asked: str) -> str:
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if asked == "auto":
        return "bf16" if has_bf16 else "f32"
    if asked not in PRECISIONS or (asked == "bf16" and not has_bf16):
        raise Unsuitable(f"it has no {asked} on this CPU")
    return asked


def _build(model: Model, cam: CamOptions, folder: Path) -> None:
    from vidcam.backends.convert import convert, converter
    from vidcam.backends.fold import fold_batchnorm
    from vidcam.cam.partition import PartitionError, partition

    layer = layer_of(model, cam)
    log.info("prepares %s for OpenVINO: about %d s, once for these weights", model.name, ABOUT_S)
    try:
        with converter(folder) as child:
            sample = torch.zeros(1, 3, model.size, model.size)
            halves = partition(fold_batchnorm(model.net, sample, keep=layer), layer, model.size)
            convert(halves.trunk, model.size, folder, child)
        halves.tail.save(folder)
    except (PartitionError, TailError, Refused) as error:
        (folder / REFUSED).write_text(str(error), "utf-8")
        for exported in folder.glob(f"{EXPORTED}*"):
            exported.unlink()
    (folder / ABOUT).write_text(json.dumps({"model": model.name, "layer": layer}), "utf-8")


def _key(model: Model, cam: CamOptions) -> str:
    # Not the method: without a map too the network is cut where a layer is named.
    asked = cam.layer or model.layer
    layer = [asked] if asked else None if cam.cam == "none" else []
    versions = [metadata.version(package) for package in PACKAGES]
    parts = [FORMAT, model.fingerprint, model.size, layer, *versions]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
