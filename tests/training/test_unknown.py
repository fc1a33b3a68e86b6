"""When "unknown" is said: the temperature, the thresholds, and what they keep and refuse."""

import numpy as np
import pytest
from scipy.special import softmax

from vidcam.errors import UsageError
from vidcam.training.unknown import (
    Learnt,
    fit_temperature,
    fit_unknown,
    is_unknown,
    measure_unknown,
)


def honest(count, classes, seed=0):
    """Logits (N, K), and labels drawn by the very probabilities that they mean."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    labels = [rng.choice(classes, p=row) for row in softmax(logits, axis=1)]
    return logits.astype(np.float32), np.array(labels)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_makes_scores_too_sure(scale):
    logits, labels = honest(3000, 6)
    assert fit_temperature(scale * logits, labels) == pytest.approx(scale, rel=0.08)


def test_a_few_pictures_without_a_mistake_do_not_ask_for_a_temperature_of_nothing():
    labels = np.arange(10) % 2
    logits = 4.0 * np.eye(2)[labels]
    assert 0.3 < fit_temperature(logits, labels) < 1
    # Many are believed.
    assert fit_temperature(np.tile(logits, (500, 1)), np.tile(labels, 500)) < 0.5


@pytest.mark.parametrize("keep", [0.8, 0.95, 1.0])
def test_of_each_class_the_share_that_is_asked_for_stays_known(keep):
    logits, labels = honest(2000, 4)
    unknown = fit_unknown(logits, labels, keep)
    right = logits.argmax(1) == labels
    kept = ~is_unknown(logits, unknown)
    for index in range(4):
        share = kept[right & (labels == index)].mean()
        assert keep <= share <= keep + 0.01
    assert ((unknown.thresholds >= 0) & (unknown.thresholds <= 1)).all()


def test_classes_with_few_pictures_lean_on_the_others():
    sure = np.linspace(2, 8, 100)
    many = np.stack([sure, 0 * sure, 0 * sure, 0 * sure], 1)
    one = np.array([[0, 9.0, 0, 0]])
    unsure = np.array([[0, 0, 1.0, 0]])
    logits = np.concatenate([many, one, unsure])
    labels = np.array([0] * 100 + [1, 2])
    unknown = fit_unknown(logits, labels)
    found = unknown.thresholds
    # Class 3 was never right and takes what the others have; 1, so sure alone, is pulled there.
    scores = softmax(logits / unknown.temperature, axis=1).max(1)
    assert found[3] == pytest.approx(np.quantile(scores, 0.05), abs=0.01)
    assert found[0] == pytest.approx(np.quantile(scores[:100], 0.05), abs=0.01)
    assert abs(found[1] - found[3]) < 0.5 * (scores[100] - found[3])
    assert not is_unknown(unsure, unknown)[0]
    assert is_unknown(np.array([[0.0, 0, 0, 0.1]]), unknown)[0]


def test_a_network_that_is_never_right_calls_nothing_unknown():
    logits, labels = np.eye(3)[[0, 1, 2]], np.array([1, 2, 0])
    unknown = fit_unknown(logits, labels)
    assert (unknown.thresholds == 0).all() and not is_unknown(logits, unknown).any()


def test_no_pictures_are_refused():
    with pytest.raises(UsageError, match="there are none"):
        fit_unknown(np.zeros((0, 3)), np.zeros(0, int))


def test_single_precision_does_not_refuse_the_picture_at_the_border():
    logits, labels = honest(200, 3)
    unknown = fit_unknown(logits, labels, keep=1.0)
    right = logits.argmax(1) == labels
    scores = softmax(logits / np.float32(unknown.temperature), axis=1)
    assert scores.dtype == np.float32
    assert (scores.max(1)[right] >= unknown.thresholds[labels[right]]).all()


def test_what_is_far_from_every_class_is_said_to_be_unknown():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, 1500)
    known = rng.normal(0, 1, (1500, 5)) + 8 * np.eye(5)[labels]
    strange = rng.normal(0, 1, (300, 5))
    unknown = fit_unknown(known[:700], labels[:700])
    said = measure_unknown(unknown, known[700:], labels[700:], strange)
    assert said.kept > 0.92 and said.strange == 300 and said.of_strange > 0.95
    assert said.of_known == pytest.approx(1 - said.kept, abs=0.03)
    nobody = measure_unknown(unknown, known[:9], (labels[:9] + 1) % 5, strange[:0])
    assert nobody.kept is None and nobody.of_strange is None and nobody.strange == 0


def kinds(count, number, seed):
    """Features (N, 40) of `number` kinds, each about a direction of its own, and their kind."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, number, count)
    return 6 * np.eye(40)[of] + rng.normal(0, 1, (count, 40)), of


def test_what_resembles_nothing_that_was_learnt_is_unknown_however_sure_the_scores_are():
    features, _ = kinds(300, 2, 0)
    others, labels = kinds(200, 2, 1)
    strange = np.random.default_rng(2).normal(0, 2, (150, 40)) + 6 * np.eye(40)[5]
    logits = 8 * np.eye(2)[labels]
    learnt = Learnt.of(features, np.arange(300) % 5, others)
    unknown = fit_unknown(logits, labels, learnt=learnt)
    assert unknown.neighbours.features.shape == (300, 40)
    said = measure_unknown(unknown, logits, labels, 8 * np.eye(2)[labels[:150]], others, strange)
    assert said.kept >= 0.95 and said.of_strange > 0.9
    # Without their features the same pictures are as well known as any.
    assert not is_unknown(8 * np.eye(2)[labels[:150]], unknown).any()
    fresh, kind = kinds(500, 2, 3)
    assert 0.01 < is_unknown(8 * np.eye(2)[kind], unknown, fresh).mean() < 0.06


def test_look_alikes_in_one_fold_and_a_single_fold_tell_nothing_of_new_pictures():
    twice = np.repeat(np.eye(4), 2, axis=0)
    apart = Learnt.of(twice, np.repeat(np.arange(4), 2), twice[:0])
    assert apart.nearness.max() == 0 and len(apart.nearness) == 8
    others = np.array([[1.0, 1, 0, 0]])
    single = Learnt.of(twice, np.zeros(8, int), others)
    assert single.nearness == pytest.approx([np.sqrt(0.5)], abs=1e-3)
