"""What is measured of a data set."""

import math

import numpy as np
import pytest
from drawn_set import fill
from PIL import Image

from vidcam.errors import SourceError
from vidcam.figures.dataset import density, size_scatter
from vidcam.figures.sheet import png
from vidcam.figures.style import Style
from vidcam.training.stats import class_rows, level_rows, size_rows, statistics


@pytest.fixture
def folder(tmp_path):
    """train: a small red and a large black picture; val: a broken one."""
    for name in ("train/a", "train/猫", "val/a"):
        (tmp_path / name).mkdir(parents=True)
    Image.new("RGB", (100, 80), (200, 0, 0)).save(tmp_path / "train/a/1.png")
    Image.new("RGB", (1000, 500)).save(tmp_path / "train/猫/1.png")
    (tmp_path / "val/a/1.png").write_text("broken")
    return tmp_path


def test_sizes_counts_and_levels(folder):
    train, val = statistics(folder).parts
    assert train.counts == (1, 1) and train.unread == 0
    assert train.sizes_px.tolist() == [[100, 80], [1000, 500]]
    # Each picture weighs the same, whatever its size.
    assert train.mean == pytest.approx((100, 0, 0))
    assert train.deviation == pytest.approx((100, 0, 0))
    assert val.unread == 1 and len(val.sizes_px) == 0 and math.isnan(val.mean[0])


def test_levels_are_numpy_s(tmp_path):
    fill(tmp_path, ["a/1.png", "a/2.png", "b/1.png"])
    (part,) = statistics(tmp_path).parts
    pixels = np.stack([np.asarray(Image.open(path)) for path in tmp_path.rglob("*.png")])
    assert part.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)))
    assert part.deviation == pytest.approx(pixels.std(axis=(0, 1, 2)))


def test_tables(folder):
    stats = statistics(folder)
    assert class_rows(stats) == (
        ("class", "train", "val"), [("a", 1, 1), ("猫", 1, 0), ("total", 2, 1)]
    )  # fmt: skip
    assert size_rows(stats)[1] == [
        ("train width, px", 100, "550", 1000),
        ("train height, px", 80, "290", 500),
    ]
    assert level_rows(stats)[1][0] == (
        "train mean, of 255 and of 1", "100.0 0.3922", "0.0 0.0000", "0.0 0.0000",
    )  # fmt: skip


def test_nothing_that_can_be_read(folder):
    for path in folder.glob("train/*/1.png"):
        path.write_bytes(b"")
    with pytest.raises(SourceError, match="no picture could be read; vidcam data check says why"):
        statistics(folder)


def test_density_is_highest_where_most_are():
    sizes = np.array([[100, 100]] * 50 + [[900, 900]])
    dense = density(sizes, 1000.0)
    assert dense[0] > 10 * dense[-1] > 0
    assert density(np.zeros((0, 2), np.int64), 1.0).shape == (0,)


def test_the_scatter_is_drawn_for_any_sizes():
    same = np.full((3, 2), 224)
    figure = size_scatter([("train", same), ("val", np.zeros((0, 2), np.int64))], Style())
    assert png(figure).startswith(b"\x89PNG")
    panels = figure.axes
    assert len(panels) == 2 and panels[0].get_xlim() == panels[1].get_xlim()
    assert panels[0].collections[0].get_offsets().tolist() == same.tolist()
