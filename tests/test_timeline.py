"""Shown scores, steady heat and scene cuts. No network but in the last tests."""

from dataclasses import replace
from itertools import pairwise
from math import exp

import numpy as np
import pytest

from vidcam.classifier import Classifier, Seen
from vidcam.labels import Labels
from vidcam.models import Model
from vidcam.neighbours import Neighbours
from vidcam.options import FileOptions, ReadOptions
from vidcam.prepare import Geometry, Preparer
from vidcam.sources.file import FileSource
from vidcam.timeline import SceneCuts, SteadyHeat, Timeline, evidence, normalise
from vidcam.types import UNKNOWN_INDEX, Rect

STEP_S = 0.04
CROP = Rect(0, 0, 64, 48)
DARK, BRIGHT = (np.full((32, 32, 3), level, np.uint8) for level in (20, 200))
CATS = {281, 282, 283, 284, 285}


def timeline(lang=("en",), **options):
    """A timeline over four classes; it never calls the network."""
    labels = Labels.of_names(["tench", "robin", "tabby", "mug"], lang)
    model = Model("four", lambda: None, labels, 32, (0.0,) * 3, (1.0,) * 3, None, 1.0)
    parsed = FileOptions(lang=lang, **options)
    return Timeline(Classifier(model, None, parsed, parsed), parsed)


def seen(scores, grid=None, cam_class=None):
    return Seen(np.array(scores, np.float32), grid, cam_class)


def spot(height, row=2, column=4):
    """A signed map with one hot cell on a negative ground."""
    grid = np.full((7, 7), -0.1, np.float32)
    grid[row, column] = height
    return grid


def heat(line, grid, time_s, cam_class=2, pixels=DARK):
    return line(seen([0.1, 0.2, 0.6, 0.1], grid, cam_class), pixels, time_s, CROP).cam


def flicker(maps):
    """Mean difference of neighbouring maps."""
    return float(np.mean([np.abs(b - a).mean() for a, b in pairwise(maps)]))


def test_nearness_is_smoothed_like_the_scores_and_begins_anew_with_a_scene():
    line = timeline(smoothing=0.5)
    neighbours = Neighbours(np.eye(1, 2, dtype=np.float16), 0.5)
    line._classifier._neighbours, line._classifier._thresholds = neighbours, (0.0,) * 4
    shown = []
    for frame, nearness in enumerate([0.9, 0.1, 0.1] + 40 * [0.1]):
        one = replace(seen([0.1, 0.2, 0.6, 0.1]), nearness=nearness)
        shown.append(line(one, DARK, frame * STEP_S, CROP).shown[0].index)
    assert shown[:3] == [2, 2, 2] and shown[-1] == UNKNOWN_INDEX
    one = replace(seen([0.1, 0.2, 0.6, 0.1]), nearness=0.9)
    assert line(one, BRIGHT, 43 * STEP_S, CROP).shown[0].index == 2


def test_only_positive_evidence_is_heat():
    grid = evidence(spot(2.0))
    assert grid[2, 4] == 2 and grid.sum() == 2
    assert normalise(spot(2.0)).max() == 1 and normalise(spot(2.0)).min() == 0


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    "grid", [np.zeros((7, 7), np.float32), np.full((7, 7), -1, np.float32), spot(0.004)]
)
def test_a_class_without_positive_evidence_shows_no_heat(grid, raw):
    shown = heat(timeline(cam_raw=raw), grid, 0.0)
    assert shown.shape == (7, 7) and not shown.any()


def test_without_evidence_earlier_heat_dies_down_and_noise_is_not_blown_up():
    line = timeline()
    heat(line, spot(1.0), 0.0)
    maps = [heat(line, spot(0.004), STEP_S * n) for n in range(1, 26)]
    peaks = [grid.max() for grid in maps]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] > 0.5 and peaks[-1] < 0.05


def test_the_running_scale_rises_at_once_and_falls_slowly():
    steady = SteadyHeat()
    assert steady(spot(1.0), 2, STEP_S).max() == 1
    for height in (3.0, 0.5, 8.0):
        assert steady(spot(height), 2, STEP_S).max() <= 1
    # Long after the peak of 8: a peak of 4 still counts as half the heat, not as all of it.
    assert steady(spot(4.0), 2, 1.0).max() < 0.95
    assert steady(spot(4.0), 2, 100.0).max() == pytest.approx(1, abs=1e-3)


def test_the_raw_map_is_each_frames_own_maximum():
    line = timeline(cam_raw=True)
    for n, height in enumerate((1.0, 0.2, 5.0)):
        np.testing.assert_array_equal(heat(line, spot(height), n * STEP_S), normalise(spot(height)))


def test_heat_starts_anew_when_the_class_changes():
    line = timeline()
    for n in range(5):
        heat(line, spot(9.0, 1, 1), n * STEP_S, cam_class=2)
    shown = heat(line, spot(0.7, 5, 5), 5 * STEP_S, cam_class=3)
    np.testing.assert_array_equal(shown, normalise(spot(0.7, 5, 5)))


def test_heat_starts_anew_at_a_scene_cut():
    line = timeline()
    for n in range(5):
        heat(line, spot(9.0, 1, 1), n * STEP_S)
    shown = heat(line, spot(0.7, 5, 5), 5 * STEP_S, pixels=BRIGHT)
    np.testing.assert_array_equal(shown, normalise(spot(0.7, 5, 5)))
    # Within one scene the old place would still glow.
    assert heat(line, spot(0.7, 1, 1), 6 * STEP_S, pixels=BRIGHT)[5, 5] > 0.5


def test_steady_heat_flickers_far_less_than_raw_heat():
    random = np.random.default_rng(7)
    ground = evidence(spot(1.0)) + 0.3 * random.random((7, 7), np.float32)
    jittery = [
        ground * random.uniform(0.5, 1.5) + random.normal(0, 0.08, (7, 7)).astype(np.float32)
        for _ in range(50)
    ]
    maps = {}
    for raw in (False, True):
        line = timeline(cam_raw=raw)
        maps[raw] = [heat(line, grid, n * STEP_S) for n, grid in enumerate(jittery)]
    assert flicker(maps[False]) < 0.4 * flicker(maps[True])
    # Steady, and still there: the hot cell stays the hottest of every frame and well visible.
    assert all(grid.argmax() == 2 * 7 + 4 and grid.max() > 0.5 for grid in maps[False])


def test_maps_that_were_handed_out_do_not_change_later():
    line = timeline()
    maps = [heat(line, spot(1.0 + n, n, n), n * STEP_S) for n in range(3)]
    copies = [grid.copy() for grid in maps]
    heat(line, spot(20.0), 3 * STEP_S)
    np.testing.assert_array_equal(maps, copies)


def test_a_map_is_carried_between_explained_frames_but_not_over_a_cut():
    line = timeline(cam_every=3)
    first = line(seen([0, 0, 1, 0], spot(1.0), 2), DARK, 0.0, CROP)
    carried = line(seen([0, 0, 1, 0]), DARK, STEP_S, CROP)
    assert first.cam_fresh and not carried.cam_fresh
    assert carried.cam_class == 2
    np.testing.assert_array_equal(carried.cam, first.cam)
    cut = line(seen([0, 0, 1, 0]), BRIGHT, 2 * STEP_S, CROP)
    assert cut.cam is None and cut.cam_class is None and not cut.cam_fresh


def test_without_maps_there_is_no_heat_at_all():
    prediction = timeline(cam="none")(seen([0, 0, 1, 0]), DARK, 0.0, CROP)
    assert prediction.cam is None and prediction.cam_class is None and prediction.crop == CROP


def score_of(prediction, index):
    return next(score.score for score in prediction.shown if score.index == index)


@pytest.mark.parametrize("steps", [1, 5, 50])
@pytest.mark.parametrize("smoothing", [0.2, 0.5, 2.0])
def test_shown_scores_follow_with_the_time_constant_at_any_frame_rate(smoothing, steps):
    line = timeline(smoothing=smoothing)
    line(seen([1, 0, 0, 0]), DARK, 10.0, CROP)
    for n in range(1, steps + 1):
        prediction = line(seen([0, 0, 0, 1]), DARK, 10.0 + smoothing * n / steps, CROP)
    assert score_of(prediction, 0) == pytest.approx(exp(-1), abs=1e-3)
    assert score_of(prediction, 3) == pytest.approx(1 - exp(-1), abs=1e-3)


def test_smoothing_zero_shows_each_frame_alone():
    line = timeline(smoothing=0)
    for n, scores in enumerate(([0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4])):
        prediction = line(seen(scores), DARK, n * STEP_S, CROP)
        assert prediction.shown == prediction.topk


def test_shown_scores_start_anew_at_a_scene_cut():
    line = timeline(smoothing=5.0)
    line(seen([1, 0, 0, 0]), DARK, 0.0, CROP)
    assert line(seen([0, 0, 0, 1]), DARK, STEP_S, CROP).shown[0].index == 0
    assert line(seen([0, 0, 0, 1]), BRIGHT, 2 * STEP_S, CROP).shown[0].index == 3


@pytest.mark.parametrize(("lang", "name"), [(("zh",), "未知"), (("en",), "unknown")])
def test_below_the_threshold_unknown_comes_first(lang, name):
    line = timeline(lang, threshold=0.5, smoothing=0)
    prediction = line(seen([0.4, 0.3, 0.2, 0.1]), DARK, 0.0, CROP)
    assert prediction.shown[0].as_record() == {
        "index": -1, "label": name, "label_en": "unknown", "score": None,
    }  # fmt: skip
    assert [score.index for score in prediction.topk] == [0, 1, 2, 3]


def test_the_threshold_hides_what_is_below_it_and_keeps_what_is_on_it():
    line = timeline(threshold=0.25, smoothing=0)
    prediction = line(seen([0.25, 0.5, 0.125, 0.125]), DARK, 0.0, CROP)
    assert [score.index for score in prediction.shown] == [1, 0]


def test_the_threshold_acts_on_the_smoothed_scores():
    line = timeline(threshold=0.5, smoothing=1.0)
    line(seen([1, 0, 0, 0]), DARK, 0.0, CROP)
    assert line(seen([0, 0, 0, 1]), DARK, 0.1, CROP).shown[0].index == 0
    assert line(seen([0, 0, 0, 1]), DARK, 0.7, CROP).shown[0].index in (-1, 3)


def test_topk_is_the_frame_alone_whatever_is_shown():
    random = np.random.default_rng(0)
    frames = [row.astype(np.float32) for row in random.dirichlet(np.ones(4), 20)]
    plain = timeline(smoothing=0, topk=3)
    changed = timeline(smoothing=2.0, threshold=0.9, topk=3)
    for n, scores in enumerate(frames):
        expected = plain(seen(scores), DARK, n * STEP_S, CROP).topk
        assert changed(seen(scores), DARK, n * STEP_S, CROP).topk == expected
        assert [score.index for score in expected] == np.argsort(-scores)[:3].tolist()
        assert expected[0].score == pytest.approx(scores.max())


@pytest.mark.parametrize(("topk", "count"), [(0, 0), (1, 1), (None, 4), (9, 4)])
def test_as_many_classes_as_asked_for_are_shown(topk, count):
    prediction = timeline(topk=topk, threshold=0.0)(seen([0.4, 0.3, 0.2, 0.1]), DARK, 0, CROP)
    assert len(prediction.topk) == len(prediction.shown) == count


@pytest.fixture(scope="module")
def tour_pictures(tour_clip):
    source = FileSource(str(tour_clip), ReadOptions(), audio=False)
    yield [frame.picture for frame in source]
    source.close()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_the_cuts_of_the_tour_are_found_and_nothing_else(tour_pictures, fit):
    preparer, cuts, found = Preparer(Geometry(224, fit, 0.875)), SceneCuts(), []
    pixels = np.empty((224, 224, 3), np.uint8)
    for index, picture in enumerate(tour_pictures):
        preparer(picture, pixels)
        if cuts(pixels):
            found.append(index)
    assert len(tour_pictures) == 192 and found == [48, 96, 144]


def test_on_the_cat_heat_is_steadier_and_lies_where_the_raw_map_does(session, cat_clip):
    source = FileSource(str(cat_clip), ReadOptions(max_frames=24), audio=False)
    frames = list(source)
    preparer = Preparer(session.geometry)
    size = session.geometry.size
    pixels = np.empty((len(frames), size, size, 3), np.uint8)
    for frame, row in zip(frames, pixels, strict=True):
        preparer(frame.picture, row)
    looked = [s for n in range(0, 24, 8) for s in session.classifier(pixels[n : n + 8], True)]
    assert {one.cam_class for one in looked} <= CATS
    maps = {}
    for raw in (False, True):
        line = Timeline(session.classifier, FileOptions(cam_raw=raw))
        maps[raw] = [
            line(one, row, frame.time_s, CROP).cam
            for one, row, frame in zip(looked, pixels, frames, strict=True)
        ]
    assert flicker(maps[False]) < 0.5 * flicker(maps[True])
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(*maps.values(), strict=True)]
    assert min(alike) > 0.9
    source.close()
