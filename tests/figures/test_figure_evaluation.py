"""The figures of an evaluation and of a comparison: whole, of bounded size, of what they show."""

import re
from pathlib import Path

import numpy as np
import pytest

from vidcam.figures.calibration import calibration_diagram
from vidcam.figures.compared import comparison
from vidcam.figures.confusion import MOST_CLASSES, confusion_figure
from vidcam.figures.features_map import FeatureMap, class_look, feature_map, features_figure
from vidcam.figures.rates import rate_curves
from vidcam.figures.training import trial_curves
from vidcam.training.compare import Line, Measured
from vidcam.training.metrics import class_curves, measure

CJK = ("猫", "ライオン", "강아지", "萨摩耶 Samoyed", "x" * 90, "<b>", "$x$", "ß")


def some(classes, pictures, seed=0, apart=2.0):
    """Logits (N, K) and labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(pictures) % classes
    return rng.normal(0, 1, (pictures, classes)) + apart * np.eye(classes)[labels], labels


def dark(rgb):
    """How many pixels are drawn on."""
    return int((rgb.min(2) < 200).sum())


@pytest.mark.parametrize("classes", [1, 2, 8, 40, 100])
def test_confusion_matrices_have_a_readable_size(style, drawn, said, classes):
    names = [f"{CJK[n % len(CJK)]}{n}" for n in range(classes)]
    rgb = drawn(confusion_figure(np.full((classes, classes), 3, np.int64), names, style))
    assert max(rgb.shape) < 2600 and dark(rgb) > 100 and not said


def test_a_cell_is_as_dark_as_its_share_of_the_row(style, drawn):
    counts = np.array([[90, 10, 0], [0, 50, 50], [0, 0, 5]])
    figure = confusion_figure(counts, ["a", "b", "c"], style)
    (panel,) = figure.axes
    drawn(figure)
    (image,) = panel.images
    assert np.allclose(np.asarray(image.get_array()) ** 2, counts / counts.sum(1, keepdims=True))
    assert sorted(text.get_text() for text in panel.texts if text.get_text().isdigit()) == [
        "10", "5", "50", "50", "90"]  # fmt: skip


def test_of_very_many_classes_the_most_confused_are_shown(style, drawn):
    counts = np.diag(np.full(400, 9))
    counts[300, 7] = counts[7, 300] = 50
    figure = confusion_figure(counts, [f"c{n}" for n in range(400)], style)
    texts = [text.get_text() for text in figure.texts]
    assert {"c7", "c300"} <= set(texts) and sum(t.startswith("c") for t in texts) == MOST_CLASSES
    assert "Confusion matrix: the 100 classes with the most mistakes, of 400" in texts
    assert max(drawn(figure).shape) < 2600


def test_answers_that_are_nobodys_class_have_a_column(style, drawn):
    figure = confusion_figure(np.array([[5, 0, 2], [1, 4, 0]]), ["猫", "狗"], style)
    drawn(figure)
    (panel,) = figure.axes
    assert "others" in [text.get_text() for text in panel.texts]


@pytest.mark.parametrize("classes", [1, 2, 12, 40])
def test_curves_have_a_line_for_the_mean_and_up_to_twelve_classes(style, drawn, said, classes):
    logits, labels = some(classes, 8 * classes)
    names = [f"{CJK[n % len(CJK)]}{n}" for n in range(classes)]
    curves = class_curves(logits, labels, measure(logits, labels, names))
    figure = rate_curves(curves, style)
    rgb = drawn(figure)
    pr, roc = figure.axes
    assert len(pr.lines) == 1 + min(12, classes)
    # A precision holds down to the recall before: so the lines enclose the AP.
    assert {line.get_drawstyle() for line in pr.lines[1:]} == {"steps-post"}
    assert len(roc.lines) == 1 + (1 + min(12, classes) if classes > 1 else 0)
    assert dark(rgb) > 500 and not said
    if classes == 40:
        shown = {text.get_text() for text in figure.texts}
        least = sorted(curves, key=lambda one: one.ap)
        assert any(f"AP {least[0].ap:.3f}" in text for text in shown)
        assert not any(f"AP {least[-1].ap:.3f}" in text for text in shown)


@pytest.mark.parametrize("apart", [0.0, 30.0])
def test_the_calibration_diagram_shows_share_and_gap(style, drawn, apart):
    logits, labels = some(3, 60, apart=apart)
    calibration = measure(logits, labels, "abc").calibration
    figure = calibration_diagram(calibration, style)
    drawn(figure)
    panel, counts = figure.axes
    filled = (calibration.counts > 0).sum()
    assert len(panel.patches) == 2 * filled and len(counts.patches) == filled
    heights = [patch.get_height() for patch in counts.patches]
    assert sum(heights) == pytest.approx(1)
    assert all(patch.get_y() + patch.get_height() <= 1 + 1e-9 for patch in panel.patches)


def test_the_colours_of_the_calibration_have_a_legend(style, drawn, said):
    logits, labels = some(3, 60)
    for language, word in (("en", "surer than right"), ("zh", "过于自信"), ("ko", "과신")):
        figure = calibration_diagram(measure(logits, labels, "abc").calibration, style,
                                     language=language)  # fmt: skip
        rgb = drawn(figure)
        assert word in [text.get_text() for text in figure.texts] and not said
        # The swatch has the colour of the bars' part: orange, at 35 % on white.
        assert (np.abs(rgb[60:90].astype(int) - (240, 199, 166)).max(2) <= 2).any()


def test_figures_have_their_words_in_the_language(style):
    curves = class_curves(*some(3, 30), measure(*some(3, 30), "abc"))
    features = FeatureMap(np.arange(3), np.full((3, 2), 0.5))
    figures = (
        confusion_figure(np.eye(2, 3, 1, dtype=np.int64), "ab", style, language="zh"),
        rate_curves(curves, style, language="zh"),
        features_figure(features, np.arange(3), np.arange(3) > 1, "abc", style, language="zh"),
    )
    texts = [text.get_text() for figure in figures for text in figure.texts]
    texts += [text.get_text() for figure in figures for one in figure.axes for text in one.texts]
    assert {"混淆矩阵", "其他", "精确率", "召回率", "假阳性率", "3 类平均"} <= set(texts)
    english = [text for text in texts if re.search("[a-z]{3}", text)]
    assert not english


def trial(size, fit, strength, loss, accuracy=0.9, stage="square"):
    return {"stage": stage, "size": size, "fit": fit, "strength": strength, "cv_loss": loss,
            "cv_accuracy": accuracy}  # fmt: skip


def test_the_trials_of_the_squares_are_told_from_those_of_the_chosen_one(style, drawn, said):
    rows = [trial(224, "crop", 0.03, 0.13), trial(224, "stretch", 0.03, 0.08),
            trial(288, "stretch", 0.03, 0.084)]  # fmt: skip
    rows += [
        trial(288, "stretch", one, 0.09 + one, 0.95 - one / 9, "strength")
        for one in (0.003, 0.03, 3.0)
    ]
    figure = trial_curves(rows, style)
    assert dark(drawn(figure)) > 300 and not said
    loss, accuracy = figure.axes
    lines = [sorted(zip(*line.get_data(), strict=True)) for line in loss.lines]
    assert [len(line) for line in lines] == [1, 1, 1, 3] and len(accuracy.lines) == 4
    assert lines[2][0][1] == 0.084 and lines[3][1][1] == 0.12  # the same square and strength
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == (
        "288 px, stretch fit, regularisation 0.003: 95.0 % right in cross-validation"
    )
    assert {"0.003", "0.03", "3", "regularisation", "the chosen one"} <= set(texts)
    assert list(loss.get_xticks()) == pytest.approx([np.log10(x) for x in (0.03, 0.003, 3.0)])
    alone = trial_curves(rows[3:], style)
    assert len(alone.axes[0].lines) == 1
    assert "the chosen one" not in [text.get_text() for text in alone.texts]


def test_the_map_sets_classes_apart_and_is_the_same_every_time(style, drawn):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = (rng.normal(0, 0.2, (60, 80)) + 5 * np.eye(80)[labels]).astype(np.float32)
    found, again = feature_map(features), feature_map(features)
    assert np.array_equal(found.places, again.places)
    assert found.places.min() >= 0 and found.places.max() <= 1
    centres = np.array([found.places[labels == one].mean(0) for one in range(3)])
    nearest = np.linalg.norm(found.places[:, None] - centres, axis=2).argmin(1)
    assert (nearest == labels).all()
    wrong = np.arange(60) == 5
    assert dark(drawn(features_figure(found, labels, wrong, CJK, style))) > 500


@pytest.mark.parametrize(("count", "is_there"), [(2, False), (4, False), (5, True), (9, True)])
def test_small_sets_have_a_map_or_none(count, is_there):
    features = np.random.default_rng(0).normal(0, 1, (count, 8)).astype(np.float32)
    assert (feature_map(features) is not None) == is_there
    assert feature_map(np.ones((count, 8), np.float32)) is None


def test_many_classes_differ_in_colour_or_shape(style, drawn):
    for classes in (2, 12, 60, 200):
        looks = {class_look(number, classes) for number in range(classes)}
        assert len(looks) == classes
    features = np.random.default_rng(0).normal(0, 1, (80, 8)).astype(np.float32)
    labels = np.arange(80) % 40
    figure = features_figure(feature_map(features), labels, labels < 0, [str(n) for n in range(40)],
                             style)  # fmt: skip
    drawn(figure)
    assert "… and 12 more" in [text.get_text() for text in figure.texts]


def test_a_comparison_has_a_mark_for_each_run_that_has_the_number(style, drawn, said):
    runs = [Measured(name, Path("x"), {}) for name in ("无增强", "增强", "b" * 300)]
    found = [Line("", "top1", (0.5, 0.75, None)), Line("", "n", (9, 9, 9)),
             Line("猫", "f1", (0.0, None, 1.0))]  # fmt: skip
    figure = comparison(runs, found, style)
    marks = [one for one in figure.findobj() if getattr(one, "get_marker", lambda: "None")()
             not in ("None", "", None)]  # fmt: skip
    assert len(marks) == 3 + 4  # a legend of three, and the numbers
    assert dark(drawn(figure)) > 300 and not said
    many = [Line(f"c{n}", "f1", (0.5, 0.5 + n / 1000, 0.5)) for n in range(300)]
    figure = comparison(runs, many, style)
    shown = {text.get_text() for text in figure.texts}
    assert "c299" in shown and "c0" not in shown and max(drawn(figure).shape) < 2200
