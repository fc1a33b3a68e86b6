"""Faithfulness curves: every line at its numbers, and told apart without colour."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from vidcam.figures.curves import COLORS, Curve, score_curves

SHARES = np.linspace(0, 1, 11)


def curve(name="Grad-CAM", note="drop 0.43", removed=1 - SHARES, kept=SHARES):
    return Curve(name, SHARES, removed, kept, note)


def has_color(rgb, color):
    wanted = np.round(np.array(to_rgb(color)) * 255)
    return np.abs(rgb - wanted).max(axis=2) < 8


def test_the_lines_run_through_their_numbers(style, drawn):
    figure = score_curves([curve(removed=(1 - SHARES) / 2, kept=SHARES**2)], style, "猫")
    rgb = drawn(figure)
    marks = has_color(rgb, COLORS[0])
    height, width = rgb.shape[:2]
    for axes, scores in zip(figure.axes, ((1 - SHARES) / 2, SHARES**2), strict=True):
        assert axes.get_xlim() == (0, 100) and axes.get_ylim() == (0, 1)
        frame = axes.get_position()
        for share, value in zip(SHARES, scores, strict=True):
            x = round((frame.x0 + frame.width * share) * width)
            y = round((1 - frame.y0 - frame.height * value) * height)
            assert marks[y - 2 : y + 3, x - 2 : x + 3].all(), (share, value)


def test_the_most_and_the_least_score_are_not_cut_off(style, drawn):
    flat = [curve(removed=np.ones(11), kept=np.zeros(11))]
    figure = score_curves(flat, style, "")
    marks = has_color(drawn(figure), COLORS[0])
    rows = np.nonzero(marks[:, : marks.shape[1] // 2].sum(axis=1) > 5)[0]
    frame = figure.axes[0].get_position()
    top = (1 - frame.y1) * marks.shape[0]
    assert rows.min() < top - 2 and rows.max() > top + 2


def test_twelve_methods_are_told_apart_without_colour(style, drawn, said):
    curves = [curve(f"方法 {n}", removed=(1 - SHARES) / (n + 1)) for n in range(12)]
    figure = score_curves(curves, style, "十二", headings=("删去", "保留"), axes=("比例", "得分"))
    rgb = drawn(figure)
    for axes in figure.axes:
        assert len({(line.get_marker(), line.get_linestyle()) for line in axes.lines}) == 12
    legend = rgb[:, round(figure.axes[1].get_position().x1 * rgb.shape[1]) + 12 :]
    assert all(has_color(legend, color).any() for color in COLORS)
    assert not said


@pytest.mark.parametrize("count", [0, 1, 12, 20])
def test_names_and_notes_stand_in_the_legend_whatever_their_length(style, drawn, count):
    curves = [curve("名" * 60, "n" * 200) for _ in range(count)]
    figure = score_curves(curves, style, "标题 $x$\n" * 60)
    rgb = drawn(figure)
    legend = rgb[110:, round(figure.axes[1].get_position().x1 * rgb.shape[1]) + 30 :]
    dark = (legend < 180).all(axis=2).any(axis=1)
    names = np.count_nonzero(np.diff(np.concatenate([[0], dark.astype(int)])) == 1)
    assert names == 2 * count
