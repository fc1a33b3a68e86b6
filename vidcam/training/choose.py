"""Which input size, fit and regularisation suit a set of pictures: cross-validation inside it.

What is chosen is what has the least mean cross-entropy on pictures that were not learnt from. It
tells more than the accuracy: of 200 pictures one more that is right is half a per cent, while the
scores of all of them move the loss. Pictures that look alike are in one fold, since a head that has
seen one of them knows the others. Pictures that validate a run have no part in any of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.prepare import Geometry
from vidcam.training.cores import on_all_cores
from vidcam.training.duplicates import near_groups
from vidcam.training.examine import glance
from vidcam.training.features import Features
from vidcam.training.logistic import Labels, Score, losses, score, solve

FOLDS = 5
# A convolutional network sees more detail in larger squares than it was trained on (Touvron et
# al., "Fixing the train-test resolution discrepancy", 2019).
GROWTHS = (1.0, 8 / 7, 9 / 7)
FITS = ("crop", "stretch")
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
# Enough to tell the squares apart.
FEW_STRENGTHS = (0.03, 0.3, 1.0)


@dataclass(frozen=True, eq=False)
class Trial:
    """What was tried, and how it did on held-out folds; `losses` (N,) are those of each picture."""

    geometry: Geometry
    strength: float
    score: Score
    losses: NDArray[np.float64]


def sizes_of(own: Geometry, imgsz: int | None) -> list[int]:
    """The sizes to choose from, rising from the network's own; one that the user fixed stays."""
    return [imgsz] if imgsz else [round(own.size * growth / 32) * 32 for growth in GROWTHS]


def groups_of(paths: Sequence[str]) -> NDArray[np.int64]:
    """(N,) a number for each picture, the same for those that look alike: frames of one scene."""
    examined = list(on_all_cores(glance, paths))
    groups = np.arange(len(paths))
    sound = [index for index, one in enumerate(examined) if not one.fault]
    if sound:
        for alike in near_groups(np.stack([examined[index].thumbnail for index in sound])):
            groups[[sound[position] for position in alike]] = sound[alike[0]]
    return groups


def folds_of(labels: Labels, groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(N,) the fold of each picture: each class is dealt out evenly, a group into one fold.

    A class of a single group is dealt out all the same, or none would learn it.
    """
    rng = np.random.default_rng(seed)
    folds = np.empty(len(labels), np.int64)
    sizes = np.zeros(FOLDS, np.int64)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        names, counts = np.unique(groups[own], return_counts=True)
        if len(names) == 1:
            deals = [own[[position]] for position in range(len(own))]
        else:
            shuffled = rng.permutation(len(names))
            large_first = shuffled[np.argsort(-counts[shuffled], kind="stable")]
            deals = [own[groups[own] == names[n]] for n in large_first]
        dealt = np.zeros(FOLDS, np.int64)
        for deal in deals:
            fold = np.lexsort((sizes, dealt))[0]
            folds[deal] = fold
            dealt[fold] += len(deal)
            sizes[fold] += len(deal)
    return folds


def held_out(
    views: Sequence[Features], labels: Labels, folds: NDArray[np.int64], strength: float,
    balance: bool = False,
) -> NDArray[np.float32]:  # fmt: skip
    """Logits (N, K) of each picture by a head that has learnt from the other folds.

    `views` are features (N, D) of the same pictures: all of them are learnt from, a picture's views
    in one fold, and the first is classified.
    """
    classes = int(labels.max()) + 1
    logits = np.empty((len(labels), classes), np.float32)
    for fold in np.unique(folds):
        out = folds == fold
        rows = np.concatenate([view[~out] for view in views])
        head = solve(rows, np.tile(labels[~out], len(views)), classes, strength, balance)
        logits[out] = head(views[0][out])
    return logits


def trials(
    geometry: Geometry, views: Sequence[Features], labels: Labels, folds: NDArray[np.int64],
    strengths: Sequence[float] = STRENGTHS, balance: bool = False,
) -> list[Trial]:  # fmt: skip
    """How each strength does with a square, by cross-validation."""
    found = []
    for one in strengths:
        logits = held_out(views, labels, folds, one, balance)
        found.append(Trial(geometry, one, score(logits, labels), losses(logits, labels)))
    return found


def best_of(tried: Sequence[Trial]) -> Trial:
    """The one of the least loss."""
    return min(tried, key=lambda trial: trial.score.loss)


def preferred(tried: Sequence[Trial]) -> Trial:
    """The first that is not worse than the best by more than the standard error of the difference.

    Of so few pictures a smaller difference is luck, and what is usually better stands first.
    """
    best = best_of(tried)
    for one in tried:
        more = one.losses - best.losses
        if more.mean() <= more.std() / math.sqrt(len(more)):
            return one
    return best


def few_of(labels: Labels, most: int, seed: int) -> NDArray[np.int64]:
    """Indices, rising, of at most about `most` pictures, evenly from each class."""
    if len(labels) <= most:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    each = max(1, most // len(classes))
    chosen = [rng.permutation(np.flatnonzero(labels == one))[:each] for one in classes]
    return np.sort(np.concatenate(chosen))
