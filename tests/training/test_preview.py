"""One batch as the network sees it."""

import io

import numpy as np
import pytest
from drawn_set import fill
from PIL import Image

from vidcam.errors import SourceError
from vidcam.figures.dataset import batch_sheet
from vidcam.figures.sheet import png
from vidcam.figures.style import Style
from vidcam.training.options import PreviewOptions
from vidcam.training.preview import batch_of, denormalised, normalised


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "set", [f"{name}/{n}.png" for name in ("猫", "dog") for n in range(4)])


def test_a_batch_repeats_and_differs_by_epoch_and_seed(folder):
    options = {"batch": 5, "imgsz": 64}
    first = batch_of(folder, PreviewOptions(**options))
    assert first.pixels.shape == (5, 64, 64, 3) and first.pixels.dtype == np.uint8
    assert set(first.labels) <= {"猫", "dog"} and len(first.labels) == 5
    again = batch_of(folder, PreviewOptions(**options))
    assert np.array_equal(first.pixels, again.pixels) and first.labels == again.labels
    for other in ({"epoch": 1}, {"seed": 1}, {"augment": "none"}):
        assert not np.array_equal(
            first.pixels, batch_of(folder, PreviewOptions(**options | other)).pixels
        )


def test_without_augmentation_it_is_the_pictures(folder):
    shown = batch_of(folder, PreviewOptions(batch=100, augment="catdog", imgsz=96, seed=2))
    assert len(shown.labels) == 8
    plain = batch_of(folder, PreviewOptions(batch=8, augment="none", imgsz=84))
    originals = [np.asarray(Image.open(path))[6:90, 6:90] for path in folder.rglob("*.png")]
    for pixels in plain.pixels:  # the centre of 96 is 84: nothing is resized
        assert min(np.abs(pixels.astype(int) - one).max() for one in originals) == 0


def test_normalised_and_back_is_the_same():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    there = normalised(levels)
    assert there.shape == (3, 16, 16)
    assert there[0, 0, 0].item() == pytest.approx(-0.485 / 0.229)
    assert np.array_equal(denormalised(there[None])[0], levels)


def test_broken_pictures_are_told_and_others_stand_in(folder):
    (folder / "dog/bad.jpg").write_text("broken")
    shown = batch_of(folder, PreviewOptions(batch=9, imgsz=32))
    assert len(shown.labels) == 8 and "bad.jpg" in shown.unread[0]
    for path in folder.rglob("*.png"):
        path.unlink()
    with pytest.raises(SourceError, match="no picture could be read"):
        batch_of(folder, PreviewOptions())


def test_the_sheet_shows_each_picture_and_its_levels(folder):
    shown = batch_of(folder, PreviewOptions(batch=3, imgsz=176, augment="none"))
    figure = batch_sheet(shown.pixels, shown.labels, Style(), "a title", ("a note",))
    drawn = np.asarray(Image.open(io.BytesIO(png(figure))))
    first = shown.pixels[0].astype(int)
    # 176 pixels is the size of a cell, so that the picture is there unchanged.
    top = next(y for y in range(60, 130) if (drawn[y : y + 176, 28:204] == first).all())
    assert top > 60
    texts = [text.get_text() for text in figure.texts]
    assert {"a title", "a note", "level, 0 to 255", *shown.labels} <= set(texts)
    (levels,) = figure.axes
    red = shown.pixels[..., 0]
    line = levels.lines[-1].get_ydata()
    assert line == pytest.approx(np.bincount(red.ravel(), minlength=256) / red.size)
