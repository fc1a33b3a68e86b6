"""How near a picture is to those that a network has learnt from.

A score says which of the classes fits best, not whether any does: of two classes one always has
half of it. A picture of another kind betrays itself by its features, which lie far from all that
were learnt from (Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors",
arXiv:2204.06507).
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Features = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """`features` (M, D) float16 of unit length, of pictures that were learnt from; `least` is the
    cosine to the nearest one below which a picture is of none of the classes."""

    features: NDArray[np.float16]
    least: float

    def nearness(self, features: Features) -> NDArray[np.float32]:
        """(N,) the cosine between features (N, D), of any length, and the nearest ones."""
        with _one_thread():
            return np.asarray((unit(features) @ self._transposed).max(axis=1), np.float32)

    @cached_property
    def _transposed(self) -> NDArray[np.float32]:
        # At their length once more: float16 rounded it, and others may have written the checkpoint.
        return np.ascontiguousarray(unit(self.features).T)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _one_thread() -> AbstractContextManager[object]:
    """One thread for numpy's products: others that wait for more of them take the cores of who
    decodes, runs the network and encodes (2026-11, a video on 2 cores: 17.5 -> 15.1 ms a frame)."""
    limit: AbstractContextManager[object] = _blas().limit(limits=1)
    return limit


def unit(features: Features) -> NDArray[np.float32]:
    """Features (N, D) at length 1; those without a length stay 0."""
    rows = np.asarray(features, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
