"""How far a map can be trusted: what happens to the score without, or with only, its hot part.

ROAD, "remove and debias" (Rong et al. 2022, arXiv:2202.00449): a removed pixel becomes the weighted
mean of its neighbours, so that neither a grey hole nor its outline tells the network anything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.types import Map

Numbers = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Shares of the picture, in per cent: those of the grad-cam library, so that numbers compare.
PERCENT = (10, 20, 30, 40, 50, 60, 70, 80, 90)
# Of normalised pixels, the paper's: without it a smooth area tells that something was there.
NOISE = 0.01
# The paper's weights: neighbours by an edge count twice as much as those by a corner.
NEIGHBOURS = {(0, 1): 1 / 6, (1, 0): 1 / 6, (1, 1): 1 / 12, (1, -1): 1 / 12}
BATCH = 9


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """What one map is worth, in softmax scores of its class, all in [0, 1].

    `shares` (P,) rise from 0.1 to 0.9 of the picture. `removed` (P,) is the score after the hottest
    share was removed, `kept` (P,) when only that share was kept, `score` that of the whole picture:
    where nothing is removed (share 0) and where all is kept (share 1).
    """

    shares: Numbers
    removed: Numbers
    kept: Numbers
    score: float

    @property
    def drop(self) -> float:
        """By how much the score falls, on average, without the hottest part; higher is better."""
        return self.score - float(self.removed.mean())

    @property
    def road(self) -> float:
        """The library's ROADCombined, in [-0.5, 0.5]: half of what `kept` is above `removed`.

        Higher is better; a map that tells nothing comes to about 0.
        """
        return float(self.kept.mean() - self.removed.mean()) / 2


def road(
    net: nn.Module,
    pixels: Tensor,
    maps: NDArray[np.floating[Any]],
    indices: Sequence[int],
    *,
    left_out: Sequence[int] = (),
    temperature: float = 1.0,
) -> list[Faithfulness]:
    """How faithful each map (M, S, S) is, for normalised pixels (1, 3, S, S) and its class (M,).

    The imputation is that of the grad-cam library's NoisyLinearImputer with seeded noise: every run
    gives the same numbers and no global generator is touched. One thing differs from the library:
    pixels are chosen by rank, so that each share is exact to a pixel. Its threshold at a percentile
    removes all or nothing where a map is flat; here pixels of one value are taken in a fixed random
    order, so that a flat area is thinned out evenly and a flat map comes to about 0.
    Classes of `left_out` do not compete for the scores; logits are divided by `temperature`.
    Takes about 3 s a map of 224 px on one core, two thirds of it for the linear systems.
    """
    scored = _Scored(net, list(left_out), temperature)
    with torch.no_grad():
        whole = scored(pixels)[0].tolist()
        filler = _Filler(pixels[0])
        return [
            _of_map(scored, filler, ranked, index, whole[index])
            for ranked, index in zip(map(_ranked, maps), indices, strict=True)
        ]


@dataclass(frozen=True)
class _Scored:
    """Softmax scores (N, K) of pixels (N, 3, S, S), 0 for classes that do not compete."""

    net: nn.Module
    left_out: list[int]
    temperature: float

    def __call__(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.net(pixels) / self.temperature
        logits[:, self.left_out] = -torch.inf
        return logits.softmax(1)


def _of_map(
    scored: _Scored, filler: "_Filler", ranked: NDArray[np.intp], index: int, score: float
) -> Faithfulness:
    pictures = (filler(mask) for mask in _masks(ranked))
    scores: list[float] = []
    while batch := list(islice(pictures, BATCH)):
        scores += scored(torch.stack(batch))[:, index].tolist()
    removed, kept = np.array(scores, np.float32).reshape(len(PERCENT), 2).T
    shares = np.array([percent / 100 for percent in PERCENT], np.float32)
    return Faithfulness(shares, removed, kept, score)


def _ranked(heat: Map) -> NDArray[np.intp]:
    """The pixels of a map (S, S), coldest first; those of one value in a fixed random order."""
    order = np.random.default_rng(0).permutation(heat.size)
    return order[np.argsort(heat.ravel()[order], kind="stable")]


def _masks(ranked: NDArray[np.intp]) -> Iterator[Mask]:
    """For each share what is left (S * S,): without the hottest, and the hottest alone."""
    for percent in PERCENT:
        coldest = ranked[: _count(100 - percent, ranked)]
        hottest = ranked[::-1][: _count(percent, ranked)]
        for pixels in (coldest, hottest):
            left = np.zeros(len(ranked), bool)
            left[pixels] = True
            yield left


def _count(percent: int, ranked: NDArray[np.intp]) -> int:
    """How many lie below NumPy's percentile when no two are alike."""
    return -(-(len(ranked) - 1) * percent // 100)


class _Filler:
    """Fills in what a mask leaves out of one picture (3, S, S).

    The equations are those of the library's imputer. It sets them up anew, cell by cell, and solves
    them as if they were not symmetric, which takes several times as long.
    """

    def __init__(self, picture: Tensor) -> None:
        from scipy import sparse

        self._picture = picture
        self._cells = picture.detach().flatten(1).T.cpu().double().numpy()
        height, width = picture.shape[1:]
        number = np.arange(height * width).reshape(height, width)
        links = []
        for (down, right), weight in NEIGHBOURS.items():
            here = number[: height - down, max(0, -right) : width - max(0, right)].ravel()
            there = here + down * width + right
            links.append((here, there, np.full(here.size, weight)))
        here, there, weights = map(np.concatenate, zip(*links, strict=True))
        shape = (number.size, number.size)
        half = sparse.csr_matrix((weights, (here, there)), shape=shape)
        both = half + half.T
        # At the border the mean is of the neighbours that there are.
        self._system = (sparse.diags(np.asarray(both.sum(1)).ravel()) - both).tocsr()

    def __call__(self, left: Mask) -> Tensor:
        """The picture (3, S, S) with all that is not in `left` (S * S,) imputed, plus noise."""
        from scipy.sparse.linalg import splu

        rows = self._system[~left]
        matrix, known = rows[:, ~left].tocsc(), -(rows[:, left] @ self._cells[left])
        solver = splu(
            matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
        noise = np.random.default_rng(0).normal(0, NOISE, known.shape)
        filled = self._cells.copy()
        filled[~left] = solver.solve(known) + noise
        return torch.from_numpy(filled.T.copy()).to(self._picture).view_as(self._picture)
