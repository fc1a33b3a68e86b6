"""What the network gets of a picture, against an independent reference: numpy colours and PIL."""

import numpy as np
import pytest
from PIL import Image
from test_yuv import MATRICES_AND_RANGES, noise, picture_of, rgb_of_picture, soft

from vidcam import yuv
from vidcam.errors import UsageError
from vidcam.prepare import Geometry, Preparer, map_on_picture
from vidcam.types import Rect

SIZE = 64
GREY = 114
# A wrong matrix or range is off by 5 levels and more, swscale's quick way to packed RGB by 2.
MEAN_LEVELS = 1


def prepared(picture, geometry):
    """The pixels and the rectangle; what the preparer leaves unwritten stays 7."""
    out = np.full((geometry.size, geometry.size, 3), 7, np.uint8)
    rect = Preparer(geometry)(picture, out)
    return out.astype(int), rect


def reference(rgb, rect, width, height):
    """PIL's area average of a rectangle."""
    part = rgb[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
    image = Image.fromarray(np.rint(part).astype(np.uint8))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX)).astype(int)


@pytest.mark.parametrize(
    ("fit", "share", "roi", "expected"),
    [
        ("stretch", 1.0, None, (0, 0, 1280, 720)),
        ("pad", 1.0, None, (0, 0, 1280, 720)),
        ("crop", 1.0, None, (280, 0, 720, 720)),
        ("crop", 0.875, None, (324, 44, 630, 630)),
        ("stretch", 1.0, (100, 50, 300, 200), (100, 50, 300, 200)),
        ("stretch", 1.0, (0.25, 0.5, 0.5, 0.5), (320, 360, 640, 360)),
        ("stretch", 1.0, (0, 0, 1, 1), (0, 0, 1280, 720)),
        ("pad", 1.0, (0.5, 0, 0.5, 1), (640, 0, 640, 720)),
        ("crop", 1.0, (0.5, 0, 0.5, 1), (640, 40, 640, 640)),
        ("crop", 0.5, (0, 0, 400, 200), (150, 50, 100, 100)),
        ("stretch", 1.0, (1200, 700, 500, 500), (1200, 700, 80, 20)),
        ("stretch", 1.0, (0.9, 0.9, 0.9, 0.9), (1152, 648, 128, 72)),
    ],
)
def test_the_region_of_each_fit_and_roi(fit, share, roi, expected):
    assert Geometry(224, fit, share, roi).region(1280, 720).as_list() == list(expected)


@pytest.mark.parametrize("roi", [None, (101, 33, 77, 55), (0.31, 0.17, 0.333, 0.555), (3, 3, 5, 5)])
@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (186, 134), (2000, 64), (64, 48)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_region_is_even_and_inside_the_picture(fit, size, roi):
    try:
        rect = Geometry(224, fit, 0.875, roi).region(*size)
    except UsageError:
        # Only a region in pixels can miss a small picture.
        assert roi == (101, 33, 77, 55)
        return
    assert not any(number % 2 for number in rect.as_list())
    assert rect.x >= 0 and rect.x + rect.width <= size[0]
    assert rect.y >= 0 and rect.y + rect.height <= size[1]


@pytest.mark.parametrize("size", [(2, 2), (2, 100), (100, 2)])
def test_the_crop_of_the_smallest_picture_stays_inside_it(size):
    rect = Geometry(224, "crop", 0.875).region(*size)
    assert rect.x >= 0 and rect.x + rect.width <= size[0]
    assert rect.y >= 0 and rect.y + rect.height <= size[1]


@pytest.mark.parametrize(
    "roi", [(0, 0, 3, 300), (0, 0, 300, 3), (0.5, 0.5, 0.001, 0.5), (1280, 0, 100, 100),
            (0, 5000, 100, 100), (1278, 0, 100, 100)],
)  # fmt: skip
def test_a_roi_that_leaves_nothing_is_refused_with_the_sizes(roi):
    with pytest.raises(UsageError, match=r"--roi .*1280x720"):
        Geometry(224, "stretch", roi=roi).region(1280, 720)


@pytest.mark.parametrize(("matrix", "full"), MATRICES_AND_RANGES)
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_the_pixels_equal_an_area_average_in_the_pictures_own_colours(fit, matrix, full):
    rgb = soft(320, 180)
    out, rect = prepared(picture_of(rgb, matrix, full), Geometry(SIZE, fit, 0.875))
    difference = np.abs(out - reference(rgb, rect, SIZE, SIZE))
    assert difference.mean() < MEAN_LEVELS and difference.max() <= 8


@pytest.mark.parametrize("roi", [(0.25, 0.5, 0.5, 0.5), (33, 17, 120, 90), (10, 10, 20, 12)])
def test_a_roi_gives_the_pixels_of_its_part(roi):
    rgb = soft(320, 180)
    out, rect = prepared(picture_of(rgb), Geometry(SIZE, "stretch", roi=roi))
    image = Image.fromarray(rgb.astype(np.uint8)).crop(
        (rect.x, rect.y, rect.x + rect.width, rect.y + rect.height)
    )
    expected = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(out - expected)
    assert difference.mean() < MEAN_LEVELS and difference.max() <= 16


@pytest.mark.parametrize(
    ("size", "bars"), [((320, 180), "rows"), ((180, 320), "columns"), ((2000, 16), "rows")]
)
def test_padding_keeps_the_shape_between_grey_bars(size, bars):
    rgb = soft(*size)
    out, rect = prepared(picture_of(rgb), Geometry(SIZE, "pad"))
    assert rect.as_list() == [0, 0, *size]
    short = max(1, round(SIZE * min(size) / max(size)))
    start = (SIZE - short) // 2
    if bars == "columns":
        out = out.transpose(1, 0, 2)
        rgb, rect = rgb.transpose(1, 0, 2), Rect(0, 0, rect.height, rect.width)
    np.testing.assert_array_equal(out[:start], GREY)
    np.testing.assert_array_equal(out[start + short :], GREY)
    expected = reference(rgb, rect, SIZE, short)
    assert np.abs(out[start : start + short] - expected).mean() < 4


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_square_picture_fills_the_square_under_every_fit(fit):
    rgb = soft(128, 128)
    out, rect = prepared(picture_of(rgb), Geometry(SIZE, fit))
    assert rect == Rect(0, 0, 128, 128)
    assert np.abs(out - reference(rgb, rect, SIZE, SIZE)).mean() < MEAN_LEVELS


@pytest.mark.parametrize(
    "colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)]
)
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_channels_are_red_green_blue(fit, colour):
    picture = picture_of(np.broadcast_to(np.array(colour, float), (90, 160, 3)))
    out, _ = prepared(picture, Geometry(SIZE, fit))
    assert np.abs(out - colour).max() <= 4


def test_untagged_colours_are_taken_as_players_take_them():
    for height, matrix in ((96, 6), (720, 1)):
        rgb = np.broadcast_to(np.array([200.0, 60, 40]), (height, 128, 3))
        picture = picture_of(rgb, matrix)
        picture.colorspace = picture.color_range = 0
        out, _ = prepared(picture, Geometry(SIZE, "stretch"))
        assert np.abs(out - [200, 60, 40]).max() <= 3


def test_fine_stripes_are_averaged_and_do_not_flicker():
    picture = picture_of(np.zeros((180, 320, 3)))
    yuv.planes(picture)[0][:, ::2] = 235
    out, _ = prepared(picture, Geometry(48, "stretch"))
    assert abs(out.mean() - 127.5) < 12 and out.std() < 12


def test_a_reused_preparer_gives_each_picture_its_own_pixels():
    preparer = Preparer(Geometry(SIZE, "crop", 0.875))
    pictures = [noise(160, 96, seed=1), noise(96, 160, seed=2), picture_of(soft(160, 96), 6, True)]
    for picture in [*pictures, *pictures]:
        before = [plane.copy() for plane in yuv.planes(picture)]
        out, alone = np.empty((2, SIZE, SIZE, 3), np.uint8)
        preparer(picture, out)
        Preparer(preparer.geometry)(picture, alone)
        np.testing.assert_array_equal(out, alone)
        for plane, original in zip(yuv.planes(picture), before, strict=True):
            np.testing.assert_array_equal(plane, original)


def test_a_row_of_a_batch_is_filled_and_its_neighbours_are_left():
    batch = np.full((3, SIZE, SIZE, 3), 7, np.uint8)
    Preparer(Geometry(SIZE, "stretch"))(picture_of(soft(160, 96)), batch[1])
    assert (batch[0] == 7).all() and (batch[2] == 7).all()
    assert batch[1].std() > 20


def test_the_cat_of_the_sample_clip_looks_the_same_as_through_pil(cat_clip):
    from vidcam.options import ReadOptions
    from vidcam.sources.file import FileSource

    source = FileSource(str(cat_clip), ReadOptions(max_frames=1), audio=False)
    picture = next(iter(source)).picture
    out, rect = prepared(picture, Geometry(224, "stretch"))
    expected = reference(rgb_of_picture(picture), rect, 224, 224)
    assert np.abs(out - expected).mean() < MEAN_LEVELS
    source.close()


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_without_bars_a_map_lies_on_the_picture_as_it_is(fit):
    grid = np.random.default_rng(0).random((7, 7), np.float32)
    assert map_on_picture(Geometry(224, fit), Rect(0, 0, 320, 180), grid) is grid


@pytest.mark.parametrize("transposed", [False, True])
def test_the_bars_are_cut_off_the_map_and_the_rest_keeps_its_place(transposed):
    # A ramp over the square: what is left must be the ramp between the bars.
    ramp = ((np.arange(8, dtype=np.float32) + 0.5) / 8)[:, None].repeat(8, 1)
    rect = Rect(0, 0, 180, 320) if transposed else Rect(0, 0, 320, 180)
    grid = map_on_picture(Geometry(224, "pad"), rect, ramp.T.copy() if transposed else ramp)
    rows = (grid.T if transposed else grid)[:, grid.shape[0] // 2]
    share = 180 / 320
    expected = (1 - share) / 2 + share * (np.arange(len(rows)) + 0.5) / len(rows)
    np.testing.assert_allclose(rows, expected, atol=0.02)


def test_heat_on_the_bars_is_not_shown():
    grid = np.zeros((7, 7), np.float32)
    grid[0] = grid[-1] = 1
    shown = map_on_picture(Geometry(224, "pad"), Rect(0, 0, 320, 180), grid)
    assert shown.max() < 0.05


def test_the_longest_region_still_has_a_map():
    # --fit pad --roi 0,0,1,0.01
    grid = np.ones((7, 7), np.float32)
    for rect in (Rect(0, 0, 1280, 6), Rect(0, 0, 6, 1280), Rect(0, 0, 3840, 4)):
        shown = map_on_picture(Geometry(224, "pad"), rect, grid)
        assert min(shown.shape) >= 1 and shown.min() == 1
