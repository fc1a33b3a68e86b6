"""OpenVINO: the fastest engine for the trunk on a CPU (the extra `[openvino]`).

The converted trunk and the tail are kept in the user's cache: a later start reads both and builds
no network at all.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidcam.backends.cache import cached, drop
from vidcam.backends.halves import HalvesBackend, Unsuitable, fixed_sizes
from vidcam.cam.tail import Tail, TailError
from vidcam.errors import UsageError
from vidcam.models import Model
from vidcam.options import CamOptions, ModelOptions
from vidcam.types import Pixels

log = logging.getLogger("vidcam")

PRECISIONS = {"f32": "FP32", "bf16": "BF16"}
REFUSED = "unsuitable.txt"
ABOUT = "about.json"
# Part of the key: what is in an entry has changed.
FORMAT = 1


def is_best_for(device: str, precision: str) -> bool:
    """Whether `--backend auto` takes this engine."""
    return device == "cpu" and precision in ("auto", *PRECISIONS) and is_installed()


def is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("openvino") is not None


def openvino_backend(
    model: Model, options: ModelOptions, cam: CamOptions, sizes: Sequence[int]
) -> HalvesBackend:
    """The engine. Raises Unsuitable, or UsageError when OpenVINO is not installed."""
    if not is_installed():
        raise UsageError("--backend openvino: not installed; pip install 'vidcam[openvino]'")
    if options.device not in ("auto", "cpu"):
        raise UsageError(f"--backend openvino runs on the CPU, not on --device {options.device}")
    key = _key(model, cam)
    build = partial(_build, model, cam)
    for last in (False, True):
        with cached(key, build) as folder:
            if (folder / REFUSED).exists():
                raise Unsuitable((folder / REFUSED).read_text())
            try:
                return _load(folder, model, options.precision, sizes, cam)
            except Unsuitable:
                raise
            except Exception as error:  # a broken entry makes its readers raise all sorts
                if last:
                    raise Unsuitable(f"OpenVINO: {error}") from error
                log.warning("what was kept for %s is broken; it is made anew", model.name)
                log.debug("the entry %s", key, exc_info=True)
        drop(key)
    raise AssertionError("unreachable")


class OpenVINOTrunk:
    """A compiled model for each batch size; all share what `core.read_model` gives."""

    name = "openvino"
    device = "cpu"

    def __init__(self, path: Path, model: Model, precision: str, sizes: Sequence[int]) -> None:
        import openvino

        core = openvino.Core()
        self.precision = _precision(core, precision)
        self.sizes = fixed_sizes(sizes)
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._requests: dict[int, Any] = {}
        for size in self.sizes:
            network = _with_pixels(core.read_model(path), model)
            network.reshape([size, model.size, model.size, 3])
            compiled = core.compile_model(network, "CPU", settings)
            self._requests[size] = compiled.create_infer_request()
        self._tensor = openvino.Tensor

    def __call__(self, pixels: Pixels) -> list[Tensor]:
        """As `Trunk`."""
        request = self._requests[len(pixels)]
        request.set_input_tensor(self._tensor(np.ascontiguousarray(pixels), shared_memory=True))
        request.infer()
        outputs = request.model_outputs
        return [torch.from_numpy(request.get_tensor(output).data) for output in outputs]


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


def _load(
    folder: Path, model: Model, precision: str, sizes: Sequence[int], cam: CamOptions
) -> HalvesBackend:
    from vidcam.backends.convert import CONVERTED

    about = json.loads((folder / ABOUT).read_text())
    trunk = OpenVINOTrunk(folder / CONVERTED, model, precision, sizes)
    return HalvesBackend(trunk, Tail.load(folder), about["layer"], cam.cam)


def _build(model: Model, cam: CamOptions, folder: Path) -> None:
    from vidcam.backends.convert import convert
    from vidcam.backends.fold import fold_batchnorm
    from vidcam.cam.layers import layer_of
    from vidcam.cam.partition import PartitionError, partition

    log.info("prepares %s for OpenVINO; this is kept for later starts", model.name)
    layer = layer_of(model, cam)
    try:
        sample = torch.zeros(1, 3, model.size, model.size)
        halves = partition(fold_batchnorm(model.net, sample, keep=layer), layer, model.size)
        halves.tail.save(folder)
        convert(halves.trunk, model.size, folder)
    except (PartitionError, TailError, Unsuitable) as error:
        (folder / REFUSED).write_text(str(error))
    (folder / ABOUT).write_text(json.dumps({"model": model.name, "layer": layer}))


def _key(model: Model, cam: CamOptions) -> str:
    layer = "none" if cam.cam == "none" else cam.layer or model.layer or "default"
    versions = [metadata.version(package) for package in ("torch", "openvino")]
    parts = [FORMAT, model.fingerprint, model.size, layer, *versions]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
