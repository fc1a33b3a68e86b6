"""The clip that is made for measuring: it plays, moves and looks like pictures do."""

import numpy as np
import pytest
from clips import decode, times

from vidcam.bench.sample import make_sample, noise
from vidcam.errors import UsageError


def luma(picture):
    return picture.to_ndarray(format="gray").astype(float)


def test_the_clip_has_its_size_rate_and_a_picture_that_moves(tmp_path):
    path = tmp_path / "clip.mp4"
    make_sample(path, (320, 180), 31)
    pictures = decode(path)
    assert {(p.width, p.height, p.format.name) for p in pictures} == {(320, 180, "yuv420p")}
    assert len(pictures) == 31 and times(path)[-1] == 1
    first, second, last = (luma(pictures[n]) for n in (0, 1, 30))
    assert 30 < first.std() < 70
    # It moves as a camera does: neighbours are alike, frames of a second apart are not.
    assert 0.5 < np.abs(second - first).mean() < 0.5 * np.abs(last - first).mean()
    assert list(tmp_path.iterdir()) == [path]


def test_the_clip_is_the_same_each_time(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        make_sample(tmp_path / name, (128, 64), 3)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_noise_is_periodic_and_has_the_spectrum_of_photographs():
    picture = noise(256, 40, 0).astype(float)
    seam = np.abs(picture[0] - picture[-1]).mean()
    assert seam < 2 * np.abs(picture[100] - picture[101]).mean()
    power = np.abs(np.fft.fft(picture - picture.mean(), axis=1)).mean(0)
    fall = np.log(power[4:8].mean() / power[32:64].mean()) / np.log(48 / 6)
    assert 0.6 < fall < 1.3


@pytest.mark.parametrize("size", [(63, 64), (64, 65), (32, 64), (64, 10_000)])
def test_a_size_that_makes_no_clip_is_refused(tmp_path, size):
    with pytest.raises(UsageError, match=f"--size {size[0]}x{size[1]}"):
        make_sample(tmp_path / "clip.mp4", size, 2)
    assert not list(tmp_path.iterdir())
