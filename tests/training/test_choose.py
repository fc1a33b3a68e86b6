"""Heads are solved to the optimum; choices are made on held-out pictures, look-alikes together."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from training.photos import photo

from vidcam.prepare import Geometry
from vidcam.training.choose import (
    FOLDS,
    STRENGTHS,
    Trial,
    best_of,
    few_of,
    folds_of,
    groups_of,
    held_out,
    preferred,
    sizes_of,
    trials,
)
from vidcam.training.logistic import Score, score, solve


def clouds(count, classes=3, spread=1.0, seed=0):
    """Features (N, 6) of so many pictures a class, overlapping, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), count)
    centres = np.random.default_rng(99).normal(0, 1.2, (classes, 6))
    features = centres[labels] * (1, 1, 5, 1, 0, 1) + rng.normal(0, spread, (len(labels), 6))
    return (features + 3).astype(np.float32), labels


def cost(flat, features, labels, strength):
    """The regularised loss as it is written in the docstring, on standardised features."""
    weight, bias = flat[:-3].reshape(3, -1), flat[-3:]
    likely = log_softmax(features @ weight.T + bias, axis=1)[np.arange(len(labels)), labels]
    return -likely.mean() + strength / 2 * (weight**2).sum()


def test_the_head_is_the_optimum_and_takes_raw_features():
    features, labels = clouds(40)
    head = solve(features, labels, 3, strength=0.1)
    standard = (features - features.mean(0)) / features.std(0)
    best = minimize(cost, np.zeros(3 * 6 + 3), (standard, labels, 0.1), tol=1e-10)
    expected = standard @ best.x[:-3].reshape(3, -1).T + best.x[-3:]
    np.testing.assert_allclose(
        log_softmax(head(features), 1), log_softmax(expected, 1), rtol=0, atol=5e-3
    )


def test_two_classes_get_two_rows_that_are_opposites():
    features, labels = clouds(30, classes=2)
    head = solve(features, labels, 2, 0.01)
    assert head.weight.shape == (2, 6) and score(head(features), labels).accuracy > 0.9
    assert np.array_equal(head.weight[0], -head.weight[1])
    np.testing.assert_allclose(head.weight[0], -head.weight[1], rtol=1e-3)


def test_a_class_without_pictures_is_never_the_best():
    features, labels = clouds(20)
    labels = np.where(labels == 2, 3, labels)
    head = solve(features, labels, 5, 0.01)
    assert set(head(features).argmax(1)) == {0, 1, 3}
    alone = solve(features[:5], np.zeros(5, np.int64), 2, 0.01)
    assert set(alone(features).argmax(1)) == {0}


def test_balance_lifts_the_rare_class():
    features, labels = clouds(60, classes=2, spread=3.0)
    kept = np.concatenate([np.arange(60), np.arange(60, 66)])
    plain, balanced = (
        solve(features[kept], labels[kept], 2, 0.1, balance=b) for b in (False, True)
    )
    rare = [(head(features[60:]).argmax(1) == 1).mean() for head in (plain, balanced)]
    assert rare[1] > rare[0] + 0.1


def test_folds_are_even_and_hold_groups_together():
    labels = np.repeat([0, 1, 2], (53, 20, 4))
    groups = np.arange(len(labels))
    groups[:10] = 0
    groups[60:73] = 60
    groups[73:] = 73
    folds = folds_of(labels, groups, seed=1)
    assert np.array_equal(folds, folds_of(labels, groups, seed=1))
    assert not np.array_equal(folds, folds_of(labels, groups, seed=2))
    assert len(set(folds[:10])) == len(set(folds[60:73])) == 1
    counts = np.bincount(folds[labels == 0], minlength=FOLDS)
    assert counts.min() >= 10 and counts.max() <= 11
    assert len(set(folds[73:])) == 4  # a class of one group is dealt out all the same


def test_look_alikes_are_one_group(tmp_path):
    one, other = photo(1, 1, (96, 96)), photo(0, 2, (96, 96))
    for name, picture in (("a", one), ("b", other), ("c", one.resize((80, 80))),
                          ("d", one.transpose(0))):  # fmt: skip
        picture.save(tmp_path / f"{name}.png")
    (tmp_path / "e.png").write_bytes(b"nothing")
    groups = groups_of([str(tmp_path / f"{name}.png") for name in "abcde"])
    assert groups[0] == groups[2] == groups[3] and len(set(groups.tolist())) == 3


def test_held_out_pictures_have_not_been_learnt_from():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 200)).astype(np.float32)  # noise, which can be learnt by heart
    labels = np.repeat([0, 1], 30)
    folds = folds_of(labels, np.arange(60), 0)
    views = [features, features + 0.01]
    assert score(solve(features, labels, 2, 0.01)(features), labels).accuracy == 1
    assert score(held_out(views, labels, folds, 0.01), labels).accuracy < 0.75


def test_the_least_loss_wins():
    labels = clouds(40)[1]
    folds = folds_of(labels, np.arange(len(labels)), 0)
    good, bad = (
        trials(Geometry(size, "crop"), [clouds(40, spread=spread)[0]], labels, folds)
        for size, spread in ((288, 0.7), (224, 3.0))
    )
    assert [trial.strength for trial in good] == list(STRENGTHS)
    best = best_of([*bad, *good])
    assert best.geometry.size == 288
    assert best.score.loss == min(trial.score.loss for trial in good)


def test_a_difference_by_luck_leaves_what_is_preferred():
    rng = np.random.default_rng(0)
    base = rng.uniform(0, 1, 200)

    def tried(losses):
        return Trial(Geometry(224, "crop"), 0.1, Score(float(losses.mean()), 0.9), losses)

    best, as_good = tried(base), tried(base + 0.001 + np.tile((-0.1, 0.1), 100))
    worse = tried(base + 0.01)  # by little, but always
    assert preferred([as_good, worse, best]) is as_good
    assert preferred([worse, best, as_good]) is best and best_of([worse, as_good, best]) is best


def test_sizes_and_subsets():
    own = Geometry(224, "crop", 0.875)
    assert sizes_of(own, None) == [224, 256, 288] and sizes_of(own, 160) == [160]
    labels = np.repeat([0, 1], (100, 6))
    few = few_of(labels, 40, 0)
    assert len(few) == 26 and (labels[few] == 1).sum() == 6 and (np.diff(few) > 0).all()
    assert len(few_of(labels, 106, 0)) == 106


@pytest.mark.parametrize("wrong", [0, 5])
def test_the_score_is_the_cross_entropy(wrong):
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [wrong, 0.0]], np.float32)
    labels = np.array([0, 1, 1])
    expected = -log_softmax(logits, 1)[np.arange(3), labels].mean()
    found = score(logits, labels)
    assert found.loss == pytest.approx(expected) and found.accuracy == pytest.approx(2 / 3)
