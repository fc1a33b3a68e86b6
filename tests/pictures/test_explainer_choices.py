"""Choices that do not go together are refused, and what goes together gives one map each."""

import numpy as np
import pytest
from cam import oracle

import vidcam
from vidcam.errors import UnknownName, UsageError
from vidcam.pictures.explainer import Explainer
from vidcam.pictures.options import ExplainOptions
from vidcam.pictures.trust import measure


@pytest.fixture(scope="module")
def picture():
    return oracle.pixels_of(1, 64)[0]


def explainer(**options):
    model = oracle.as_model(oracle.network("resnet18"), 64)
    return Explainer(ExplainOptions(**{"lang": ("en",), "fit": "stretch"} | options), model)


def test_a_class_that_does_not_compete_is_refused():
    with pytest.raises(UsageError, match=r"--class class 9 is not among --classes class 3"):
        explainer(classes="class 3, class 4", class_=("class 9",))


def test_faithfulness_is_of_the_classes_that_compete(picture):
    chosen = explainer(classes="class 3, class 4", class_=("class 3", "class 4"))
    explanation = chosen(picture)
    scores = [heatmap.score.score for heatmap in explanation.heatmaps]
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    measured = measure(chosen, explanation)
    assert measured
    for one in measured:
        assert one.faithfulness.score == pytest.approx(one.score.score, abs=1e-5)


@pytest.mark.parametrize("method", ["guided", "guided-gradcam"])
@pytest.mark.parametrize("smooth", ["aug_smooth", "eigen_smooth"])
def test_guided_gradients_are_not_smoothed_in_silence(method, smooth, picture):
    with pytest.raises(UsageError, match=f"{method} has no --{smooth.replace('_', '-')}"):
        explainer(cam=(method,), **{smooth: True})(picture)


@pytest.mark.parametrize("method", ["guided", "fullgrad"])
def test_a_method_without_a_layer_gives_one_map_and_takes_no_layer(method, picture):
    with pytest.raises(UsageError, match=f"--layer layer4: {method} takes no layer"):
        explainer(cam=(method,), layer=("layer4",))
    explanation = explainer(cam=(method, "gradcam"), layer=("layer1", "layer4"))(picture)
    found = [(heatmap.method, heatmap.layer) for heatmap in explanation.heatmaps]
    assert found == [(method, None), ("gradcam", "layer1"), ("gradcam", "layer4")]


@pytest.mark.parametrize("method", ["shapleycam", "eigengradcam", "fem"])
def test_the_librarys_maps_of_several_layers_are_averaged(method, picture):
    layers = ("layer3", "layer4")
    alone = explainer(cam=(method,), layer=layers)(picture).heatmaps
    (both,) = explainer(cam=(method,), layer=layers, aggregate=True)(picture).heatmaps
    mean = np.mean([heatmap.grid for heatmap in alone], axis=0)
    assert mean.any() and np.abs(both.grid - mean / mean.max()).max() < 1e-5


def test_what_python_callers_may_give(picture):
    options = {"lang": "en"}
    with pytest.raises(UsageError, match="no method to explain by; known: gradcam"):
        vidcam.explain(picture, methods=[], **options)
    parsed = vidcam.explain(picture, classes=np.array([281, 3]), colormap="turbo", **options)
    assert [heatmap.score.index for heatmap in parsed.heatmaps] == [281, 3]
    assert parsed.look.colormap == "turbo" and parsed.figure().axes is not None
    with pytest.raises(UnknownName, match="unknown colormap 'nosuch'"):
        parsed.figure(colormap="nosuch")
    with pytest.raises(UsageError, match="--alpha 7: must be from 0 to 1"):
        parsed.figure(alpha=7)
    assert vidcam.predict([]) == []


def test_a_grid_is_written_rows_first():
    with pytest.raises(UsageError, match="write 7x14, rows first"):
        ExplainOptions(reshape="7x")
    assert ExplainOptions(reshape="7x14").reshape == ExplainOptions(reshape=(7, 14)).reshape
