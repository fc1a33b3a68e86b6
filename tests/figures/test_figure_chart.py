"""Charts of scores, read back from their pixels."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from vidcam.figures.chart import BAR_PX, LIGHTER, ROW_PX, picture_chart, score_chart
from vidcam.figures.style import ACCENT, Style
from vidcam.labels import imagenet
from vidcam.types import Score

LONG = "a label of far too many words that nobody reads to its very end"


def score(value, label="虎斑猫", english="tabby"):
    return Score(0, label, english, value)


def is_color(rgb, color):
    """Where a figure has exactly this colour, (H, W) bool."""
    wanted = np.round(np.array(to_rgb(color)) * 255).astype(np.uint8)
    return (rgb == wanted).all(axis=2)


def bars(rgb):
    """Length, first column and middle row of each bar, from the top."""
    bar = is_color(rgb, ACCENT) | is_color(rgb, LIGHTER)
    full = bar & (np.cumsum(bar, axis=1) >= 1)
    rows = np.nonzero(full.sum(axis=1) >= 2)[0]
    groups = np.split(rows, np.nonzero(np.diff(rows) > 1)[0] + 1) if rows.size else []
    found = []
    for group in groups:
        columns = np.nonzero(bar[group[len(group) // 2]])[0]
        found.append((columns[-1] - columns[0] + 1, columns[0], group.mean()))
    return found


def test_bars_are_as_long_as_the_scores_best_first(style, drawn):
    values = [1.0, 0.75, 0.5, 0.25, 0.01]
    rgb = drawn(score_chart([score(value) for value in values], style, "猫.jpg"))
    found = bars(rgb)
    lengths = [length for length, _, _ in found]
    assert lengths == pytest.approx([BAR_PX * value for value in values], abs=1.01)
    assert len({first for _, first, _ in found}) == 1
    assert np.diff([middle for _, _, middle in found]) == pytest.approx([ROW_PX] * 4, abs=1)


@pytest.mark.parametrize("value", [0.0, 0.0004, 0.5, 0.9999, 1.0])
def test_the_value_stands_at_the_end_of_its_bar(style, drawn, value):
    rgb = drawn(score_chart([score(value)], style, ""))
    axis = bars(drawn(score_chart([score(1.0)], style, "")))[0][1]
    middle = slice(rgb.shape[0] - 28 - 34, rgb.shape[0] - 28)
    end = axis + round(BAR_PX * value)
    text = (rgb[middle, end + 3 : end + 75] < 200).any(axis=(0, 2))
    columns = np.nonzero(text)[0]
    assert columns.size and columns[0] < 12
    width = style.fit(f"{value:.1%}").width_px
    assert columns[-1] - columns[0] + 1 == pytest.approx(width, abs=4)
    assert not (rgb[middle, end + 3 + columns[-1] + 1 :] < 200).any()


def test_an_unknown_class_is_a_label_without_a_bar(style, drawn):
    unknown = score(None, "未知", "unknown")
    rgb = drawn(score_chart([unknown, score(0.5)], style, ""))
    assert len(bars(rgb)) == 1
    without = drawn(score_chart([score(None, "", ""), score(0.5)], style, ""))
    row = slice(28 + 46, 28 + 46 + ROW_PX)
    assert (rgb[row] < 100).any() and not (without[row] < 100).any()


def test_the_height_grows_with_the_bars_and_the_text_stays(style, drawn):
    names = imagenet("ko")
    heights = []
    for count in (0, 1, 5, 50):
        scores = [score((50 - n) / 50, names[n]) for n in range(count)]
        rgb = drawn(score_chart(scores, style, "title"))
        heights.append(rgb.shape[0])
        assert len(bars(rgb)) == count
    assert heights[0] == heights[1]
    assert np.diff(heights[1:]).tolist() == [ROW_PX * 4, ROW_PX * 45]


def test_odd_labels_and_titles_stay_on_the_sheet(drawn, said):
    style = Style()
    labels = [LONG, LONG.replace(" ", ""), "虎" * 60, "$5 $6", "a\nb\tc", "x\U0010fff0", "", "🐈"]
    scores = [score(1.0, label, label) for label in labels]
    rgb = drawn(score_chart(scores, style, "题" * 300, "title"))
    assert len(bars(rgb)) == len(labels)
    assert [name for name, _ in said] == ["vidcam"]


@pytest.mark.parametrize(
    "shape, count, size",
    [
        ((720, 1280), 10, (640, 360)),
        ((1280, 720), 5, (202, 360)),
        ((200, 1000), 10, (960, 192)),
        ((8, 8), 3, (360, 360)),
        ((400, 400), 20, (680, 680)),
        ((400, 400), 50, (720, 720)),
        ((2000, 2), 1, (1, 360)),
    ],
)
def test_the_picture_stands_beside_the_bars_in_its_own_aspect(style, drawn, shape, count, size):
    picture = np.full((*shape, 3), (250, 20, 60), np.uint8)
    scores = [score(1 - n / 60) for n in range(count)]
    rgb = drawn(picture_chart(picture, scores, style, "虎.jpg"))
    rows, columns = np.nonzero((rgb == (250, 20, 60)).all(axis=2))
    assert (columns.max() - columns.min() + 1, rows.max() - rows.min() + 1) == size
    assert rows.size == size[0] * size[1]
    found = bars(np.where((rgb == (250, 20, 60)).all(axis=2)[..., None], 255, rgb))
    assert len(found) == count and all(first > columns.max() for _, first, _ in found)
    assert found[0][2] > rows.min()
    if size[1] >= ROW_PX * count:
        assert found[-1][2] < rows.max()
