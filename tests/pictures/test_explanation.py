"""Explanations of real frames: where the heat lies, absent classes, figures, memory."""

import gc
import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import vidcam
from vidcam.errors import Interrupted, SourceError, UsageError
from vidcam.figures.sheet import png
from vidcam.pictures.explainer import Explainer
from vidcam.pictures.explanation import ABSENT_BELOW, Explanation, Heatmap
from vidcam.pictures.options import ExplainOptions
from vidcam.types import Rect, Score

SIDE = 320
CAT, CUP, ABSENT = "tabby cat", "espresso", "volcano"


@pytest.fixture(scope="module")
def both(cat_clip):
    """A cat at the left, an espresso at the right: the middles of two frames."""
    whole = Image.new("RGB", (2 * SIDE, SIDE))
    for number, path in enumerate((cat_clip, cat_clip.with_name("coffee.mp4"))):
        with av.open(str(path)) as clip:
            frame = next(clip.decode(video=0)).to_image()
        x = (frame.width - frame.height) // 2
        square = frame.crop((x, 0, x + frame.height, frame.height)).resize((SIDE, SIDE))
        whole.paste(square, (number * SIDE, 0))
    return whole


@pytest.fixture(scope="module")
def explain(builtin):
    """Explains pictures with the built-in model."""

    def run(picture, name=None, **options):
        return Explainer(ExplainOptions(**{"lang": ("en",)} | options), builtin)(picture, name)

    return run


def share_at_the_left(whole):
    return whole[:, : whole.shape[1] // 2].sum() / whole.sum()


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_the_heat_lies_on_the_object_and_an_absent_class_has_none(explain, both, fit):
    found = explain(both, fit=fit, class_=(CAT, CUP, ABSENT))
    cat, cup, absent = found.maps
    assert cat.shape == cup.shape == (SIDE, 2 * SIDE)
    assert share_at_the_left(cat) > 0.8
    assert share_at_the_left(cup) < 0.2
    assert not absent.any() and found.heatmaps[2].is_of_absent_class
    assert [heatmap.has_evidence for heatmap in found.heatmaps] == [True, True, False]
    assert 0 < found.heatmaps[2].score.score < 0.01
    assert min(heatmap.evidence for heatmap in found.heatmaps[:2]) > ABSENT_BELOW


@pytest.mark.parametrize("method", ["gradcam", "scorecam", "guided-gradcam", "layercam"])
def test_an_absent_class_is_empty_by_every_method_that_minds_the_class(explain, both, method):
    [heatmap] = explain(both, cam=(method,), class_=(ABSENT,)).heatmaps
    assert not heatmap.grid.any() and heatmap.detail is None


def test_a_method_that_does_not_mind_the_class_keeps_its_map_and_says_so(explain, both):
    [heatmap] = explain(both, cam=("eigencam",), class_=(ABSENT,)).heatmaps
    assert heatmap.grid.max() == 1 and heatmap.is_of_absent_class
    [heatmap] = explain(both, cam=("guided",), class_=(ABSENT,)).heatmaps
    assert heatmap.detail.std() > 0 and heatmap.is_of_absent_class


def test_the_top_class_always_has_evidence(explain):
    grey = np.full((64, 64), 128, np.uint8)
    [heatmap] = explain(grey).heatmaps
    assert heatmap.evidence == 1


def test_pad_cuts_the_bars_off_maps_and_gradients(explain, both):
    found = explain(both, fit="pad", cam=("gradcam", "guided", "fem"))
    ours, guided, library = found.heatmaps
    for heatmap in (guided, library):
        assert heatmap.grid.shape == (112, 224)
    assert guided.detail.shape == (112, 224, 3)
    assert ours.grid.shape[1] == 2 * ours.grid.shape[0]
    # The square's middle rows are the picture: its bars are grey.
    assert (found.square[:56] == 114).all() and (found.square[168:] == 114).all()
    assert found.crop == Rect(0, 0, 2 * SIDE, SIDE)


def test_crop_leaves_what_was_not_seen_at_zero(explain, both):
    found = explain(both, fit="crop")
    [whole] = found.maps
    crop = found.crop
    assert crop.width < 2 * SIDE and whole.max() > 0.9
    seen = whole[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    assert np.count_nonzero(seen) == np.count_nonzero(whole)


def test_several_layers_one_by_one_and_averaged(explain, both):
    layers = ("blocks.5", "bn2")
    options = {"fit": "stretch", "layer": (*layers, "bn2"), "cam": ("gradcam", "fem")}
    apart = explain(both, **options).heatmaps
    assert [heatmap.layer for heatmap in apart] == [*layers, *layers]
    averaged = explain(both, aggregate=True, **options).heatmaps
    assert [heatmap.layer for heatmap in averaged] == ["blocks.5 + bn2"] * 2
    for mean, first, second in zip(averaged, apart[::2], apart[1::2], strict=True):
        assert mean.grid.max() == pytest.approx(1, abs=0.05)
        sizes = [np.asarray(Image.fromarray(h.grid).resize((224, 224))) for h in (first, second)]
        expected = np.mean(sizes, axis=0)
        # Resized in another way, so alike and not equal.
        alike = np.corrcoef(expected.ravel(), mean.grid.ravel())[0, 1]
        assert alike > 0.97


@pytest.mark.parametrize("how", ["aug_smooth", "eigen_smooth"])
def test_smoothing_changes_the_map_and_keeps_its_range(explain, both, how):
    plain = explain(both, fit="stretch", class_=(CAT,)).maps[0]
    smooth = explain(both, fit="stretch", class_=(CAT,), **{how: True}).maps[0]
    assert smooth.shape == plain.shape and 0.9 < smooth.max() <= 1 and smooth.min() >= 0
    assert np.abs(smooth - plain).mean() > 0.005
    if how == "aug_smooth":
        assert share_at_the_left(smooth) > 0.8


def test_the_python_call(both, tmp_path):
    path = tmp_path / "both.png"
    both.save(path)
    found = vidcam.explain(
        path, methods="layercam", classes=["top1", "エスプレッソ", 967, "虎斑猫"],
        lang="zh,en", fit="stretch",
    )  # fmt: skip
    assert isinstance(found, Explanation) and found.name == str(path)
    assert len(found.topk) == 5 and found.topk[0].score >= found.topk[1].score
    indices = [heatmap.score.index for heatmap in found.heatmaps]
    assert indices[0] == found.topk[0].index and indices[1:] == [967, 281]
    assert found.heatmaps[1].score.label == "浓缩咖啡 / espresso"
    for whole in found.maps:
        assert whole.shape == (SIDE, 2 * SIDE) and whole.dtype == np.float32
        assert 0 <= whole.min() < 0.3 and 0.9 < whole.max() <= 1
    assert np.array_equal(found.rgb, np.asarray(both))
    of_array = vidcam.explain(np.asarray(both), methods=["layercam"], fit="stretch")
    assert np.array_equal(of_array.maps[0], found.maps[0])
    for panels in (False, True):
        assert png(found.figure(panels=panels, colormap="viridis")).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"methods": ["gradcm"]}, "nearest: gradcam"),
        ({"methods": ["none"]}, "unknown method 'none'"),
        ({"classes": ["tabby catt"]}, "nearest: tabby cat"),
        ({"classes": [1000]}, "classes 0 to 999"),
        ({"classes": ["top1001"]}, "only 1000 classes compete"),
        ({"layer": ["bn3"]}, "nearest: bn2"),
        ({"layer": ["classifier"]}, "cannot carry a map"),
        ({"reshape": "3x3"}, "no layer with a grid of 3x3"),
        ({"colour": "red"}, "colour"),
        ({"methods": ["refinecam"]}, "two or more layers"),
        ({"methods": ["sess"], "aug_smooth": True}, "sess has no --aug-smooth"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(both, arguments, says):
    with pytest.raises(UsageError) as caught:
        vidcam.explain(both, **arguments)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_long_method_can_be_ended_within_a_map(builtin, both):
    explainer = Explainer(ExplainOptions(cam=("scorecam",)), builtin)
    calls = []

    def between(method, done, of):
        calls.append((method, done, of))
        if len(calls) == 3:
            raise Interrupted("interrupted")

    explainer.between = between
    with pytest.raises(Interrupted):
        explainer(both)
    assert calls[0][:2] == ("scorecam", 0) and calls[2][2] > 1
    assert not any(module._forward_hooks for module in builtin.net.modules())


def test_a_picture_that_cannot_be_read(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        vidcam.explain(tmp_path / "none.png")


def test_the_true_class_is_the_folders_name(explain, both, tmp_path):
    for folder, expected in (
        ("Tabby_Cat", None),
        ("浓缩咖啡", 967),
        ("281", None),
        ("tabby cat", 281),
    ):
        path = tmp_path / folder / "a.png"
        path.parent.mkdir()
        both.save(path)
        true = explain(path).true
        assert (true.index if true else None) == expected
    assert explain(both).true is None


def test_explaining_again_and_again_takes_no_more_memory(builtin, both):
    options = ExplainOptions(cam=("gradcam", "guided-gradcam"))
    explain, small = Explainer(options, builtin), both.resize((240, 120))

    def used_bytes():
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def once():
        png(explain(small).figure())

    for _ in range(4):
        once()
    before = used_bytes()
    for _ in range(20):
        once()
    assert used_bytes() - before < 30e6


def heatmap(grid, method="gradcam", layer="bn2", evidence=1.0):
    return Heatmap(method, layer, "top1", Score(0, "a", "a", 0.5), evidence, grid)


def explanation(*heatmaps, crop=None):
    rgb = np.zeros((40, 60, 3), np.uint8)
    crop = crop or Rect(0, 0, 60, 40)
    return Explanation("a.png", rgb, crop, rgb[:32, :32], (heatmaps[0].score,), heatmaps)


def test_a_map_is_laid_on_its_rectangle():
    grid = np.array([[0, 1], [0, 1]], np.float32)
    [whole] = explanation(heatmap(grid), crop=Rect(20, 10, 30, 20)).maps
    assert whole.shape == (40, 60) and whole.dtype == np.float32
    assert whole[:10].sum() == whole[30:].sum() == whole[:, :20].sum() == whole[:, 50:].sum() == 0
    assert (whole[10:30, 45:50] == 1).all() and (whole[10:30, 20:25] == 0).all()
    assert (np.diff(whole[20, 20:50]) >= 0).all()


def test_rows_are_called_by_the_layer_where_there_are_several():
    grid = np.ones((2, 2), np.float32)
    one = explanation(heatmap(grid), heatmap(grid, "guided", None))
    assert [one.row_name(each) for each in one.heatmaps] == ["gradcam", "guided"]
    two = explanation(heatmap(grid), heatmap(grid, layer="blocks.4"), heatmap(grid, "guided", None))
    names = [two.row_name(each) for each in two.heatmaps]
    assert names == ["gradcam · bn2", "gradcam · blocks.4", "guided"]
