"""What a run says of its pictures before it learns."""

import os
import shutil

from drawn_set import fill

from vidcam.training.doubts import TAIL_BYTES, doubts, equal_files
from vidcam.training.sides import sides_of
from vidcam.training.train_options import TrainOptions


def doubts_of(folder, **options):
    return doubts("the set", sides_of(str(folder), TrainOptions(**options)))


def test_a_set_without_copies_leaves_no_doubt(tmp_path):
    names = [f"{part}/{name}/{n}.png" for part in ("train", "val") for name in "ab"
             for n in range(10)]  # fmt: skip
    assert doubts_of(fill(tmp_path, names)) == []


def test_copies_and_few_pictures_are_said(tmp_path):
    names = [f"train/{name}/{n}.png" for name in "abc" for n in range(10)]
    top = fill(tmp_path, [*names, "val/a/1.png", "val/b/2.png"])
    (top / "train/c/0.png").unlink()
    shutil.copy(top / "train/a/3.png", top / "train/b/copy.png")
    (top / "val/a/link.png").hardlink_to(top / "train/a/4.png")
    shutil.copy(top / "train/b/5.png", top / "train/b/again.png")  # harmless
    assert doubts_of(top) == [
        "2 files have a copy under another label; vidcam data check the set says which",
        "leak: 1 picture that validates is learnt from too, so the accuracy will look too good; "
        "vidcam data check the set says which",
        "few pictures to learn from: 9 of c; more would help most",
    ]


def test_what_is_dropped_is_no_doubt(tmp_path):
    top = fill(tmp_path, [f"{name}/{n}.png" for name in "abc" for n in range(13)])
    shutil.copy(top / "a/3.png", top / "c/copy.png")
    assert doubts_of(top)[0].startswith("2 files have a copy under another label")
    assert doubts_of(top, drop_class=("c",)) == []


def test_equal_files_are_equal_to_the_byte(tmp_path):
    end = bytes(TAIL_BYTES)
    for name, data in (("a", b"1" + end), ("b", b"2" + end), ("c", b"1" + end), ("d", b"33" + end)):
        (tmp_path / name).write_bytes(data)
    for name in "ef":
        (tmp_path / name).touch()
    paths = [str(tmp_path / name) for name in ("a", "b", "c", "d", "e", "f", "gone")]
    groups = [[os.path.basename(path) for path in group] for group in equal_files(paths)]
    assert groups == [["a", "c"]]
