"""When a classifier should rather say "unknown": a temperature and a threshold for each class.

The temperature makes the scores honest (Guo et al. 2017, arXiv:1706.04599): the logits are divided
by it before the softmax. A class counts as unknown where its honest score is below that of nearly
all pictures on which the class was right, which is the maximum softmax probability of Hendrycks and
Gimpel (2017, arXiv:1610.02136) with a threshold of its own for each class. Of few classes that says
little: what is strange to two of them may be far on one side of what divides them. So a picture
also counts as unknown where its features are farther from all that were learnt from than nearly all
pictures of the classes are (`neighbours.py`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from vidcam.errors import UsageError
from vidcam.neighbours import Neighbours, unit

KEEP = 0.95
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
# Scores are compared in single precision elsewhere: the threshold lies below by more than that.
SLACK = 1e-6
# In bf16 a cosine moves by 0.003 (root mean square of 240 pictures), at most by 0.012.
NEAR_SLACK = 0.01
# So many pictures stay with a model: 2.5 MB of 1280 features each.
MOST_NEIGHBOURS = 1000
# A class with so many pictures needs no others, whatever share is to be kept.
MOST_WANTED = 100

Numbers = NDArray[np.floating[Any]]
Indices = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Unknown:
    """`temperature` above 0; `thresholds` (K,) float64 in [0, 1], of the scores at it; `neighbours`
    None where only the scores tell."""

    temperature: float
    thresholds: NDArray[np.float64]
    neighbours: Neighbours | None = None


@dataclass(frozen=True, eq=False)
class Learnt:
    """`features` (M, D), of unit length, of pictures that were learnt from, and the `nearness` (n,)
    to them of pictures that should be known, each the cosine to one that is not like itself."""

    features: NDArray[np.float16]
    nearness: NDArray[np.float32]

    @classmethod
    def of(cls, features: Numbers, folds: Indices, others: Numbers) -> "Learnt":
        """Of features (M, D) in folds (M,), and those (N, D) of pictures that were not learnt from.

        Those learnt from are held against what lies in other folds; look-alikes share one. In a
        single fold they say nothing: a network that has learnt all of its weights from pictures
        gives them features that lie closer together than those of others.
        """
        rows = unit(features)
        among = rows @ rows.T
        among[folds[:, None] == folds[None]] = -np.inf
        near = np.concatenate([among.max(axis=1), (unit(others) @ rows.T).max(axis=1)])
        return cls(rows.astype(np.float16), near[np.isfinite(near)].astype(np.float32))


@dataclass(frozen=True, slots=True)
class Said:
    """How often unknown was said, as shares in [0, 1].

    `kept` of the pictures that were answered rightly stayed known, None without one; `of_known` of
    all pictures of known classes were called unknown, and `of_strange` of the `strange` ones of
    classes that the model lacks, None without one.
    """

    temperature: float
    kept: float | None
    of_known: float
    strange: int
    of_strange: float | None


def fit_unknown(
    logits: Numbers, labels: Indices, keep: float = KEEP, learnt: Learnt | None = None
) -> Unknown:
    """The temperature and thresholds of validation pictures, logits (N, K), labels (N,).

    Of the pictures on which a class was right the share `keep` at least, in (0, 1], stays known,
    and of new ones of its kind about as many. A class with few of those (under keep / (1 - keep),
    19 by default) has no such share of its own: the pictures on which the other classes were right
    make the number up, with less weight each. A class with none takes theirs. With `learnt`, scores
    and features may each call half of the rest unknown. Raises UsageError without pictures.
    """
    if not len(labels):
        raise UsageError("thresholds for unknown need validation pictures: there are none")
    temperature = fit_temperature(logits, labels)
    neighbours = None
    if learnt is not None:
        keep = (1 + keep) / 2
        near = np.asarray(learnt.nearness, np.float64)
        least = _threshold(near, near[:0], keep) - NEAR_SLACK
        neighbours = Neighbours(learnt.features, max(-1.0, least))
    scores = softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    top = scores.argmax(1)
    right = top == labels
    of_right, classes = scores[right, top[right]], top[right]
    thresholds = np.zeros(logits.shape[1])
    if right.any():
        for index in range(len(thresholds)):
            own = classes == index
            thresholds[index] = _threshold(of_right[own], of_right[~own], keep)
    return Unknown(temperature, np.clip(thresholds - SLACK, 0, 1), neighbours)


def fit_temperature(logits: Numbers, labels: Indices) -> float:
    """The temperature at which the logits (N, K) make the labels (N,) likeliest.

    A weak prior on its logarithm (mean 0, deviation 1) holds it near 1 where pictures are few: a
    small set without a mistake would ask for a temperature of 0.
    """
    logits = np.asarray(logits, np.float64)
    rows = np.arange(len(labels))

    def cost(log_temperature: float) -> float:
        likely = log_softmax(logits / math.exp(log_temperature), axis=1)[rows, labels]
        return float(-likely.sum() + log_temperature**2 / 2)

    bounds = math.log(LEAST_TEMPERATURE), math.log(MOST_TEMPERATURE)
    return math.exp(float(minimize_scalar(cost, bounds=bounds, method="bounded").x))


def is_unknown(
    logits: Numbers, unknown: Unknown, features: Numbers | None = None
) -> NDArray[np.bool_]:
    """(N,) whether the best class of each picture is below its threshold, or its features are too
    far from all that were learnt from; logits (N, K), features (N, D)."""
    scores = softmax(np.asarray(logits, np.float64) / unknown.temperature, axis=1)
    top = scores.argmax(1)
    below = scores[np.arange(len(top)), top] < unknown.thresholds[top]
    if features is not None and unknown.neighbours is not None:
        below |= unknown.neighbours.nearness(features) < unknown.neighbours.least
    return np.asarray(below, np.bool_)


def _threshold(own: NDArray[np.float64], others: NDArray[np.float64], keep: float) -> float:
    """The highest score that a new picture reaches with the probability `keep`.

    That is of n scores the one with the rank (n + 1) (1 - keep) from below, rounded down, as split
    conformal prediction has it (Angelopoulos and Bates 2021, arXiv:2107.07511).
    """
    wanted = min(MOST_WANTED, math.ceil(keep / max(1e-9, 1 - keep) - 1e-6))
    lacking = max(0, wanted - len(own))
    scores, weights = own, np.ones(len(own))
    if lacking and len(others):
        scores = np.concatenate([own, others])
        weights = np.concatenate([weights, np.full(len(others), lacking / len(others))])
    order = np.argsort(scores)
    ranks = np.cumsum(weights[order])
    allowed = ranks <= (1 - keep) * (weights.sum() + 1) + 1e-9
    return float(scores[order][max(0, int(allowed.sum()) - 1)])


def measure_unknown(
    unknown: Unknown, known: Numbers, labels: Indices, strange: Numbers,
    known_features: Numbers | None = None, strange_features: Numbers | None = None,
) -> Said:  # fmt: skip
    """How often unknown is said of pictures of known classes, logits (N, K) and labels (N,), and
    of pictures of others, logits (M, K); features (N, D) and (M, D) where they are known."""
    silent = ~is_unknown(known, unknown, known_features)
    right = known.argmax(1) == labels
    kept = float(silent[right].mean()) if right.any() else None
    said = float(is_unknown(strange, unknown, strange_features).mean()) if len(strange) else None
    return Said(unknown.temperature, kept, float(1 - silent.mean()), len(strange), said)
