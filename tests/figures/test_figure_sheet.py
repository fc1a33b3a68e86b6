"""The sheet: pixel for pixel, and a file that is whole or not there."""

import gc
import shutil
import weakref

import numpy as np
import pytest
from matplotlib.artist import Artist
from PIL import Image

from vidcam.errors import OutputError, UsageError
from vidcam.figures.sheet import Sheet, fitted_size, png, resized, save


class Failing(Artist):
    """Something whose drawing does what it is told to."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def draw(self, renderer):
        self.act()


def test_pictures_are_drawn_pixel_for_pixel(drawn):
    rng = np.random.default_rng(0)
    for width, height in ((229, 115), (1001, 57), (640, 333)):
        x, y = rng.integers(10, 20, 2)
        rgb = rng.integers(0, 256, (rng.integers(1, height - 30), 150, 3), dtype=np.uint8)
        sheet = Sheet(width, height)
        sheet.picture(x, y, rgb)
        expected = np.full((height, width, 3), 255, np.uint8)
        expected[y : y + rgb.shape[0], x : x + 150] = rgb
        assert (drawn(sheet.figure) == expected).all()


@pytest.mark.parametrize(
    "shape, size",
    [((100, 200), (60, 30)), ((8, 8), (60, 60)), ((900, 10), (1, 60)), ((1, 999), (60, 1))],
)
def test_pictures_keep_their_aspect(shape, size):
    rgb = np.zeros((*shape, 3), np.uint8)
    assert fitted_size(rgb, 60, 60) == size
    assert resized(rgb, size).shape == (size[1], size[0], 3)


def test_a_saved_figure_is_a_png_of_its_size(tmp_path):
    sheet = Sheet(229, 115)
    sheet.bar(20, 30, (50, 10), "#ff0000")
    save(sheet.figure, tmp_path / "图.png", overwrite=False)
    with Image.open(tmp_path / "图.png") as image:
        assert (image.size, image.format) == ((229, 115), "PNG")
        rgb = np.asarray(image)
    assert (rgb[30:40, 20:70] == (255, 0, 0)).all()
    assert (rgb == (255, 0, 0)).all(axis=2).sum() == 500
    assert [path.name for path in tmp_path.iterdir()] == ["图.png"]


def test_a_file_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"a\.png exists already"):
        save(Sheet(50, 50).figure, path, overwrite=False)
    assert path.read_bytes() == b"mine"
    figure = Sheet(50, 50).figure
    save(figure, path, overwrite=True)
    assert path.read_bytes() == png(figure)


def test_a_missing_folder_is_refused_and_a_vanished_one_reported(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        save(Sheet(50, 50).figure, tmp_path / "none" / "a.png", overwrite=False)
    folder = tmp_path / "folder"
    folder.mkdir()
    figure = Sheet(50, 50).figure
    figure.add_artist(Failing(lambda: shutil.rmtree(folder)))
    with pytest.raises(OutputError, match=r"a\.png: no such file or directory"):
        save(figure, folder / "a.png", overwrite=False)


def test_a_full_disk_is_reported(tmp_path):
    (tmp_path / "a.partial.png").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"a\.png: no space left on device"):
        save(Sheet(50, 50).figure, tmp_path / "a.png", overwrite=False)
    assert not list(tmp_path.iterdir())


def test_a_failed_drawing_leaves_nothing(tmp_path):
    def fail():
        raise RuntimeError("while drawing")

    figure = Sheet(50, 50).figure
    figure.add_artist(Failing(fail))
    with pytest.raises(RuntimeError, match="while drawing"):
        save(figure, tmp_path / "a.png", overwrite=False)
    assert not list(tmp_path.iterdir())


def test_drawn_figures_do_not_pile_up():
    alive, most = weakref.WeakSet(), 0
    gc.disable()
    try:
        for _ in range(30):
            figure = Sheet(2000, 2000).figure
            figure.text(0.5, 0.5, "a")
            png(figure)
            alive.add(figure)
            most = max(most, len(alive))
    finally:
        gc.enable()
    assert most < 12
