"""The network in eager torch, on any device, cut at the CAM layer.

Why bf16 where the CPU has it (2026-11, EfficientNet-Lite0, batch 8, 2 cores): 4.0 ms a picture
against 8.8 in f32; docs/fit.md has what it does to the labels.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from vidcam.backends import Output, Second
from vidcam.backends.fold import fold_batchnorm
from vidcam.cam import split
from vidcam.cam.layers import check_layer, default_layer, to_grid
from vidcam.cam.methods import METHODS
from vidcam.errors import UnknownName, UsageError
from vidcam.models import Model
from vidcam.options import CamOptions, ModelOptions
from vidcam.types import Pixels

if TYPE_CHECKING:
    from vidcam.backends import Chooser

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """One network, one layer, one method, on one device."""

    def __init__(self, model: Model, options: ModelOptions, cam: CamOptions) -> None:
        self.device = choose_device(options.device)
        self.precision = choose_precision(options.precision, self.device)
        self.method = METHODS.get(cam.cam)
        self.layer_name: str | None = None
        if self.method:
            asked = cam.layer or model.layer
            if asked:
                check_layer(model.net, asked, model.size)
            self.layer_name = asked or default_layer(model.net, model.size)
        sample = torch.zeros(1, 3, model.size, model.size)
        net = fold_batchnorm(model.net, sample, keep=self.layer_name)
        self._net = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._layer = self._net.get_submodule(self.layer_name) if self.layer_name else None
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(model.mean, device=self.device).view(shape)
        self._scale = 1 / torch.tensor(model.std, device=self.device).view(shape)
        self._f32_tail = self._tail_runs_in_f32(model.size)

    def __call__(
        self, pixels: Pixels, choose: "Chooser | None", second: Second | None = None
    ) -> Output:
        """As `Backend`."""
        batch = torch.from_numpy(pixels).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        inputs = (batch.float() - self._mean) * self._scale
        if self._layer is None:
            with torch.no_grad(), self._autocast():
                return Output(_numpy(self._net(inputs)), None)
        chooser = None if choose is None else _torch_chooser(choose)
        other = _torch_chooser(second.choose) if second and second.choose else None
        with self._autocast():
            cut = split.forward(self._net, self._layer, inputs, chooser, self._tail, other)
        if cut.gradient is None or self.method is None:
            return Output(_numpy(cut.logits), None)
        with torch.no_grad():
            activation = to_grid(cut.activation)
            maps = self.method(activation, to_grid(cut.gradient))
            if second is None:
                return Output(_numpy(cut.logits), _numpy(maps))
            gradient = cut.gradient if cut.second is None else cut.second
            others = METHODS[second.method](activation, to_grid(gradient))
        return Output(_numpy(cut.logits), _numpy(maps), _numpy(others))

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == "f32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, DTYPES[self.precision])

    def _tail(self) -> AbstractContextManager[object]:
        if self.precision == "f32" or not self._f32_tail:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, enabled=False)

    def _tail_runs_in_f32(self, size: int) -> bool:
        """Whether nothing in half precision crosses the cut into an f32 layer."""
        self._f32_tail = True
        if self._layer is None or self.precision == "f32":
            return True
        blank = torch.zeros(1, 3, size, size, device=self.device)
        try:
            with self._autocast():
                split.forward(self._net, self._layer, blank, torch.ones_like, self._tail)
        except RuntimeError:
            return False
        return True


def choose_device(name: str) -> str:
    """The device of `--device`. Raises UsageError when it is not there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "mps" if torch.backends.mps.is_available() else "cpu"
    if name.startswith("cuda") and int(name.partition(":")[2] or 0) >= count:
        raise UsageError(f"--device {name}: torch sees {count} GPUs; vidcam doctor says why")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: this machine has no Metal")
    return name


def choose_precision(name: str, device: str) -> str:
    """The precision of `--precision`; `auto` is the fastest that keeps the labels."""
    if name not in ("auto", *DTYPES):
        raise UnknownName("precision", name, ("auto", *DTYPES))
    if name != "auto":
        return name
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
        return "bf16" if fast else "f32"
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "f32"


def _torch_chooser(choose: "Chooser") -> split.Chooser:
    def chooser(logits: torch.Tensor) -> torch.Tensor:
        classes = torch.from_numpy(choose(_numpy(logits))).to(logits.device)
        return split.one_hot(classes, logits)

    return chooser


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
