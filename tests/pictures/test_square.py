"""The network's square is timm's, and the rectangle says what it shows."""

import av
import numpy as np
import pytest
from PIL import Image

from vidcam.pictures.square import square_of
from vidcam.prepare import PAD_GREY, Geometry

SIZES = [(1280, 720), (720, 1280), (500, 375), (333, 501), (225, 224), (97, 640), (40, 30), (7, 5)]


@pytest.fixture(scope="module")
def frame(tour_clip):
    """The first frame of the tour, a rocket, as a picture of 1280x720."""
    with av.open(str(tour_clip)) as container:
        return next(container.decode(video=0)).to_image()


def apart(one, other):
    return np.abs(one.astype(float) - other.astype(float)).mean()


@pytest.mark.parametrize("share", [0.875, 224 / 232, 0.95, 1.0])
def test_crop_is_timms_own_transform(frame, share):
    from timm.data import create_transform

    transform = create_transform(
        (3, 224, 224), interpolation="bicubic", crop_pct=share, mean=(0, 0, 0), std=(1, 1, 1)
    )
    for size in SIZES:
        picture = frame.resize(size)
        expected = transform(picture).permute(1, 2, 0).numpy() * 255
        square, _ = square_of(picture, Geometry(224, "crop", share))
        assert square.shape == (224, 224, 3) and square.dtype == np.uint8
        assert square.flags["C_CONTIGUOUS"] and square.flags["WRITEABLE"]
        # Only the rounding between Pillow's two passes differs.
        assert apart(square, expected) < 0.15, size


def test_a_large_picture_is_shrunk_in_two_steps_as_well_as_in_one(frame):
    picture = frame.resize((4096, 2304), Image.Resampling.BICUBIC)
    square, _ = square_of(picture, Geometry(224, "crop", 0.875))
    resized = picture.resize((455, 256), Image.Resampling.BICUBIC)
    expected = np.asarray(resized.crop((116, 16, 340, 240)))
    assert apart(square, expected) < 0.5


@pytest.mark.parametrize("size", [*SIZES, (1, 1), (1, 90), (90, 1), (2, 3), (3, 4001)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_the_rectangle_lies_in_the_picture(size, fit):
    width, height = size
    square, rect = square_of(Image.new("RGB", size, (10, 200, 90)), Geometry(224, fit, 0.875))
    assert square.shape == (224, 224, 3)
    assert rect.x >= 0 and rect.y >= 0
    assert rect.x + rect.width <= width and rect.y + rect.height <= height
    if fit != "crop":
        assert rect.as_list() == [0, 0, width, height]
    else:
        side = 0.875 * min(size)
        # timm cuts at whole pixels of the resized picture, each so many of this one.
        pixel = max(1, min(size) / 256)
        assert abs(rect.width - side) <= 1 and abs(rect.height - side) <= 1
        assert abs(rect.x + rect.width / 2 - width / 2) <= pixel
        assert abs(rect.y + rect.height / 2 - height / 2) <= pixel
    if fit != "pad":
        assert (square == (10, 200, 90)).all()


def test_the_crops_rectangle_is_what_the_square_shows():
    # A white block exactly where the rectangle says: a white square with no dark edge.
    _, rect = square_of(Image.new("RGB", (640, 480)), Geometry(224, "crop", 0.875))
    assert rect.as_list() == [109, 30, 420, 420]
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[30:450, 109:529] = 255
    square, _ = square_of(Image.fromarray(pixels), Geometry(224, "crop", 0.875))
    assert square[2:-2, 2:-2].min() > 250 and square[:, 0].mean() > 200
    pixels = 255 - pixels
    square, _ = square_of(Image.fromarray(pixels), Geometry(224, "crop", 0.875))
    assert square[2:-2, 2:-2].max() < 5


def quadrants(width, height):
    """Red, green over blue, white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    half_x, half_y = width // 2, height // 2
    pixels[:half_y, :half_x], pixels[:half_y, half_x:] = (255, 0, 0), (0, 255, 0)
    pixels[half_y:, :half_x], pixels[half_y:, half_x:] = (0, 0, 255), (255, 255, 255)
    return pixels


def test_stretch_fills_the_square_with_the_whole_picture():
    square, _ = square_of(Image.fromarray(quadrants(300, 100)), Geometry(64, "stretch"))
    expected = quadrants(64, 64)
    assert (square[:30, :30] == expected[:30, :30]).all()
    assert (square[34:, 34:] == expected[34:, 34:]).all()
    assert (square[:30, 34:] == expected[:30, 34:]).all()


@pytest.mark.parametrize("upright", [False, True])
def test_pad_puts_the_whole_picture_between_grey_bars(upright):
    pixels = quadrants(160, 80)
    expected = np.full((64, 64, 3), PAD_GREY, np.uint8)
    expected[16:48] = quadrants(64, 32)
    if upright:
        pixels = np.ascontiguousarray(pixels.transpose(1, 0, 2))
        expected = expected.transpose(1, 0, 2)
    square, rect = square_of(Image.fromarray(pixels), Geometry(64, "pad"))
    assert rect.as_list() == ([0, 0, 80, 160] if upright else [0, 0, 160, 80])
    # All but the seams of the quadrants, which the resize softens.
    same = (square == expected).all(-1)
    assert same.mean() > 0.9 and same[:, 0].sum() > 58 and same[0].sum() > 58


def test_pad_matches_the_videos_grey(frame):
    square, _ = square_of(frame, Geometry(224, "pad"))
    assert (square[:49] == PAD_GREY).all() and (square[175:] == PAD_GREY).all()
    assert (square[49:175] != PAD_GREY).any(axis=(1, 2)).all()
