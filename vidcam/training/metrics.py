"""What the answers to labelled pictures are worth: scikit-learn's metrics of one evaluation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

BINS = 15
TOP = 5
MEAN_POINTS = 201
# Sums of many shares that should be 1 are not, in the last digits.
DIGITS = 12
MACRO = ("precision", "recall", "f1", "accuracy", "ap", "auc")

Numbers = NDArray[np.floating[Any]]
Indices = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One class against all others; shares in [0, 1], `n` pictures.

    `accuracy` is the share of all pictures that are rightly called this class or rightly not. `ap`
    is the average precision, `auc` the area under the ROC curve, None where all pictures are of
    this class.
    """

    index: int
    label: str
    n: int
    precision: float
    recall: float
    f1: float
    accuracy: float
    ap: float
    auc: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How honest the scores are: per bin of the top score, (B,) each.

    `ece` is the expected calibration error, in [0, 1]: the mean distance between score and share of
    right answers, by pictures. Bins without a picture have NaN in `score` and `right`.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    score: NDArray[np.float64]
    right: NDArray[np.float64]
    ece: float


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """All of one evaluation: shares in [0, 1].

    `classes` are those that have a picture, by index. `confusion` (C, C + 1) counts true by
    predicted, in the order of `classes`; its last column counts answers that are the class of no
    picture.
    """

    n: int
    top1: float
    top5: float
    classes: tuple[ClassMetrics, ...]
    confusion: NDArray[np.int64]
    calibration: Calibration

    @property
    def macro(self) -> dict[str, float | None]:
        """The plain means over the classes; None where no class has the number."""
        found: dict[str, float | None] = {}
        for name in MACRO:
            values = [getattr(one, name) for one in self.classes]
            known = [value for value in values if value is not None]
            found[name] = float(np.mean(known)) if known else None
        return found


@dataclass(frozen=True, slots=True, eq=False)
class ClassCurves:
    """Precision over recall, and true over false positives, of a class: points in [0, 1].

    A curve that the pictures do not give (all are of the class) is None.
    """

    label: str
    pr: tuple[Numbers, Numbers]
    roc: tuple[Numbers, Numbers] | None
    ap: float
    auc: float | None


def measure(logits: Numbers, labels: Indices, names: Sequence[str]) -> Metrics:
    """The metrics of logits (N, K) and labels (N,), N at least 1; `names` (K,) of the classes."""
    scores = softmax(np.asarray(logits, np.float64), axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    top = order[:, 0]
    hits = order == labels[:, None]
    present = np.unique(labels)
    precision, recall, f1, counts = precision_recall_fscore_support(
        labels, top, labels=present, zero_division=0
    )
    classes = []
    for row, index in enumerate(present):
        ap, auc = _areas(labels == index, scores[:, index])
        accuracy = float(np.mean((labels == index) == (top == index)))
        shares = float(precision[row]), float(recall[row]), float(f1[row])
        classes.append(
            ClassMetrics(int(index), names[index], int(counts[row]), *shares, accuracy, ap, auc)
        )
    return Metrics(
        len(labels),
        float(hits[:, 0].mean()),
        float(hits.any(1).mean()),
        tuple(classes),
        _confusion(labels, top, present),
        calibration(scores, labels),
    )


def calibration(scores: Numbers, labels: Indices, bins: int = BINS) -> Calibration:
    """How the top scores of (N, K) agree with the share of right answers, in equal bins."""
    top = scores.argmax(1)
    best = scores[np.arange(len(top)), top]
    right = (top == labels).astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    places = np.clip(np.ceil(best * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    filled = np.where(counts, counts, np.nan)
    score = np.bincount(places, best, bins) / filled
    share = np.bincount(places, right, bins) / filled
    ece = float(np.nansum(np.abs(score - share) * counts) / max(1, len(best)))
    return Calibration(edges, counts, score, share, ece)


def class_curves(logits: Numbers, labels: Indices, metrics: Metrics) -> list[ClassCurves]:
    """The curves of each class that has pictures."""
    scores = softmax(np.asarray(logits, np.float64), axis=1)
    found = []
    for one in metrics.classes:
        true, own = labels == one.index, scores[:, one.index]
        precision, recall, _ = precision_recall_curve(true, own, drop_intermediate=True)
        roc = None
        if one.auc is not None:
            false_positives, true_positives, _ = roc_curve(true, own)
            roc = (false_positives, true_positives)
        found.append(ClassCurves(one.label, (recall, precision), roc, one.ap, one.auc))
    return found


def mean_curves(curves: Sequence[ClassCurves], label: str = "mean") -> ClassCurves:
    """The plain mean of classes' curves, at evenly spread recalls and false-positive rates."""
    grid = np.linspace(0, 1, MEAN_POINTS)
    # A recall is reached at the first point that has it: between two there is nothing to draw.
    precisions = [precision[::-1][np.searchsorted(recall[::-1], grid)] for recall, precision in
                  (one.pr for one in curves)]  # fmt: skip
    rocs = [one.roc for one in curves if one.roc is not None]
    areas = [one.auc for one in curves if one.auc is not None]
    roc = None
    if rocs:
        # Both begin at 0: a curve that rises at once has its first point there twice.
        rises = [np.interp(grid, *one) for one in rocs]
        roc = (np.concatenate([[0.0], grid]), np.concatenate([[0.0], np.mean(rises, axis=0)]))
    return ClassCurves(
        label,
        (grid, np.mean(precisions, axis=0)),
        roc,
        float(np.mean([one.ap for one in curves])),
        float(np.mean(areas)) if areas else None,
    )


def record(metrics: Metrics) -> dict[str, Any]:
    """The numbers as metrics.json has them: top1, top5, n, macro means, ece, per_class by name."""
    keys = ("n", *MACRO)
    per_class = {
        one.label: {"index": one.index} | {key: asdict(one)[key] for key in keys}
        for one in metrics.classes
    }
    return {
        "top1": metrics.top1,
        "top5": metrics.top5,
        "n": metrics.n,
        "macro": metrics.macro,
        "ece": metrics.calibration.ece,
        "per_class": per_class,
    }


def _areas(true: NDArray[np.bool_], own: Numbers) -> tuple[float, float | None]:
    """Average precision and the area under the ROC curve."""
    auc = None if true.all() else round(float(roc_auc_score(true, own)), DIGITS)
    return round(float(average_precision_score(true, own)), DIGITS), auc


def _confusion(labels: Indices, top: Indices, present: Indices) -> NDArray[np.int64]:
    other = -1
    answers = np.where(np.isin(top, present), top, other)
    whole = confusion_matrix(labels, answers, labels=[*present, other])
    return np.asarray(whole[:-1], np.int64)
