"""From a cut pass to the output: which classes are explained, their maps, and the way to the host.

All of it stays on the device until the end: a logit that went to the host and back in between would
make a GPU wait.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.backends import Choice, Output, Pending, Second
from vidcam.cam import split
from vidcam.cam.layers import to_grid
from vidcam.cam.methods import METHODS


class Explained:
    """The classes that one batch's maps explain; they are known once its logits are."""

    def __init__(self, choice: Choice | None, second: Second | None) -> None:
        self.second = second
        self.classes: Tensor | None = None
        self._choice = choice

    @property
    def choose(self) -> split.Chooser | None:
        """Maps logits (N, K) to the weights (N, K) of the classes; None explains nothing."""
        return None if self._choice is None else self._chosen

    @property
    def choose_second(self) -> split.Chooser | None:
        """The same for the second map; None when it explains the same classes."""
        if self._choice is None or self.second is None or self.second.index is None:
            return None
        index = self.second.index
        return lambda logits: split.one_hot(_given(index, logits), logits)

    def _chosen(self, logits: Tensor) -> Tensor:
        assert self._choice is not None
        if self._choice.index is not None:
            self.classes = _given(self._choice.index, logits)
        else:
            if self._choice.left_out is not None:
                mask = _left_out(self._choice, str(logits.device))
                logits = logits.masked_fill(mask, -torch.inf)
            self.classes = logits.argmax(1)
        return split.one_hot(self.classes, logits)


def _given(index: int | NDArray[np.int64], logits: Tensor) -> Tensor:
    if isinstance(index, int):
        return torch.full(logits.shape[:1], index, device=logits.device)
    return torch.from_numpy(index).to(logits.device)


@lru_cache(maxsize=8)
def _left_out(choice: Choice, device: str) -> Tensor:
    return torch.from_numpy(choice.left_out).to(device)


def output_of(cut: split.Cut, explained: Explained, method: str) -> Pending:
    """The output of a pass, explained by a method of METHODS if it has a gradient."""
    if cut.gradient is None:
        return fetch([cut.logits])
    with torch.no_grad():
        activation = to_grid(cut.activation)
        found = [cut.logits, METHODS[method](activation, to_grid(cut.gradient))]
        assert explained.classes is not None
        found.append(explained.classes)
        if explained.second is not None:
            gradient = cut.gradient if cut.second is None else cut.second
            found.append(METHODS[explained.second.method](activation, to_grid(gradient)))
    return fetch(found)


def fetch(found: Sequence[Tensor]) -> Pending:
    """The fields of an Output, on their way to the host: from a GPU without waiting for it."""
    values = [value if value.dtype == torch.int64 else value.float() for value in found]
    if not values[0].is_cuda:
        output = Output(*(value.cpu().numpy() for value in values))
        return lambda: output
    hosts = [torch.empty(value.shape, dtype=value.dtype, pin_memory=True) for value in values]
    for host, value in zip(hosts, values, strict=True):
        host.copy_(value, non_blocking=True)
    done = torch.cuda.Event()  # type: ignore[no-untyped-call]
    done.record()

    def wait() -> Output:
        done.synchronize()
        return Output(*(host.numpy() for host in hosts))

    return wait
