"""A head that is solved, not trained: multinomial logistic regression on features."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from vidcam.training.features import Features

Labels = NDArray[np.int64]
MOST_STEPS = 1000
# What hardly changes from picture to picture must not be blown up to the size of the rest.
LEAST_DEVIATION = 1e-3


@dataclass(frozen=True, eq=False)
class Head:
    """A linear layer: logits = features @ weight.T + bias; weight (K, D), bias (K,) float32."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __call__(self, features: Features) -> NDArray[np.float32]:
        """Logits (N, K) of features (N, D)."""
        return features @ self.weight.T + self.bias


@dataclass(frozen=True)
class Score:
    """How a head does on pictures it has not seen: mean loss in nats, share that is right."""

    loss: float
    accuracy: float


def solve(
    features: Features, labels: Labels, classes: int, strength: float, balance: bool = False
) -> Head:
    """The head of the least mean loss plus strength/2 times the squared weights.

    Features are standardised before, and mean and deviation are folded into the layer. A class
    without pictures gets the score of the rarest one minus 10. `balance` gives each class the same
    weight.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean = features.mean(axis=0)
    deviation = np.maximum(features.std(axis=0), LEAST_DEVIATION)
    known = np.unique(labels)
    weight = np.zeros((classes, features.shape[1]), np.float32)
    bias = np.full(classes, -10.0, np.float32)
    if len(known) == 1:
        bias[known] = 0.0
        return Head(weight, bias)
    regression = LogisticRegression(
        C=1 / (strength * len(labels)), max_iter=MOST_STEPS, tol=1e-4,
        class_weight="balanced" if balance else None,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit((features - mean) / deviation, labels)
    found, offset = regression.coef_, regression.intercept_
    if len(known) == 2:  # one row for two classes: each takes half of the difference
        halves = np.array([-0.5, 0.5])
        found, offset = halves[:, None] * found[0], halves * offset[0]
    weight[known] = found / deviation
    bias[known] = offset - (found / deviation) @ mean
    if len(known) < classes:
        bias[np.setdiff1d(np.arange(classes), known)] = offset.min() - 10
    return Head(weight, bias)


def losses(logits: NDArray[np.float32], labels: Labels) -> NDArray[np.float64]:
    """(N,) the cross-entropy of each picture, of logits (N, K)."""
    exact = logits.astype(np.float64)
    return np.asarray(logsumexp(exact, axis=1) - exact[np.arange(len(labels)), labels])


def score(logits: NDArray[np.float32], labels: Labels) -> Score:
    """The mean cross-entropy and the top-1 accuracy of logits (N, K)."""
    right = float((logits.argmax(axis=1) == labels).mean())
    return Score(float(losses(logits, labels).mean()), right)
