"""Planes, copies, the border that makes every picture yuv420p, and colours in YUV.

`yuv_of`, `rgb_of`, `picture_of` and `rgb_of_picture` are BT.601/709/2020 written anew in numpy, so
that no colour is checked by the code that made it; tests of other modules import them.
"""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from vidcam import yuv
from vidcam.errors import SourceError
from vidcam.options import COLORMAPS
from vidcam.types import Rect

BT709, BT470BG, SMPTE170M, BT2020 = 1, 5, 6, 9
LUMA_OF_RED_AND_BLUE = {
    BT709: (0.2126, 0.0722),
    BT470BG: (0.299, 0.114),
    SMPTE170M: (0.299, 0.114),
    BT2020: (0.2627, 0.0593),
}
MATRICES_AND_RANGES = [(m, full) for m in (BT709, SMPTE170M, BT2020) for full in (False, True)]


def yuv_of(rgb, matrix, full):
    """(..., 3) RGB 0..255 as float Y, U, V."""
    red, blue = LUMA_OF_RED_AND_BLUE[matrix]
    rgb = np.asarray(rgb, float)
    y = red * rgb[..., 0] + (1 - red - blue) * rgb[..., 1] + blue * rgb[..., 2]
    u = (rgb[..., 2] - y) / (2 - 2 * blue)
    v = (rgb[..., 0] - y) / (2 - 2 * red)
    if full:
        return y, u + 128, v + 128
    return y * 219 / 255 + 16, u * 224 / 255 + 128, v * 224 / 255 + 128


def rgb_of(y, u, v, matrix, full):
    """Planes of one size as (..., 3) float RGB 0..255."""
    red, blue = LUMA_OF_RED_AND_BLUE[matrix]
    y, u, v = (np.asarray(plane, float) for plane in (y, u, v))
    if full:
        u, v = u - 128, v - 128
    else:
        y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    r = y + (2 - 2 * red) * v
    b = y + (2 - 2 * blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.stack([r, g, b], -1).clip(0, 255)


def picture_of(rgb, matrix=BT709, full=False):
    """A tagged yuv420p picture of (H, W, 3) RGB."""
    height, width = rgb.shape[:2]
    picture = av.VideoFrame(width, height, "yuv420p")
    y, u, v = yuv_of(rgb, matrix, full)
    halves = [c.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for c in (u, v)]
    for plane, values in zip(yuv.planes(picture), (y, *halves), strict=True):
        plane[:] = np.rint(values).clip(0, 255)
    picture.colorspace = matrix
    picture.color_range = ColorRange.JPEG if full else ColorRange.MPEG
    picture.pts, picture.time_base = 7, Fraction(1, 25)
    return picture


def rgb_of_picture(picture, matrix=BT709, full=False):
    """The RGB of a yuv420p picture, each chroma sample taken for its four pixels."""
    y, u, v = yuv.planes(picture)
    u, v = (plane.repeat(2, 0).repeat(2, 1) for plane in (u, v))
    return rgb_of(y, u, v, matrix, full)


def soft(width, height):
    """RGB without hard edges and inside the gamut: chroma at half size loses nothing."""
    y, x = np.mgrid[:height, :width]
    x, y = x / width, y / height
    waves = (np.cos(2 * np.pi * x), np.cos(2 * np.pi * (y + 0.3)), np.sin(np.pi * (x + y)))
    return 128 + 70 * np.stack(waves, -1)


def noise(width, height, pixel_format="yuv420p", seed=0):
    """A picture of noise in any 8-bit planar format, tagged."""
    picture = av.VideoFrame(width, height, pixel_format)
    for plane in yuv.planes(picture):
        plane[:] = np.random.default_rng(seed).integers(16, 236, plane.shape)
    picture.pts, picture.time_base = 41, Fraction(1, 24)
    picture.colorspace, picture.color_range = BT709, ColorRange.MPEG
    return picture


def tags(picture):
    names = "pts time_base colorspace color_range color_primaries color_trc"
    return {name: getattr(picture, name) for name in names.split()}


def tagged(picture):
    """The picture with every tag away from its default."""
    picture.pts, picture.time_base = 12_345, Fraction(1, 90_000)
    picture.colorspace, picture.color_range = BT2020, ColorRange.JPEG
    picture.color_primaries, picture.color_trc = 9, 14
    return picture


@pytest.mark.parametrize("size", [(96, 64), (100, 50), (2, 2)])
def test_planes_are_views_that_write_through(size):
    width, height = size
    picture = noise(width, height)
    planes = yuv.planes(picture)
    shapes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    assert [plane.shape for plane in planes] == shapes
    for value, plane in zip((50, 60, 70), planes, strict=True):
        plane[:] = value
    assert np.unique(picture.to_ndarray()[:height]).tolist() == [50]
    assert sorted(np.unique(picture.to_ndarray()[height:])) == [60, 70]


@pytest.mark.parametrize("rect", [Rect(0, 0, 100, 60), Rect(10, 6, 34, 20), Rect(98, 58, 2, 2)])
def test_a_crop_is_the_pixels_of_its_rectangle_and_keeps_the_tags(rect):
    picture = tagged(noise(100, 60))
    part = yuv.crop(picture, rect)
    assert (part.width, part.height, part.format.name) == (rect.width, rect.height, "yuv420p")
    assert tags(part) == tags(picture)
    for shift, whole, cut in zip((0, 1, 1), yuv.planes(picture), yuv.planes(part), strict=True):
        x, y = rect.x >> shift, rect.y >> shift
        expected = whole[y : y + (rect.height >> shift), x : x + (rect.width >> shift)]
        np.testing.assert_array_equal(cut, expected)


def test_a_crop_into_a_buffer_replaces_all_of_it():
    buffer = noise(20, 10, seed=1)
    first, second = noise(100, 60, seed=2), tagged(noise(100, 60, seed=3))
    yuv.crop(first, Rect(0, 0, 20, 10), buffer)
    assert yuv.crop(second, Rect(4, 2, 20, 10), buffer) is buffer
    np.testing.assert_array_equal(yuv.planes(buffer)[0], yuv.planes(second)[0][2:12, 4:24])
    assert tags(buffer) == tags(second)


def test_a_copy_is_equal_and_independent():
    picture = tagged(noise(64, 48))
    copy = yuv.copy(picture)
    assert tags(copy) == tags(picture)
    for plane, original in zip(yuv.planes(copy), yuv.planes(picture), strict=True):
        np.testing.assert_array_equal(plane, original)
        plane[:] = 0
        assert original.min() >= 16


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turning_moves_every_plane_counter_clockwise_and_keeps_the_tags(degrees):
    picture = tagged(noise(100, 60))
    turned = yuv.rotate(picture, degrees)
    assert (turned.width, turned.height) == ((100, 60) if degrees == 180 else (60, 100))
    assert tags(turned) == tags(picture)
    for plane, original in zip(yuv.planes(turned), yuv.planes(picture), strict=True):
        np.testing.assert_array_equal(plane, np.rot90(original, degrees // 90))


def test_an_even_yuv420p_picture_passes_the_border_untouched():
    picture = noise(96, 64)
    assert yuv.Normaliser()(picture, 0) is picture


@pytest.mark.parametrize("size", [(97, 65), (97, 64), (96, 65)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv422p"])
def test_an_odd_size_loses_its_last_column_or_row(size, pixel_format):
    picture = noise(*size, pixel_format)
    even = yuv.Normaliser()(picture, 0)
    assert (even.width, even.height) == (96, 64)
    np.testing.assert_array_equal(yuv.planes(even)[0], yuv.planes(picture)[0][:64, :96])


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 1)])
def test_a_picture_without_room_for_a_chroma_sample_is_refused(size):
    with pytest.raises(SourceError, match=f"{size[0]}x{size[1]}"):
        yuv.Normaliser()(noise(*size), 0)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_border_turns_after_cutting_the_odd_column(degrees):
    picture = noise(97, 64)
    upright = yuv.Normaliser()(picture, degrees)
    np.testing.assert_array_equal(
        yuv.planes(upright)[0], np.rot90(yuv.planes(picture)[0][:, :96], degrees // 90)
    )


def test_a_size_that_changes_in_mid_stream_is_scaled_to_the_first():
    normalise = yuv.Normaliser()
    normalise(picture_of(soft(96, 64)), 0)
    larger = tagged(picture_of(soft(192, 128)))
    scaled = normalise(larger, 0)
    assert (scaled.width, scaled.height) == (96, 64)
    assert tags(scaled) == tags(larger)
    assert np.abs(rgb_of_picture(scaled) - soft(96, 64)).mean() < 2


def test_ten_bits_become_eight_at_the_same_levels():
    picture = av.VideoFrame(96, 64, "yuv420p10le")
    levels = np.random.default_rng(0).integers(64, 941, (64, 96)).astype("<u2")
    for plane in picture.planes:
        rows = np.frombuffer(plane, "<u2").reshape(plane.height, -1)
        rows[:, : plane.width] = levels[: plane.height, : plane.width]
    tagged(picture).color_range = ColorRange.MPEG
    out = yuv.Normaliser()(picture, 0)
    assert out.format.name == "yuv420p" and tags(out) == tags(picture)
    for plane in yuv.planes(out):
        expected = levels[: plane.shape[0], : plane.shape[1]] / 4
        assert np.abs(plane - expected).max() <= 1


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj444p", "yuvj422p"])
def test_the_old_full_range_formats_keep_their_levels_and_say_so(pixel_format):
    picture = noise(96, 64, pixel_format)
    yuv.planes(picture)[0][0, :2] = 0, 255
    picture.color_range = 0
    out = yuv.Normaliser()(picture, 0)
    assert out.format.name == "yuv420p" and out.color_range == ColorRange.JPEG
    np.testing.assert_array_equal(yuv.planes(out)[0], yuv.planes(picture)[0])


@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr24", "gbrp", "rgba"])
@pytest.mark.parametrize(("height", "matrix"), [(64, SMPTE170M), (720, BT709)])
def test_rgb_becomes_the_matrix_of_its_height_and_is_tagged_so(pixel_format, height, matrix):
    rgb = soft(96, height)
    source = av.VideoFrame.from_ndarray(rgb.astype(np.uint8), "rgb24").reformat(format=pixel_format)
    out = yuv.Normaliser()(source, 0)
    assert out.format.name == "yuv420p" and not yuv.is_full_range(out)
    assert yuv.matrix_of(out) == matrix
    assert np.abs(rgb_of_picture(out, matrix) - rgb).mean() < 2


@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("pixel_format", ["gray", "gray10le"])
def test_a_grey_picture_keeps_its_levels_and_has_no_colour(pixel_format, color_range):
    # HEVC without chroma comes as limited grey; swscale takes all grey for full range.
    picture = av.VideoFrame(96, 64, pixel_format)
    ten_bits = pixel_format != "gray"
    rows = np.frombuffer(picture.planes[0], "<u2" if ten_bits else "u1").reshape(64, -1)
    rows[:] = (np.arange(rows.shape[1]) + 16) * (4 if ten_bits else 1)
    picture.color_range = color_range
    out = yuv.Normaliser()(picture, 0)
    y, u, v = yuv.planes(out)
    assert out.color_range == color_range
    assert np.abs(y - (np.arange(96) + 16.0)).max() <= 1
    assert np.abs(np.stack([u, v]).astype(int) - 128).max() <= 1


def test_an_untagged_matrix_is_guessed_as_players_do():
    assert yuv.matrix_of(av.VideoFrame(1280, 720, "yuv420p")) == BT709
    assert yuv.matrix_of(av.VideoFrame(720, 576, "yuv420p")) == SMPTE170M
    assert yuv.matrix_of(noise(64, 48)) == BT709  # tagged so
    assert yuv.sws_matrix(BT709) == Colorspace.ITU709
    assert yuv.sws_matrix(BT470BG) == yuv.sws_matrix(SMPTE170M) == Colorspace.ITU601
    assert yuv.sws_matrix(BT2020) == Colorspace.BT2020


@pytest.mark.parametrize(("matrix", "full"), MATRICES_AND_RANGES)
def test_one_colour_in_every_matrix_and_range(matrix, full):
    for rgb in ((255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (12, 14, 20)):
        expected = [round(float(c)) for c in yuv_of(rgb, matrix, full)]
        found = yuv.yuv_of_rgb(rgb, matrix, full)
        assert np.abs(np.subtract(found, np.clip(expected, 0, 255))).max() <= 1


@pytest.mark.parametrize("name", COLORMAPS)
def test_every_colormap_is_opencvs(name):
    table = yuv.colormap_yuv(name, BT709, False)
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    rgb = cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{name.upper()}"))[:, 0, ::-1]
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert np.abs(table - np.stack(yuv_of(rgb, BT709, False), 1)).max() <= 0.51


def blending_error(table_matrix, table_full, matrix, full):
    """Mean difference in RGB levels of blending jet into YUV and into RGB, heat from 0 to 1."""
    rgb = soft(256, 144)
    levels = np.tile(np.arange(256, dtype=np.uint8), (144, 1))
    weight = levels / 255 * 0.5
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_JET)[..., ::-1]
    expected = rgb * (1 - weight[..., None]) + colours * weight[..., None]
    table = yuv.colormap_yuv("jet", table_matrix, table_full)
    keep = np.rint(255 * (1 - weight)).astype(np.uint8)
    planes = [np.rint(plane).astype(np.uint8) for plane in yuv_of(rgb, matrix, full)]
    for channel, plane in enumerate(planes):
        yuv.blend(plane, keep, np.rint(table[levels, channel] * weight).astype(np.uint8))
    return float(np.abs(rgb_of(*planes, matrix, full) - expected).mean())


@pytest.mark.parametrize(("matrix", "full"), MATRICES_AND_RANGES)
def test_blending_in_yuv_equals_blending_in_rgb(matrix, full):
    assert blending_error(matrix, full, matrix, full) < 1.1


def test_the_blending_test_sees_a_table_of_the_wrong_matrix_or_range():
    assert blending_error(SMPTE170M, False, BT709, False) > 2
    assert blending_error(BT709, False, BT709, True) > 2
