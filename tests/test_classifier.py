"""Which classes compete, which one is explained, and in what order they are told."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cam import oracle
from torch import nn

from vidcam.backends import Output, load_backend
from vidcam.classifier import Classifier, softmax
from vidcam.errors import UnknownName, UsageError
from vidcam.labels import Labels, imagenet
from vidcam.models import Model
from vidcam.neighbours import Neighbours
from vidcam.options import FileOptions
from vidcam.values import LANGUAGES

SIZE = 32


@pytest.fixture(scope="module")
def model():
    """A real, tiny network with ImageNet's thousand classes."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 4, 4), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(16, 1000),
    )  # fmt: skip
    labels = Labels.of_imagenet(("zh",))
    settled = oracle.settle(net)
    return Model("tiny", lambda: settled, labels, SIZE, (127.0,) * 3, (128.0,) * 3, None, 1.0)


@pytest.fixture(scope="module")
def pixels():
    return oracle.pixels_of(3, SIZE)


def classifier(model, **options):
    settings = FileOptions(**({"precision": "f32", "device": "cpu", "backend": "torch"} | options))
    return Classifier(model, load_backend(model, settings, settings), settings, settings)


class Fixed:
    """An engine whose logits are the test's own."""

    name, device, precision, layer_name, overlaps = "torch", "cpu", "f32", None, False

    def __init__(self, logits, features=None):
        self.logits, self.features = np.asarray(logits, np.float32), features

    def start(self, pixels, choice, second=None):
        return lambda: Output(self.logits, features=self.features)


def fixed(logits, **options):
    """A Classifier over given logits (N, K) with classes called class 0, class 1, …"""
    named = oracle.as_model(nn.Identity(), classes=np.shape(logits)[1])
    settings = FileOptions(**options)
    return Classifier(named, Fixed(logits), settings, settings)


def test_scores_are_the_networks_probabilities(model, pixels):
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.no_grad():
        expected = model.net(x).softmax(1).numpy()
    seen = classifier(model)(pixels, explain=False)
    got = np.stack([one.scores for one in seen])
    assert got.dtype == np.float32
    assert np.abs(got - expected).max() < 1e-5
    assert all(one.map is None and one.cam_class is None for one in seen)


def test_each_picture_is_explained_for_its_own_top_class(model, pixels):
    seen = classifier(model)(pixels, explain=True)
    assert [one.cam_class for one in seen] == [int(one.scores.argmax()) for one in seen]
    assert all(one.map.shape == (8, 8) and one.map.any() for one in seen)


def test_cam_none_explains_nothing(model, pixels):
    assert all(one.map is None for one in classifier(model, cam="none")(pixels, explain=True))


def test_a_fixed_class_is_explained_on_every_picture(model, pixels):
    by_index = classifier(model, class_="285")(pixels, explain=True)
    by_name = classifier(model, class_="Egyptian cat")(pixels, explain=True)
    by_top = classifier(model)(pixels, explain=True)
    assert [one.cam_class for one in by_index] == [285] * 3
    for index, name, top in zip(by_index, by_name, by_top, strict=True):
        assert np.array_equal(index.map, name.map)
        assert not np.allclose(index.map, top.map)
        assert np.allclose(index.scores, top.scores)


def test_only_the_named_classes_compete(model, pixels):
    everyone = classifier(model)(pixels, explain=True)
    competing = [7, 281, 900]
    few = classifier(model, classes="900,281,7")(pixels, explain=True)
    for one, free in zip(few, everyone, strict=True):
        assert set(np.flatnonzero(one.scores)) == set(competing)
        assert one.scores.sum() == pytest.approx(1, abs=1e-5)
        shares = free.scores[competing] / free.scores[competing].sum()
        assert np.allclose(one.scores[competing], shares, atol=1e-5)
        assert one.cam_class == competing[int(shares.argmax())]


def test_the_competing_classes_come_from_a_list_of_names_or_a_file(model, pixels, tmp_path):
    listed = tmp_path / "cats.txt"
    listed.write_text(f"\ufeff{imagenet('en')[281]}\n\n{imagenet('zh')[282]}\n", encoding="utf-8")
    by_file = classifier(model, classes=str(listed))(pixels, explain=False)
    by_name = classifier(model, classes=f"{imagenet('zh')[281]}, 282")(pixels, explain=False)
    for one, other in zip(by_file, by_name, strict=True):
        assert np.array_equal(one.scores, other.scores)
        assert set(np.flatnonzero(one.scores)) == {281, 282}


def test_one_competing_class_is_certain(model, pixels):
    (one, *_) = classifier(model, classes="3")(pixels, explain=False)
    assert one.scores[3] == pytest.approx(1)


def test_the_top_are_best_first_with_their_names(model, pixels):
    judge = classifier(model)
    scores = judge(pixels, explain=False)[0].scores
    top = judge.top(scores, 5)
    assert [score.index for score in top] == list(np.argsort(-scores, kind="stable")[:5])
    assert [score.score for score in top] == sorted((s.score for s in top), reverse=True)
    for score in top:
        assert score.score == pytest.approx(float(scores[score.index]))
        assert score.label == imagenet("zh")[score.index]
        assert score.label_en == imagenet("en")[score.index]


@pytest.mark.parametrize(("count", "length"), [(0, 0), (1, 1), (1000, 1000), (5000, 1000)])
def test_as_many_are_told_as_were_asked_for(model, pixels, count, length):
    judge = classifier(model)
    scores = judge(pixels, explain=False)[0].scores
    assert len(judge.top(scores, count)) == length


def test_all_are_all_that_compete(model, pixels):
    everyone = classifier(model)
    scores = everyone(pixels, explain=False)[0].scores
    assert sorted(score.index for score in everyone.top(scores, None)) == list(range(1000))
    few = classifier(model, classes="7,281,900")
    scores = few(pixels, explain=False)[0].scores
    assert sorted(score.index for score in few.top(scores, None)) == [7, 281, 900]
    assert sorted(score.index for score in few.top(scores, 10)) == [7, 281, 900]


@pytest.mark.parametrize("count", [1, 3, 7, 40])
def test_of_equal_scores_the_lower_index_comes_first(count):
    """Also where the tie lies across the border, else the list would flicker between frames."""
    scores = np.full(1000, 0.001, np.float32)
    scores[[700, 20]] = 0.1
    top = fixed(np.zeros((1, 1000))).top(scores, count)
    expected = sorted(range(1000), key=lambda index: (-scores[index], index))
    assert [score.index for score in top] == expected[:count]


def test_a_masked_class_is_never_told_even_when_the_others_score_nothing():
    """exp(-300) is zero in float32, as is the score of a class that does not compete."""
    judge = fixed([[50.0, -300.0, 80.0, -250.0, 60.0, 70.0]], classes="1,3,4")
    (one,) = judge(np.zeros((1, SIZE, SIZE, 3), np.uint8), explain=False)
    assert {score.index for score in judge.top(one.scores, None)} == {1, 3, 4}
    assert {score.index for score in judge.top(one.scores, 2)} < {1, 3, 4}
    assert judge.top(one.scores, 1)[0].index == 4


def test_large_logits_do_not_overflow():
    assert softmax(np.float32([[1000.0, 999.0]])) == pytest.approx(
        np.array([[0.7310586, 0.2689414]]), abs=1e-6
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_the_shown_language_find_their_class(language):
    labels = Labels.of_imagenet((language,))
    assert [labels.index_of(name) for name in imagenet(language)] == list(range(1000))


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_the_other_languages_find_a_class_of_that_name(language):
    """木箱 is a chest in Chinese and a crate in Japanese: the shown language decides."""
    labels = Labels.of_imagenet(("en",))
    for index in [*range(0, 1000, 13), 492, 519]:
        name = imagenet(language)[index]
        found = labels.index_of(name)
        assert found == index or name in {imagenet(other)[found] for other in LANGUAGES}


def test_two_shown_languages_are_found_together_and_each_alone():
    labels = Labels.of_imagenet(("zh", "en"))
    assert labels.index_of(labels.shown[281]) == 281
    assert labels.index_of(imagenet("zh")[281]) == 281
    assert labels.index_of(imagenet("en")[281].upper()) == 281


def test_an_unknown_class_lists_the_nearest(model):
    known = imagenet("en")[281]
    for options in ({"class_": "Egyptian bat"}, {"classes": f"{known},Egyptian bat"}):
        with pytest.raises(UnknownName, match="Egyptian cat") as caught:
            classifier(model, **options)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["1000", "99999", "-1", "²", ""])
def test_a_number_outside_the_classes_is_a_usage_error(model, name):
    with pytest.raises(UsageError):
        classifier(model, class_=name)


def test_a_list_without_a_class_is_a_usage_error(model):
    with pytest.raises(UsageError, match="names no class"):
        classifier(model, classes=" , ")


def trained(logits, temperature, thresholds, neighbours=None, features=None, **options):
    """As `fixed`, of a model with a temperature, thresholds and neighbours."""
    named = oracle.as_model(nn.Identity(), classes=np.shape(logits)[1])
    named = replace(named, temperature=temperature, thresholds=thresholds, neighbours=neighbours)
    settings = FileOptions(**options)
    return Classifier(named, Fixed(logits, features), settings, settings), settings


def test_a_trained_models_temperature_makes_its_scores(pixels):
    logits = np.log([[0.6, 0.3, 0.1]] * 3)
    classifier, _ = trained(logits, 2.0, None)
    expected = np.sqrt([0.6, 0.3, 0.1]) / np.sqrt([0.6, 0.3, 0.1]).sum()
    assert classifier(pixels, explain=False)[0].scores == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("thresholds", "options", "shown"),
    [
        ((0.7, 0.1, 0.1), {}, [-1]),
        ((0.5, 0.9, 0.9), {}, [0, 1, 2]),
        ((0.7, 0.1, 0.1), {"unknown": False}, [0, 1, 2]),
        ((0.7, 0.1, 0.1), {"threshold": 0.2}, [0, 1]),
        ((0.7, 0.1, 0.1), {"threshold": 0.65}, [-1]),
        ((0.7, 0.1, 0.1), {"threshold": 0.65, "unknown": False}, []),
        (None, {}, [0, 1, 2]),
    ],
)
def test_unknown_is_said_below_a_models_own_thresholds(thresholds, options, shown, pixels):
    classifier, settings = trained(np.log([[0.6, 0.3, 0.1]] * 3), None, thresholds, **options)
    top = classifier.top(classifier(pixels, explain=False)[0].scores, 5)
    assert [score.index for score in top] == [0, 1, 2]
    assert [score.index for score in classifier.shown(top, settings)] == shown


@pytest.mark.parametrize(("options", "shown"), [
    ({}, [[0, 1, 2], [-1]]),
    ({"unknown": False}, [[0, 1, 2]] * 2),
    ({"threshold": 0.2}, [[0, 1]] * 2),
])  # fmt: skip
def test_unknown_is_said_of_what_is_like_nothing_that_was_learnt(options, shown, pixels):
    neighbours = Neighbours(np.eye(2, 4, dtype=np.float16), 0.7)
    logits = np.log([[0.6, 0.3, 0.1]] * 2)
    features = np.array([[3, 0.1, 0, 0], [1, 1, 2, 0]], np.float32)
    classifier, settings = trained(
        logits, None, (0.1,) * 3, neighbours=neighbours, features=features, **options
    )
    for seen, expected in zip(classifier(pixels[:2], explain=False), shown, strict=True):
        top = classifier.top(seen.scores, 5)
        assert [score.index for score in top] == [0, 1, 2]
        found = classifier.shown(top, settings, seen.nearness)
        assert [score.index for score in found] == expected
