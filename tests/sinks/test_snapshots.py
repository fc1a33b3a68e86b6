"""Snapshots: the right colours in every matrix and range, names, folders, slow and full disks."""

import os
import re
import time

import av
import numpy as np
import pytest
from clips import BT601, BT709, FULL, LIMITED, picture_of, said
from PIL import Image
from seen import CAT, UNKNOWN, picture

from vidcam import yuv
from vidcam.errors import OutputError, UsageError
from vidcam.sinks.snapshots import LONGEST_LABEL_BYTES, WAITING, Snapshots, safe, snapshot_name
from vidcam.types import Score

DEADLINE_S = 20
COLOURS = [(200, 40, 40), (40, 180, 60), (50, 60, 210), (240, 240, 240), (10, 10, 10)]


@pytest.fixture
def snapshots(tmp_path):
    """Snapshots into a folder that is not there yet."""
    made = Snapshots(tmp_path / "events" / "today")
    yield made
    made.close()
    assert not made._thread.is_alive()


def saved(snapshots, image, name="a.jpg", width=0):
    snapshot = snapshots.save(image, name, width)
    assert snapshot.done.wait(DEADLINE_S)
    return snapshot.path


def stripes(matrix: int, full: bool) -> av.VideoFrame:
    """One stripe a colour, in a matrix and range; tagged so."""
    columns = [yuv.yuv_of_rgb(rgb, matrix, full) for rgb in COLOURS for _ in range(32)]
    planes = np.broadcast_to(np.array(columns, float).T[:, None], (3, 64, len(columns)))
    image = picture_of(tuple(planes), "yuv420p")
    image.colorspace, image.color_range = matrix, FULL if full else LIMITED
    return image


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_colours_are_those_of_the_matrix_and_range(snapshots, matrix, full):
    with Image.open(saved(snapshots, stripes(matrix, full))) as found:
        assert (found.format, found.mode, found.size) == ("JPEG", "RGB", (160, 64))
        middles = np.asarray(found)[32, 16::32].astype(int)
    assert np.abs(middles - COLOURS).max() <= 4, middles


def test_pixels_that_are_no_squares_become_some(snapshots):
    with Image.open(saved(snapshots, stripes(BT601, False), width=240)) as found:
        assert found.size == (240, 64)


def test_a_name_has_time_camera_and_label():
    name = snapshot_name(1_700_000_000.3456, 2, "before", CAT)
    assert re.fullmatch(r"20231114-\d{6}\.345-cam2-before-虎斑猫\.jpg|20231115-.*", name)
    assert snapshot_name(0.0, 0, "after", UNKNOWN).endswith("-cam0-after-未知.jpg")
    assert snapshot_name(0.0, 0, "after", Score(7, "../..", "x", 1)).endswith("-cam0-after-7.jpg")


@pytest.mark.parametrize(
    ("label", "name"),
    [("tiger cat, 'striped'", "tiger_cat_striped"), ("a/b\\c:d*?\"<>|\n$(x)", "a_b_c_d_x"),
     ("三毛猫・トラ", "三毛猫_トラ"), ("고양이 T-shirt", "고양이_T-shirt"), ("-rf ..", "rf"),
     ("ไก่", "ไก่")],
)  # fmt: skip
def test_a_label_in_a_name_is_safe_and_readable(label, name):
    assert safe(label) == name


def test_a_long_label_fits_any_file_system(snapshots):
    name = snapshot_name(0.0, 0, "before", Score(1, "很长" * 200, "", 1))
    assert len(safe("很长" * 200).encode()) > LONGEST_LABEL_BYTES - 3
    assert saved(snapshots, picture(), name).exists()


def test_a_picture_of_the_same_name_is_kept(snapshots):
    first, second = (saved(snapshots, picture()) for _ in range(2))
    assert (first.name, second.name) == ("a.jpg", "a-2.jpg")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="is a file"):
            Snapshots(folder)


def test_a_folder_that_cannot_be_written_is_refused():
    with pytest.raises(OutputError, match="/proc/self/map_files"):
        Snapshots("/proc/self/map_files")


def test_a_disk_that_fails_is_said_once_a_change_and_ends_nothing(snapshots):
    folder = snapshots.folder
    with said() as lines:
        folder.rmdir()
        assert saved(snapshots, picture()) is None
        assert saved(snapshots, picture()) is None
        folder.mkdir()
        assert saved(snapshots, picture()).exists()
        (folder / "a.jpg").unlink()
        folder.rmdir()
        assert saved(snapshots, picture()) is None
    reason = f"{folder}: a snapshot could not be written: no such file or directory"
    assert lines == [reason, reason]


def test_more_than_can_be_written_delays_nobody_and_is_counted(snapshots):
    image = picture((3840, 2160))  # a tenth of a second of work each
    many, longest_s = WAITING + 10, 0.0
    with said() as lines:
        jobs = []
        for n in range(many):
            start_s = time.perf_counter()
            jobs.append(snapshots.save(image, f"{n}.jpg"))
            longest_s = max(longest_s, time.perf_counter() - start_s)
        assert longest_s < 0.1
        assert all(job.done.wait(DEADLINE_S) for job in jobs)
        snapshots.close()
    names = {job.path.name for job in jobs if job.path}
    assert names == set(os.listdir(snapshots.folder)) and WAITING <= len(names) < many
    folder = snapshots.folder
    assert lines == [
        f"{folder}: too slow; snapshots are left out",
        f"{folder}: {many - len(names)} snapshots were left out",
    ]
