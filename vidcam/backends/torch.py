"""The torch engine: the whole network in one pass, cut at the layer.

channels_last, BatchNorm folded, half precision where the machine is faster in it. On a GPU the
pixels are uploaded as bytes from pinned memory, normalised there, and the results are copied back
while the caller prepares the next batch.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from vidcam.backends import Choice, Pending, Second
from vidcam.backends.fold import fold_batchnorm
from vidcam.backends.output import Explained, output_of
from vidcam.cam import split
from vidcam.cam.layers import layer_of
from vidcam.errors import UnknownName, UsageError
from vidcam.models import Model
from vidcam.models.heads import HeadInput, head_of
from vidcam.options import CamOptions, ModelOptions
from vidcam.types import Pixels

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Normalise(nn.Module):
    """Pixels (N, S, S, 3) uint8 to the network's input (N, 3, S, S) float32, channels last."""

    mean: Tensor
    scale: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(model.mean).view(1, 3, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(model.std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """As the class says."""
        return (pixels.permute(0, 3, 1, 2).float() - self.mean) * self.scale


class TorchBackend:
    """One network, one layer, one method, on one device."""

    name = "torch"

    def __init__(self, model: Model, options: ModelOptions, cam: CamOptions) -> None:
        self.device = choose_device(options.device)
        self.precision = choose_precision(options.precision, self.device)
        self.overlaps = self.device.startswith("cuda")
        self.layer_name = layer_of(model, cam)
        self._method = cam.cam
        sample = torch.zeros(1, 3, model.size, model.size)
        net = fold_batchnorm(model.net, sample, keep=self.layer_name)
        self._net = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._head = head_of(self._net)
        self._layer = self._net.get_submodule(self.layer_name) if self.layer_name else None
        self._normalise = Normalise(model).to(self.device)
        self._f32_tail = self._tail_runs_in_f32(model.size)

    def start(self, pixels: Pixels, choice: Choice | None, second: Second | None = None) -> Pending:
        """As `Backend`."""
        with on_device(self.device):
            return self._start(pixels, Explained(self._method, choice, second))

    def _start(self, pixels: Pixels, explained: Explained) -> Pending:
        inputs = self._normalise(upload(pixels, self.device))
        with HeadInput(self._head) as head, self._autocast():
            if self._layer is None:
                with torch.no_grad():
                    logits = self._net(inputs)
                cut = split.Cut(logits, logits, ())
            else:
                choosers = map(_weights, explained.choosers)
                cut = split.forward(self._net, self._layer, inputs, *choosers, tail=self._tail)
        return output_of(replace(cut, features=head.features(len(pixels))), explained)

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self.precision, self.device)

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
                split.forward(self._net, self._layer, blank, torch.ones_like, tail=self._tail)
        except RuntimeError:
            return False
        return True


def _weights(choose: split.Chooser) -> split.Chooser:
    """A chooser of classes as one of weights."""
    return lambda logits: split.one_hot(choose(logits), logits)


def on_device(device: str) -> AbstractContextManager[object]:
    """The context in which a GPU is the current one, for all that torch makes without naming it."""
    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()


def upload(pixels: Pixels, device: str) -> Tensor:
    """Pixels as a tensor on the device; to a GPU without waiting for it."""
    batch = torch.from_numpy(pixels)
    if device.startswith("cuda"):
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True)


def autocast(precision: str, device: str) -> AbstractContextManager[object]:
    """The context in which a network runs in a precision."""
    if precision == "f32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, DTYPES[precision])


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
        with on_device(device):
            has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if has_bf16 else "fp16"
    return "f32"
