"""The maps of one picture, by any method: what several of them need is computed once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.cam import split
from vidcam.cam.guided import guided_backprop
from vidcam.cam.layers import Shape, to_grid
from vidcam.cam.library import Smoothing, library_map
from vidcam.cam.methods import METHODS
from vidcam.errors import UsageError
from vidcam.prepare import Geometry
from vidcam.types import Map, Rect

GUIDED, GUIDED_CAM = "guided", "guided-gradcam"
# No layer is asked for by these, and one map is made of several by that one.
LAYERLESS, COMBINING = frozenset({GUIDED, "fullgrad"}), frozenset({"refinecam"})
# These take no notice of the class.
CLASS_FREE = frozenset({"eigencam", "fem", "kpcacam", "randomcam", "segeigencam", GUIDED})
# Told of each map and of the passes of those that take long: the method, how many of how many.
Between = Callable[[str, int, int], None]
# A few pixels have gradients many times as large as all others: from this percentile on all are 1.
LARGEST = 99.5
Gradients = dict[int, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A map (h, w) in [0, 1], all zero without evidence; a guided gradient (S, S, 3), or None."""

    grid: Map
    detail: NDArray[np.float32] | None = None


class PictureMaps:
    """Maps of one picture, given as the network's input (1, 3, S, S) float32."""

    def __init__(
        self,
        net: nn.Module,
        pixels: Tensor,
        indices: Sequence[int],
        shape: Shape = None,
        between: Between = lambda *_: None,
    ) -> None:
        """`indices` are the classes whose gradients one pass is to give; `shape` is a token grid's
        height and width, None for a square one. `between` is called before each map and within
        those that take long; what it raises ends the work."""
        self._net = net
        self._pixels = pixels
        self._indices = list(dict.fromkeys(indices))
        self._grid = partial(to_grid, shape=shape)
        self._gradients: dict[str, Gradients] = {}
        self._guided: dict[int, Tensor] = {}
        self._between = between

    def peak(self, layer: str, index: int) -> float:
        """The largest cell of a class's HiResCAM map, in units of its score."""
        return float(METHODS["hirescam"](*self._at(layer)[index]).max())

    def find(self, method: str, layers: Sequence[str], index: int, smooth: Smoothing) -> Found:
        """The map of a class by a method, of several layers their mean.

        Raises UsageError when the method cannot explain this network.
        """
        self._between(method, 0, 1)
        if method in (GUIDED, GUIDED_CAM) and (smooth.aug or smooth.eigen):
            asked = "--aug-smooth" if smooth.aug else "--eigen-smooth"
            raise UsageError(f"{method} has no {asked}; leave it out or choose another method")
        if method == GUIDED:
            detail = self._detail(index)
            return Found(_strength(detail), detail)
        if method == GUIDED_CAM:
            heat = self._ours("gradcam", layers, index)
            detail = self._detail(index) * self._large(heat)[..., None]
            return Found(_strength(detail), detail)
        if method in METHODS and not (smooth.aug or smooth.eigen):
            return Found(self._ours(method, layers, index))
        if len(layers) > 1 and method not in COMBINING:
            found = [self.find(method, [layer], index, smooth).grid for layer in layers]
            return Found(_scaled(np.mean(found, axis=0)))
        modules = [self._net.get_submodule(layer) for layer in layers]
        return Found(
            library_map(
                method,
                self._net,
                modules,
                self._pixels,
                index,
                smooth=smooth,
                grid=self._grid,
                progress=partial(self._between, method),
            )
        )

    def _ours(self, method: str, layers: Sequence[str], index: int) -> Map:
        found = []
        for layer in layers:
            signed = METHODS[method](*self._at(layer)[index])[0]
            found.append(_scaled(signed.float().cpu().numpy()))
        if len(found) == 1:
            return found[0]
        return _scaled(np.mean([self._large(grid) for grid in found], axis=0))

    def _at(self, layer: str) -> Gradients:
        """A and dY/dA (1, C, h, w) of each class at a layer, from one pass."""
        if layer not in self._gradients:
            choosers = [_chooser(index) for index in self._indices]
            cut = split.forward(self._net, self._net.get_submodule(layer), self._pixels, *choosers)
            activation = self._grid(cut.activation)
            self._gradients[layer] = {
                index: (activation, self._grid(gradient))
                for index, gradient in zip(self._indices, cut.gradients, strict=True)
            }
        return self._gradients[layer]

    def _detail(self, index: int) -> NDArray[np.float32]:
        if index not in self._guided:
            self._guided[index] = guided_backprop(self._net, self._pixels, index)
        return np.asarray(self._guided[index].permute(1, 2, 0).cpu().numpy(), np.float32)

    def _large(self, grid: Map) -> Map:
        """A map at the size of the network's square."""
        height, width = self._pixels.shape[2:]
        return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR))


def filled_part(geometry: Geometry, crop: Rect) -> Rect:
    """The part of the network's square that a picture's rectangle fills: all but `pad`'s bars."""
    size = geometry.size
    width, height = size, size
    if geometry.fit == "pad":
        longest = max(crop.width, crop.height)
        width, height = (max(1, round(size * side / longest)) for side in (crop.width, crop.height))
    return Rect((size - width) // 2, (size - height) // 2, width, height)


def is_by_layer(method: str, aggregate: bool) -> bool:
    """Whether a method gives a map for each of several layers."""
    return not aggregate and method not in LAYERLESS | COMBINING


def _chooser(index: int) -> split.Chooser:
    return lambda logits: split.one_hot(
        torch.full(logits.shape[:1], index, device=logits.device), logits
    )


def _strength(detail: NDArray[np.float32]) -> Map:
    """How large each pixel's gradient is; 1 for the largest, which alone would darken the rest."""
    strength = np.abs(detail).max(2)
    most = float(np.percentile(strength, LARGEST)) or float(strength.max()) or 1.0
    return np.asarray(np.minimum(strength / most, 1), np.float32)


def _scaled(signed: NDArray[np.float32]) -> Map:
    """The positive part, its peak at 1."""
    positive = np.maximum(signed, np.float32(0))
    peak = float(positive.max())
    return np.asarray(positive / peak if peak > 0 else positive, np.float32)
