"""The metrics of labelled answers, against numbers worked out by hand."""

import json

import numpy as np
import pytest
from scipy.special import softmax

from vidcam.training.metrics import calibration, class_curves, mean_curves, measure, record

NAMES = ("猫", "狗", "鸟", "鱼")


def answers(tops, classes=4, height=3.0):
    """Logits (N, K) whose best class is as given; of the others the lower index is better."""
    tops = np.asarray(tops)
    logits = np.tile(-0.1 * np.arange(classes), (len(tops), 1))
    logits[np.arange(len(tops)), tops] = height
    return logits.astype(np.float32)


def test_the_numbers_are_those_of_the_definitions():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    metrics = measure(answers([0, 0, 0, 1, 1, 1, 2, 3]), labels, NAMES)
    assert (metrics.n, metrics.top1, metrics.top5) == (8, 6 / 8, 1.0)
    cat, dog, bird = metrics.classes  # no picture shows a fish
    assert [one.label for one in metrics.classes] == ["猫", "狗", "鸟"]
    assert (cat.n, cat.precision, cat.recall, cat.accuracy) == (4, 1.0, 3 / 4, 7 / 8)
    assert cat.f1 == pytest.approx(2 * 0.75 / 1.75)
    assert (dog.precision, dog.recall) == (pytest.approx(2 / 3), 1.0)
    assert (bird.precision, bird.recall) == (1.0, 1 / 2)
    assert metrics.confusion.tolist() == [[3, 1, 0, 0], [0, 2, 0, 0], [0, 0, 1, 1]]
    assert metrics.macro["recall"] == pytest.approx((0.75 + 1 + 0.5) / 3)


def test_top5_looks_at_five_classes():
    logits = -np.arange(8.0)[None].repeat(8, 0)
    metrics = measure(logits, np.arange(8), [str(n) for n in range(8)])
    assert (metrics.top1, metrics.top5) == (1 / 8, 5 / 8)


def test_equal_scores_go_to_the_lower_index_as_everywhere():
    metrics = measure(np.zeros((2, 4)), np.array([0, 3]), NAMES)
    assert metrics.top1 == 0.5


def test_one_class_alone_has_no_roc():
    metrics = measure(answers([0, 1, 0]), np.array([0, 0, 0]), NAMES)
    (only,) = metrics.classes
    assert only.auc is None and metrics.macro["auc"] is None and only.ap == 1.0
    (curves,) = class_curves(answers([0, 1, 0]), np.array([0, 0, 0]), metrics)
    assert curves.roc is None and mean_curves([curves]).auc is None
    json.dumps(record(metrics), allow_nan=False)


def test_the_curves_enclose_the_areas():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    logits = rng.normal(0, 1, (400, 4)) + 1.5 * np.eye(4)[labels]
    metrics = measure(logits, labels, NAMES)
    curves = class_curves(logits, labels, metrics)
    for one in curves:
        assert one.auc == pytest.approx(np.trapezoid(one.roc[1], one.roc[0]))
        recall, precision = one.pr
        assert one.ap == pytest.approx(-np.sum(np.diff(recall) * precision[:-1]))
        assert 0.6 < one.ap < 1
    mean = mean_curves(curves)
    assert mean.ap == pytest.approx(metrics.macro["ap"])
    assert np.trapezoid(mean.roc[1], mean.roc[0]) == pytest.approx(mean.auc, abs=0.01)
    assert mean.pr[1].mean() == pytest.approx(mean.ap, abs=0.005)
    assert len(np.unique(mean.pr[0])) == len(mean.pr[0]) and mean.pr[1].max() <= 1


def test_the_calibration_error_is_the_distance_of_score_and_truth():
    scores = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    labels = np.array([0] * 7 + [1] * 3 + [0] * 6 + [1] * 4)
    found = calibration(scores, labels)
    assert found.ece == pytest.approx(0.5 * 0.2 + 0.5 * 0.0)
    assert found.counts.sum() == 20 and (found.counts > 0).sum() == 2
    filled = found.counts > 0
    assert found.right[filled].tolist() == [0.6, 0.7]
    assert found.score[filled].tolist() == pytest.approx([0.6, 0.9])
    assert np.isnan(found.right[~filled]).all() and len(found.edges) == 16


def test_scores_of_one_fall_into_the_last_bin():
    found = calibration(np.array([[1.0, 0.0]]), np.array([0]))
    assert found.counts[-1] == 1 and found.ece == 0


def test_honest_scores_have_hardly_an_error():
    rng = np.random.default_rng(0)
    scores = softmax(rng.normal(0, 2, (20_000, 3)), axis=1)
    labels = (rng.random((20_000, 1)) > scores.cumsum(1)).sum(1)
    assert calibration(scores, labels).ece < 0.02
    sure = softmax(4 * np.log(scores), axis=1)
    assert calibration(sure, labels).ece > 0.1


def test_the_record_is_what_the_file_holds():
    metrics = measure(answers([0, 1, 2, 2]), np.array([0, 1, 2, 1]), NAMES)
    told = json.loads(json.dumps(record(metrics), allow_nan=False))
    assert {"top1", "top5", "n", "per_class"} <= set(told)
    assert (told["top1"], told["n"], set(told["per_class"])) == (0.75, 4, {"猫", "狗", "鸟"})
    dog = told["per_class"]["狗"]
    assert (dog["n"], dog["recall"], dog["precision"], dog["index"]) == (2, 0.5, 1.0, 1)
