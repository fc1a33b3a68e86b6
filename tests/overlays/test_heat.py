"""Heat is drawn where the map is hot, inside the rectangle that the network saw, and only there."""

import cv2
import numpy as np
import pytest
from test_yuv import MATRICES_AND_RANGES, noise, picture_of, rgb_of_picture, soft

from vidcam import yuv
from vidcam.overlays.heat import OPAQUE_FROM, Heat, part_of
from vidcam.types import Frame, Prediction, Rect, Result

HOT = np.ones((7, 7), np.float32)


def result_of(picture, cam, crop=None):
    crop = crop or Rect(0, 0, picture.width, picture.height)
    prediction = Prediction((), (), crop, cam, 0, True)
    return Result(Frame(picture, "test", 0, 0.0), prediction, 0.0)


def drawn(picture, cam, crop=None, alpha=0.5, colormap="jet"):
    """Y, U, V before and after, as int."""
    before = [plane.astype(int) for plane in yuv.planes(picture)]
    planes = yuv.planes(picture)
    Heat(alpha, colormap).draw(planes, result_of(picture, cam, crop))
    return before, [plane.astype(int) for plane in planes]


def one_cell(row, column, size=7):
    grid = np.zeros((size, size), np.float32)
    grid[row, column] = 1
    return grid


@pytest.mark.parametrize(
    "crop", [Rect(140, 0, 360, 360), Rect(0, 0, 640, 360), Rect(2, 4, 6, 8), Rect(638, 358, 2, 2),
             Rect(0, 100, 640, 20), Rect(300, 0, 4, 360)],
)  # fmt: skip
def test_every_pixel_outside_the_rectangle_is_untouched(crop):
    before, after = drawn(noise(640, 360), HOT, crop, alpha=1.0)
    for shift, old, new in zip((0, 1, 1), before, after, strict=True):
        inside = np.zeros(old.shape, bool)
        x, y = crop.x >> shift, crop.y >> shift
        inside[y : y + (crop.height >> shift), x : x + (crop.width >> shift)] = True
        np.testing.assert_array_equal(new[~inside], old[~inside])
        assert (new[inside] != old[inside]).mean() > 0.5


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 3), (1, 5), (6, 6), (6, 0)])
@pytest.mark.parametrize("crop", [Rect(140, 0, 360, 360), Rect(0, 0, 640, 360)])
def test_the_hot_spot_is_where_the_map_is_hot(crop, row, column):
    before, after = drawn(picture_of(np.full((360, 640, 3), 128.0)), one_cell(row, column), crop)
    change = np.abs(after[2] - before[2])  # V: red
    cell_width, cell_height = crop.width / 7, crop.height / 7
    y, x = (np.average(axis, weights=change) * 2 for axis in np.indices(change.shape))
    assert crop.x + column * cell_width <= x <= crop.x + (column + 1) * cell_width
    assert crop.y + row * cell_height <= y <= crop.y + (row + 1) * cell_height
    # Two cells away from the hot one nothing is left of it.
    luma = after[0] != before[0]
    far = np.ones_like(luma)
    top = max(0, int(crop.y + (row - 2) * cell_height))
    left = max(0, int(crop.x + (column - 2) * cell_width))
    bottom, right = (
        int(crop.y + (row + 3) * cell_height), int(crop.x + (column + 3) * cell_width),
    )  # fmt: skip
    far[top:bottom, left:right] = False
    assert not luma[far].any() and luma[~far].any()


def test_a_small_rectangle_has_no_stripes():
    """The coarse map must not have fewer rows and columns than the map itself has cells."""
    stripes = np.zeros((7, 7), np.float32)
    stripes[:, ::2] = 1
    for grid in (stripes, stripes.T.copy()):
        found = []
        for side in (48, 480):
            _, (luma, _, _) = drawn(picture_of(np.full((side, side, 3), 128.0)), grid, alpha=1.0)
            cells = cv2.resize(luma.astype(np.float32), (7, 7), interpolation=cv2.INTER_AREA)
            found.append(cells.ravel())
        assert np.corrcoef(*found)[0, 1] > 0.95


def every_pixel(picture, cam, crop, alpha):
    """The planes with each pixel coloured by itself, in float."""
    levels = np.rint(cam * 255).astype(np.uint8)
    ramp = np.clip(np.arange(256) / 255 / OPAQUE_FROM, 0, 1)
    opacity = alpha * ramp * ramp * (3 - 2 * ramp)
    colours = yuv.colormap_yuv("jet", yuv.matrix_of(picture), False).astype(float)
    out = []
    for channel, plane in enumerate(yuv.planes(picture)):
        shift = min(channel, 1)
        size = crop.width >> shift, crop.height >> shift
        level = cv2.resize(levels, size, interpolation=cv2.INTER_CUBIC)
        drawn_on = plane.astype(float)
        part = part_of(drawn_on, crop, shift)
        part += (colours[level, channel] - part) * opacity[level]
        out.append(drawn_on)
    return out


@pytest.mark.parametrize("crop", [Rect(0, 0, 1280, 720), Rect(324, 44, 630, 630)])
@pytest.mark.parametrize("seed", range(3))
def test_no_eye_tells_the_heat_from_colouring_every_pixel(crop, seed):
    cam = np.random.default_rng(seed).random((7, 7), np.float32) ** 3  # steep: worse than real
    picture = noise(1280, 720)
    expected = every_pixel(picture, cam, crop, 0.5)
    _, after = drawn(picture, cam, crop)
    for plane, exact in zip(after, expected, strict=True):
        difference = np.abs(plane - exact)
        assert difference.mean() < 0.8 and np.percentile(difference, 99.9) < 7


def test_hotter_is_redder():
    ramp = np.linspace(0, 1, 7, dtype=np.float32)[None].repeat(7, 0)
    _, after = drawn(picture_of(np.full((180, 336, 3), 128.0)), ramp)
    left, _, right = np.split(after[2].mean(0), [56, 112])
    assert right.mean() > 128 + 30 and right.mean() > left.mean() + 40
    assert np.abs(left[:8] - 128).max() <= 1


@pytest.mark.parametrize("cam", [None, np.zeros((7, 7), np.float32)])
def test_no_map_or_an_empty_one_leaves_the_picture_untouched(cam):
    before, after = drawn(noise(320, 180), cam, alpha=1.0)
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1:], before[1:])


def test_opacity_zero_leaves_the_picture_untouched():
    before, after = drawn(noise(320, 180), HOT, alpha=0.0)
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1:], before[1:])


def test_a_part_without_heat_keeps_its_colours():
    grid = HOT.copy()
    grid[:, :4] = 0
    before, after = drawn(noise(640, 360), grid, alpha=1.0)
    np.testing.assert_array_equal(after[0][:, :120], before[0][:, :120])
    np.testing.assert_array_equal(after[2][:, :60], before[2][:, :60])


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8, 1.0])
def test_opacity_is_never_above_what_was_asked_for(alpha):
    random = np.random.default_rng(3).random((7, 7), np.float32)
    black, white = (picture_of(np.full((180, 320, 3), level)) for level in (0.0, 255.0))
    _, on_black = drawn(black, random, alpha=alpha)
    _, on_white = drawn(white, random, alpha=alpha)
    # What shows through of the picture is the difference between the two grounds.
    through = (on_white[0] - on_black[0]) / 219
    assert through.min() >= 1 - alpha - 0.01
    _, on_black = drawn(picture_of(np.zeros((180, 320, 3))), HOT, alpha=alpha)
    _, on_white = drawn(picture_of(np.full((180, 320, 3), 255.0)), HOT, alpha=alpha)
    np.testing.assert_allclose((on_white[0] - on_black[0]) / 219, 1 - alpha, atol=0.01)


@pytest.mark.parametrize(("matrix", "full"), MATRICES_AND_RANGES)
@pytest.mark.parametrize("colormap", ["jet", "viridis"])
def test_full_heat_has_the_colour_map_s_colour_in_the_pictures_own_matrix(matrix, full, colormap):
    rgb = soft(320, 180)
    picture = picture_of(rgb, matrix, full)
    drawn(picture, HOT, alpha=0.5, colormap=colormap)
    table = cv2.applyColorMap(np.full((1, 1), 255, np.uint8), getattr(
        cv2, f"COLORMAP_{colormap.upper()}"))  # fmt: skip
    expected = 0.5 * rgb + 0.5 * table[0, 0, ::-1]
    difference = rgb_of_picture(picture, matrix, full) - expected
    assert np.abs(difference).mean() < 2


def test_an_untagged_picture_is_drawn_on_in_the_matrix_that_players_guess():
    for height, matrix in ((180, 6), (720, 1)):
        rgb = np.full((height, 320, 3), 128.0)
        picture = picture_of(rgb, matrix)
        picture.colorspace = picture.color_range = 0
        drawn(picture, HOT, alpha=1.0)
        # jet ends in (128, 0, 0)
        assert np.abs(rgb_of_picture(picture, matrix) - [128, 0, 0]).max() <= 3


def test_one_overlay_draws_on_pictures_of_changing_size_range_and_rectangle():
    heat = Heat(0.5, "turbo")
    for size, crop, full in (
        ((320, 180), None, False), ((180, 320), Rect(10, 20, 100, 100), True),
        ((320, 180), Rect(70, 0, 180, 180), False), ((64, 48), None, True),
        ((64, 96), None, True), ((320, 180), Rect(0, 0, 320, 90), False),
    ):  # fmt: skip
        grid = np.random.default_rng(1).random((9, 5), np.float32)
        shared, alone = (picture_of(soft(*size), full=full) for _ in range(2))
        heat.draw(yuv.planes(shared), result_of(shared, grid, crop))
        Heat(0.5, "turbo").draw(yuv.planes(alone), result_of(alone, grid, crop))
        for one, other in zip(yuv.planes(shared), yuv.planes(alone), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 7), (56, 31), (300, 300)])
def test_maps_of_any_grid_are_drawn(shape):
    before, after = drawn(noise(128, 96), np.ones(shape, np.float32))
    assert (after[0] != before[0]).mean() > 0.5


def test_the_map_itself_is_not_changed():
    grid = np.random.default_rng(0).random((7, 7), np.float32)
    copy = grid.copy()
    drawn(noise(64, 48), grid)
    np.testing.assert_array_equal(grid, copy)
