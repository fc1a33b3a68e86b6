"""From a cut pass to the output: which classes are explained, their maps, and the way to the host.

All of it stays on the device until the end: a logit that went to the host and back in between would
make a GPU wait.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.backends import Choice, Output, Pending, Second
from vidcam.cam import split
from vidcam.cam.layers import to_grid
from vidcam.cam.methods import GRADIENT_FREE, METHODS


class Explained:
    """What one batch's maps explain, by a method of METHODS: known once its logits are."""

    def __init__(self, method: str, choice: Choice | None, second: Second | None) -> None:
        self.method = method
        self.choice = choice
        self.second = second
        self._classes: Tensor | None = None

    @property
    def choosers(self) -> list[split.Chooser]:
        """What maps logits (N, K) to the classes (N,) of each gradient that is needed."""
        methods = {self.method} | ({self.second.method} if self.second else set())
        if self.choice is None or methods <= GRADIENT_FREE:
            return []
        if self.second is None or self.second.index is None:  # it explains the same classes
            return [self.classes]
        index = self.second.index
        return [self.classes, lambda logits: _given(index, logits)]

    def classes(self, logits: Tensor) -> Tensor:
        """The class (N,) of each picture that is explained, given its logits (N, K)."""
        assert self.choice is not None
        if self._classes is None:
            if self.choice.index is not None:
                self._classes = _given(self.choice.index, logits)
            elif self.choice.left_out is not None:
                mask = _left_out(self.choice, str(logits.device))
                self._classes = logits.masked_fill(mask, -torch.inf).argmax(1)
            else:
                self._classes = logits.argmax(1)
        return self._classes


def _given(index: int | NDArray[np.int64], logits: Tensor) -> Tensor:
    if isinstance(index, int):
        return torch.full(logits.shape[:1], index, device=logits.device)
    return torch.from_numpy(index).to(logits.device)


@lru_cache(maxsize=8)
def _left_out(choice: Choice, device: str) -> Tensor:
    return torch.from_numpy(choice.left_out).to(device)


def output_of(cut: split.Cut, explained: Explained) -> Pending:
    """The output of a pass, with maps if it is to be explained."""
    found = {"logits": cut.logits}
    if cut.features is not None:
        found["features"] = cut.features
    if explained.choice is None:
        return fetch(found)
    with torch.no_grad():
        activation = to_grid(cut.activation)
        # Without a gradient the method is one that ignores it.
        gradients = [to_grid(gradient) for gradient in cut.gradients] or [activation]
        found["maps"] = METHODS[explained.method](activation, gradients[0])
        found["classes"] = explained.classes(cut.logits)
        if explained.second is not None:
            found["second_maps"] = METHODS[explained.second.method](activation, gradients[-1])
    return fetch(found)


def fetch(found: Mapping[str, Tensor]) -> Pending:
    """The fields of an Output, on their way to the host: from a GPU without waiting for it."""
    values = {
        name: value if value.dtype == torch.int64 else value.float()
        for name, value in found.items()
    }
    first = values["logits"]
    if not first.is_cuda:
        output = Output(**{name: value.cpu().numpy() for name, value in values.items()})
        return lambda: output
    hosts = {
        name: torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
        for name, value in values.items()
    }
    for name, value in values.items():
        hosts[name].copy_(value, non_blocking=True)
    done = torch.cuda.Event()  # type: ignore[no-untyped-call]
    done.record(torch.cuda.current_stream(first.device))

    def wait() -> Output:
        done.synchronize()
        return Output(**{name: host.numpy() for name, host in hosts.items()})

    return wait
