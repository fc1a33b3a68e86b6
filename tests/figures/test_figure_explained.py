"""An explained picture as a figure: what lies where, in which colours, under which words."""

from dataclasses import replace

import numpy as np
import pytest

from vidcam.figures import explained
from vidcam.figures.explained import explanation_grid, explanation_panels
from vidcam.overlays.words import say
from vidcam.pictures.explanation import Explanation, Heatmap, Look
from vidcam.types import Rect, Score

WIDTH, HEIGHT = 640, 480
CAT, CUP = Score(281, "虎斑猫", "tabby cat", 0.834), Score(967, "浓缩咖啡", "espresso", 0.0001)
ORANGE, RED, BLUE = (230, 120, 20), (128, 0, 0), (0, 0, 128)


def heatmap(method="gradcam", score=CAT, half="left", evidence=1.0, **more):
    grid = np.zeros((2, 2), np.float32)
    if half:
        grid[:, 0 if half == "left" else 1] = 1
    return Heatmap(method, more.pop("layer", "bn2"), "top1", score, evidence, grid, **more)


@pytest.fixture
def explanation():
    rgb = np.full((HEIGHT, WIDTH, 3), ORANGE, np.uint8)
    whole = Rect(0, 0, WIDTH, HEIGHT)
    return Explanation("a.png", rgb, whole, rgb, (CAT, CUP), (heatmap(),))


def with_heat(explanation, *heatmaps, **more):
    return replace(explanation, heatmaps=heatmaps, **more)


@pytest.fixture
def cells(monkeypatch):
    """What the grid is given: `(rows of cells, the cell at the left, titles of the rows)`."""
    found = []
    plain = explained.grid

    def noting(rows, style, **rest):
        found.append((rows, rest.get("lead"), list(rest.get("row_titles", ()))))
        return plain(rows, style, **rest)

    monkeypatch.setattr(explained, "grid", noting)
    return found


def test_rows_are_methods_and_columns_classes(explanation, style, cells, drawn, said):
    maps = [heatmap(m, s) for m in ("gradcam", "layercam", "fem") for s in (CAT, CUP)]
    rgb = drawn(explanation_grid(with_heat(explanation, *maps), Look(), style))
    [(rows, lead, titles)] = cells
    assert [[(c.title, c.value) for c in row] for row in rows] == [
        [("虎斑猫", "83.4%"), ("浓缩咖啡", "0.0%")]
    ] * 3
    assert titles == ["gradcam", "layercam", "fem"]
    assert lead.title == "原图" and lead.note == "预测：虎斑猫 83.4%"
    # The original is the leftmost of what is coloured, and untouched.
    orange = (np.abs(rgb.astype(int) - ORANGE).max(2) < 4).sum(0)
    first = int(np.argmax(orange > 0))
    colourful = (rgb.max(2).astype(int) - rgb.min(2) > 60).any(0)
    assert first == int(np.argmax(colourful)) < rgb.shape[1] // 4
    assert said == []


def test_one_method_needs_no_title_of_its_row(explanation, style, cells):
    explanation_grid(explanation, Look(), style)
    assert cells[0][2] == []


def test_several_layers_are_named(explanation, style, cells):
    maps = [heatmap(), heatmap(layer="blocks.4"), heatmap("guided", layer=None)]
    explanation_grid(with_heat(explanation, *maps), Look(), style)
    assert cells[0][2] == ["gradcam · bn2", "gradcam · blocks.4", "guided"]


@pytest.mark.parametrize("language", ["zh", "zh-TW", "ja", "ko", "en"])
def test_an_absent_class_is_said_in_the_figures_language(explanation, style, cells, language):
    absent = heatmap(score=CUP, half=None, evidence=0.1)
    minds_no_class = heatmap("eigencam", CUP, evidence=0.1)
    both = with_heat(explanation, heatmap(), absent, minds_no_class)
    explanation_grid(both, Look(language=language), style)
    rows = cells[0][0]
    assert rows[0][0].note == ""
    words = say("no evidence", language)
    assert words and rows[0][1].note == words and rows[1][1].note == ""
    assert np.abs(rows[0][1].rgb.astype(int) - ORANGE).max() <= 4, (
        "no heat on a class that is not there"
    )
    assert rows[1][0] is None


@pytest.mark.parametrize("fit", ["whole", "crop"])
def test_heat_lies_on_its_half_and_colours_are_not_swapped(explanation, style, cells, fit):
    crop = explanation.crop if fit == "whole" else Rect(160, 80, 320, 320)
    explanation = replace(explanation, crop=crop)
    explanation_panels(explanation, Look(alpha=1.0), style)
    [(original, alone, overlay)] = cells[0][0]
    assert (original.rgb == ORANGE).all()
    middle = crop.y + crop.height // 2
    left, right = crop.x + 16, crop.x + crop.width - 17
    assert np.abs(alone.rgb[middle, left].astype(int) - RED).max() <= 2
    assert np.abs(alone.rgb[middle, right].astype(int) - BLUE).max() <= 2
    assert np.abs(overlay.rgb[middle, left].astype(int) - RED).max() <= 8
    assert np.abs(overlay.rgb[middle, right].astype(int) - ORANGE).max() <= 8
    if fit == "crop":
        for cell, colour in ((alone, BLUE), (overlay, ORANGE)):
            pale = np.array(colour) * 0.45 + 255 * 0.55  # the network saw nothing there
            assert np.abs(cell.rgb[:80] - pale).max() <= 8
            assert np.abs(cell.rgb[:, 480:] - pale).max() <= 8


def test_opacity_and_colours_are_as_asked(explanation, style, cells):
    for look in (
        Look(alpha=0.0),
        Look(alpha=0.5),
        Look(alpha=1.0),
        Look(alpha=1.0, colormap="viridis"),
    ):
        explanation_panels(explanation, look, style)
    pale, half, full, viridis = (found[0][0][2].rgb[240, 21].astype(int) for found in cells)
    assert np.abs(pale - ORANGE).max() <= 4
    assert np.abs(half - (pale + full) / 2).max() <= 4
    assert np.abs(viridis - (253, 231, 37)).max() <= 8


def test_panels_have_the_true_class_the_method_and_the_predicted_class(explanation, style, cells):
    maps = heatmap(), heatmap("layercam", CUP, half=None, evidence=0)
    explanation_panels(with_heat(explanation, *maps, true=CUP), Look(), style)
    first, second = cells[0][0]
    assert [cell.title for cell in first] == ["真实类别：浓缩咖啡", "gradcam · 虎斑猫", "虎斑猫"]
    assert first[0].note == "预测：虎斑猫 83.4%" and first[2].value == "83.4%"
    assert [cell.note for cell in second][1:] == ["没有正面证据"] * 2


def test_guided_gradients_are_shown_around_grey(explanation, style, cells):
    detail = np.zeros((64, 64, 3), np.float32)
    detail[28:36, 28:36, 0] = 1  # more red speaks for the class
    guided = heatmap("guided", layer=None, detail=detail)
    explanation_grid(with_heat(explanation, guided), Look(), style)
    shown = cells[0][0][0][0].rgb
    assert shown.shape == (HEIGHT, WIDTH, 3)
    assert (shown[27, 27] == 128).all()
    red, green, blue = shown[HEIGHT // 2, WIDTH // 2]
    assert red == 255 and green == blue == 128


@pytest.mark.parametrize("side", [51, 64, 130])
def test_heat_on_a_tiny_picture_is_as_smooth_as_on_a_large_one(explanation, style, cells, side):
    """Drawn on its few pixels it came as stripes and squares."""
    grid = np.random.default_rng(3).random((7, 7)).astype(np.float32)
    seen = replace(heatmap(), grid=grid)
    for size in (side, 560):
        grey = np.full((size, size, 3), 128, np.uint8)
        whole = Rect(0, 0, size, size)
        given = with_heat(explanation, seen, rgb=grey, crop=whole)
        explanation_grid(given, Look(alpha=1.0), style)
    tiny, large = (found[0][0][0].rgb.astype(int) for found in cells)
    assert np.abs(tiny - large).max() <= 4


def test_a_picture_of_normal_size_is_drawn_on_pixel_for_pixel(explanation, style, cells):
    rgb = np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8)
    given = replace(explanation, rgb=rgb, crop=Rect(0, 0, 800, 600))
    explanation_panels(given, Look(), style)
    assert (cells[0][0][0][0].rgb == rgb).all()
    assert cells[0][0][0][2].rgb.shape == rgb.shape


def test_a_picture_of_any_size_is_drawn(explanation, style, drawn):
    for height, width in ((3, 900), (2000, 3000), (700, 5)):
        rgb = np.full((height, width, 3), ORANGE, np.uint8)
        large = replace(explanation, rgb=rgb, crop=Rect(0, 0, width, height))
        assert drawn(explanation_grid(large, Look(), style)).size
        assert drawn(explanation_panels(large, Look(), style)).size
