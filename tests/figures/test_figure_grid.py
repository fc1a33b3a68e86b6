"""Grids of pictures: every one at its place, in its colours, of one size."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from vidcam.figures.grid import FIGURE_PX, LEAST_PX, NARROWEST_PX, Cell, grid
from vidcam.figures.style import ACCENT, SMALL_PX

RED, GREEN, BLUE = (240, 16, 32), (8, 200, 24), (24, 40, 248)


def plain(color, shape=(90, 160)):
    return np.full((*shape, 3), color, np.uint8)


def cell(color, title="虎斑猫", note="", shape=(90, 160)):
    return Cell(plain(color, shape), title, "tabby", note, "83.4%")


def box(rgb, color):
    """Left, top, width and height of the one rectangle of a colour; it has no holes."""
    rows, columns = np.nonzero((rgb == color).all(axis=2))
    width, height = columns.max() - columns.min() + 1, rows.max() - rows.min() + 1
    assert rows.size == width * height
    return columns.min(), rows.min(), width, height


def boxes(rgb, color):
    """How many rectangles of a colour stand in a column and in a row."""
    mask = (rgb == color).all(axis=2)

    def runs(line):
        return int(np.count_nonzero(np.diff(np.concatenate([[0], line.astype(int)])) == 1))

    return runs(mask.any(axis=1)), runs(mask.any(axis=0))


def test_colours_and_edges_are_where_they_were(style, drawn):
    picture = plain(RED, (180, 320))
    picture[45:, 80:] = GREEN
    picture[135:, 240:] = BLUE
    rgb = drawn(grid([[Cell(picture, "猫", "cat", "")]], style))
    corner = np.nonzero((rgb == RED).all(axis=2))
    top, left = corner[0].min(), corner[1].min()
    shown = rgb[top : top + 191, left : left + 340]
    # 340 / 320 of the size: a quarter of the width is at 85, of the height at 48.
    for rows, columns, color in (
        (slice(0, 47), slice(0, 340), RED),
        (slice(0, 191), slice(0, 84), RED),
        (slice(49, 142), slice(86, 340), GREEN),
        (slice(145, 191), slice(256, 340), BLUE),
    ):
        assert (shown[rows, columns] == color).all()
    assert not (rgb[:, left + 340 :] == GREEN).all(axis=2).any()
    assert not (rgb[top + 191 :] < 255).any()


def test_a_picture_of_the_cells_size_comes_out_bit_for_bit(style, drawn):
    picture = np.random.default_rng(0).integers(0, 256, (340, 170, 3), dtype=np.uint8)
    picture[0, 0] = RED
    rgb = drawn(grid([[Cell(picture, "", "", "")]], style))
    assert (rgb[24 : 24 + 340, 24 : 24 + 170] == picture).all()


def test_the_lead_stands_at_the_left_top_aligned_and_of_the_same_size(style, drawn):
    rows = [[cell(GREEN, note="没有正面证据"), cell(BLUE)], [cell((1, 2, 3)), None]]
    lead = Cell(plain(RED), "原图", "original", "")
    rgb = drawn(grid(rows, style, lead=lead, row_titles=["gradcam", "layercam"]))
    red, green, blue = (box(rgb, color) for color in (RED, GREEN, BLUE))
    assert red[2:] == green[2:] == blue[2:] == (340, 191)
    assert red[1] == green[1] == blue[1]
    assert red[0] < green[0] < blue[0]
    below = box(rgb, (1, 2, 3))
    assert below[0] == green[0] and below[1] > green[1] + 191
    # Between the lead and the first column stand the names of the rows.
    between = rgb[green[1] : green[1] + 191, red[0] + 340 : green[0]]
    assert (between < 180).any()


def test_gaps_are_left_white(style, drawn):
    rows = [[cell(RED), None], [Cell(None, "never", "never", "never", "1%"), cell(BLUE)]]
    rgb = drawn(grid(rows, style))
    red, blue = box(rgb, RED), box(rgb, BLUE)
    assert red[0] < blue[0] and red[1] < blue[1]
    assert (rgb[: red[1] + red[3], blue[0] :] == 255).all()
    assert (rgb[red[1] + red[3] :, : blue[0]] == 255).all()


def test_a_grid_of_nothing_is_a_white_sheet(style, drawn):
    for rows in ([], [[]], [[None, None]]):
        assert (drawn(grid(rows, style)) == 255).all()


def test_a_note_stands_under_the_title(style, drawn):
    noted = drawn(grid([[cell(RED, note="没有正面证据")]], style))
    bare = drawn(grid([[cell(RED)]], style))
    top, bare_top = box(noted, RED)[1], box(bare, RED)[1]
    assert (noted[:bare_top] == bare[:bare_top]).all()
    note = noted[bare_top:top]
    assert (note < 180).any() and note.shape[0] > SMALL_PX


@pytest.mark.parametrize("title", ["虎" * 60, "an endless name of a class " * 4, "$x$ \n $y$", ""])
def test_the_value_is_never_cut(style, drawn, title):
    rgb = drawn(grid([[cell(RED, title), cell(BLUE, title)]], style))
    first, second = box(rgb, RED), box(rgb, BLUE)
    accent = np.round(np.array(to_rgb(ACCENT)) * 255)
    value = np.abs(rgb[: first[1]].astype(float) - accent).max(axis=2) < 40
    columns = np.nonzero(value.any(axis=0))[0]
    width = style.fit("83.4%").width_px
    for left in (first[0], second[0]):
        own = columns[(columns >= left) & (columns < left + 340)]
        assert own[-1] - own[0] + 1 == pytest.approx(width, abs=5)
    between = rgb[:, first[0] + 342 : second[0]]
    assert (between == 255).all()


@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (20, 100), (100, 20)])
@pytest.mark.parametrize("rows, columns", [(1, 1), (6, 2), (2, 3), (15, 10)])
def test_every_cell_is_drawn_on_a_figure_of_bounded_size(style, drawn, shape, rows, columns):
    cells = [[cell(RED, shape=shape) for _ in range(columns)] for _ in range(rows)]
    figure = grid(
        cells, style, lead=cell(RED, shape=shape), row_titles=["gradcam++"] * rows,
        column_titles=["虎斑猫"] * columns,
    )  # fmt: skip
    rgb = drawn(figure)
    assert max(rgb.shape) <= FIGURE_PX
    assert boxes(rgb, RED) == (rows, columns + 1)


def test_pictures_shrink_no_further_than_can_be_read(style):
    rows = [[cell(RED)] * 3] * 150
    width, height = grid(rows, style).get_size_inches() * 128
    assert height == pytest.approx(24 + 150 * (24 + LEAST_PX * 9 / 16 + 16), abs=30)
    assert width >= 3 * NARROWEST_PX


def test_pictures_of_other_aspects_fit_into_the_cells(style, drawn):
    rows = [[cell(RED), cell(BLUE, shape=(100, 100)), cell(GREEN, shape=(10, 500))]]
    rgb = drawn(grid(rows, style))
    assert [box(rgb, color)[2:] for color in (RED, BLUE, GREEN)] == [
        (340, 191),
        (191, 191),
        (340, 7),
    ]
