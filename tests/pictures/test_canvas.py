"""What is drawn on a still picture lands in place, and the rest stays as it was."""

import numpy as np
import pytest

from vidcam.overlays.heat import Heat
from vidcam.pictures.canvas import drawn
from vidcam.types import Prediction, Rect

SIZES = [(1, 1), (2, 3), (15, 17), (16, 16), (31, 33), (33, 47), (100, 75), (333, 250), (479, 360),
         (500, 374), (641, 97), (97, 641), (1279, 63), (36, 28), (52, 300), (100, 76), (100, 250),
         (250, 30), (1020, 40)]  # fmt: skip


def soft(width, height):
    """(H, W, 3): colours that change slowly, so that half their resolution loses nothing."""
    y, x = np.mgrid[:height, :width] / max(width, height, 200)
    return np.rint(np.stack([40 + 170 * x, 220 - 180 * y, 60 + 90 * (x + y)], -1)).astype(np.uint8)


def prediction(width, height, cam=None, crop=None):
    return Prediction((), (), crop or Rect(0, 0, width, height), cam, 0, True)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_picture_without_overlays_is_itself(width, height):
    rgb = soft(width, height)
    before = rgb.copy()
    # FFmpeg leaves what it finds in memory in the last columns of pictures that are not padded:
    # so noise is what it finds.
    noise = np.random.default_rng(1).integers(0, 256, rgb.shape, np.uint8)
    for _ in range(3):
        drawn(noise, prediction(width, height), [])
    found = drawn(rgb, prediction(width, height), [])
    assert found.shape == rgb.shape and found.dtype == np.uint8 and found.flags["C_CONTIGUOUS"]
    assert np.abs(found.astype(int) - rgb).max() <= 6
    assert (rgb == before).all() and not np.shares_memory(found, rgb)


def test_sharp_edges_stay_where_they_are():
    rgb = np.full((91, 133, 3), 255, np.uint8)
    rgb[:, 67:] = 0
    rgb[45:] = 255 - rgb[45:]
    found = drawn(rgb, prediction(133, 91), []).astype(int)
    assert np.abs(found - rgb).max() <= 4  # grey has no colour to lose


@pytest.mark.parametrize("name", ["red", "green", "blue"])
def test_colours_are_not_swapped(name):
    channel = ("red", "green", "blue").index(name)
    rgb = np.zeros((37, 53, 3), np.uint8)
    rgb[..., channel] = 255
    assert np.abs(drawn(rgb, prediction(53, 37), []).astype(int) - rgb).max() <= 4


@pytest.mark.parametrize(
    "crop", [Rect(0, 0, 301, 211), Rect(45, 0, 211, 211), Rect(91, 31, 141, 155),
             Rect(160, 56, 141, 155)],
)  # fmt: skip
def test_heat_lands_on_its_cell_and_nowhere_else(crop):
    width, height, cells = 301, 211, 7
    rgb = np.full((height, width, 3), 128, np.uint8)
    pitch_x, pitch_y = crop.width / cells, crop.height / cells
    for row, column in ((0, 0), (1, 5), (3, 3), (6, 6)):
        cam = np.zeros((cells, cells), np.float32)
        cam[row, column] = 1
        given = prediction(width, height, cam, crop)
        changed = np.abs(drawn(rgb, given, [Heat(0.8, "jet")]).astype(int) - 128).max(-1) > 40
        assert changed.any()
        y, x = np.nonzero(changed)
        middle_x = crop.x + (column + 0.5) * pitch_x
        middle_y = crop.y + (row + 0.5) * pitch_y
        # Heat at the rim is cut, so its middle moves inwards by less than half a cell.
        assert abs(x.mean() + 0.5 - middle_x) < 0.25 * pitch_x, (row, column)
        assert abs(y.mean() + 0.5 - middle_y) < 0.25 * pitch_y, (row, column)
        assert x.min() >= crop.x - 1 and x.max() <= crop.x + crop.width
        assert y.min() >= crop.y - 1 and y.max() <= crop.y + crop.height


def test_whole_heat_fills_an_odd_crop_up_to_its_edges():
    rgb = np.full((211, 301, 3), 128, np.uint8)
    crop = Rect(45, 31, 211, 155)
    given = prediction(301, 211, np.ones((7, 7), np.float32), crop)
    changed = np.abs(drawn(rgb, given, [Heat(0.8, "jet")]).astype(int) - 128).max(-1) > 40
    assert changed[32:185, 46:255].all()
    changed[28:189, 42:259] = False  # colours have half the resolution
    assert not changed.any()
