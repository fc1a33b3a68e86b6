"""What is found wrong with a data set."""

import json
import os
import shutil

import pytest
from drawn_set import fill, picture
from PIL import Image, ImageOps

from vidcam.training.check import KINDS, check
from vidcam.training.quarantine import plan

CLEAN = [f"{part}/{name}/{n}.png" for part in ("train", "test") for name in "ab" for n in "12"]


@pytest.fixture
def clean(tmp_path):
    """train and test with classes a and b of 2 different pictures each."""
    return fill(tmp_path / "set", CLEAN)


def found(folder):
    """`[(kind, paths, detail)]` of all findings."""
    return [(one.kind, *one.paths, one.detail) for one in check(folder).findings]


def test_a_clean_set_is_clean(clean):
    report = check(clean)
    assert report.is_clean and report.pictures == 8
    assert plan(report) == []


def test_files_that_are_no_pictures(clean):
    whole = (clean / "train/a/1.png").read_bytes()
    (clean / "train/a/cut.png").write_bytes(whole[: len(whole) // 2])
    (clean / "train/a/zero.jpg").touch()
    (clean / "train/b/text.jpg").write_text("no picture at all")
    (clean / "train/b/x").write_text("x")
    picture(50).save(clean / "train/b/tiny.bmp.jpg", "BMP")
    picture(51, (79, 200)).save(clean / "train/b/thin.jpg")
    picture(52).save(clean / "test/b/none", "PNG")
    (clean / "notes.txt").write_text("about the set")
    kinds = [(kind, path) for kind, path, *_ in found(clean)]
    assert kinds == [
        ("unreadable", "train/a/cut.png"),
        ("unreadable", "train/b/text.jpg"),
        ("empty file", "train/a/zero.jpg"),
        ("wrong extension", "train/b/tiny.bmp.jpg"),
        ("wrong extension", "test/b/none"),
        ("not a picture", "train/b/x"),
        ("small", "train/b/thin.jpg"),
    ]
    details = {path: detail for _, path, detail in found(clean)}
    assert "damaged or cut off" in details["train/a/cut.png"]
    assert details["train/b/tiny.bmp.jpg"] == "is BMP"
    assert details["train/b/thin.jpg"] == "79x200"


def test_what_cannot_be_opened_is_named_and_stays(clean, monkeypatch):
    (clean / "train/a/lost.jpg").symlink_to("nowhere")
    os.mkfifo(clean / "train/b/pipe.png")
    (clean / "train/b/phone.heic").write_bytes(b"0")
    opened = open

    def refusing(path, *rest, **options):
        if str(path).endswith("train/a/1.png"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **options)

    monkeypatch.setattr("builtins.open", refusing)
    assert found(clean) == [
        ("refused", "train/a/1.png", "permission denied"),
        ("refused", "train/a/lost.jpg", "a link that leads nowhere"),
        ("refused", "train/b/pipe.png", "is no file"),
        ("not a picture", "train/b/phone.heic", "HEIC: convert it to JPEG"),
    ]
    assert plan(check(clean)) == []


def test_a_phone_s_jpeg_of_several_pictures_has_the_right_name(clean):
    picture(60).save(clean / "train/a/phone.jpg", "MPO", save_all=True, append_images=[picture(61)])
    picture(62).save(clean / "train/a/x.jpeg")
    picture(63).save(clean / "train/a/x.tif")
    assert found(clean) == []


def test_strays(clean):
    for name in ("train/.ipynb_checkpoints/1.png", "__MACOSX/train/a/._1.png", ".DS_Store",
                 "train/a/Thumbs.db", "train/a/._1.png"):  # fmt: skip
        (clean / name).parent.mkdir(parents=True, exist_ok=True)
        (clean / name).write_bytes(b"x")
    assert sorted(found(clean)) == [
        ("stray", ".DS_Store", ""),
        ("stray", "__MACOSX/", "1 file"),
        ("stray", "train/.ipynb_checkpoints/", "1 file"),
        ("stray", "train/a/._1.png", ""),
        ("stray", "train/a/Thumbs.db", ""),
    ]


def test_the_layout(tmp_path):
    top = fill(tmp_path / "set", [f"train/a/{n}.png" for n in range(7)])
    fill(top, ["train/b/1.png", "train/b/2.png", "test/a/1.png", "loose.png", "old/a/1.png"], 20)
    (top / "train/c").mkdir()
    assert found(top) == [
        ("no class", "loose.png", ""),
        ("unused folder", "old/", "beside the parts, but not one of them"),
        ("empty class", "train/c/", ""),
        ("missing class", "b is not in test"),
        ("imbalance", "train: 7 of a, 2 of b: 3.5 times"),
    ]
    (top / "train/a/0.png").unlink()
    assert "imbalance" not in [kind for kind, *_ in found(top)]


def test_one_class(tmp_path):
    assert found(fill(tmp_path, ["a/1.png", "a/2.png"])) == [("one class", "a")]


def test_the_same_file_twice(clean):
    shutil.copy(clean / "train/a/1.png", clean / "train/a/again.png")
    shutil.copy(clean / "train/a/2.png", clean / "test/a/leak.png")
    shutil.copy(clean / "train/b/1.png", clean / "train/a/other.png")
    assert found(clean) == [
        ("leak", "train/a/2.png", "test/a/leak.png", "train and test"),
        ("two labels", "train/a/other.png", "train/b/1.png", "as a and b"),
        ("duplicate", "train/a/1.png", "train/a/again.png", ""),
    ]


def test_the_same_picture_twice(clean):
    with Image.open(clean / "train/a/1.png") as one:
        one.convert("RGB").resize((200, 180)).save(clean / "train/a/again.jpg", quality=40)
        ImageOps.mirror(one.convert("RGB")).save(clean / "train/b/mirror.png")
    with Image.open(clean / "train/b/2.png") as one:
        one.save(clean / "test/b/leak.webp", quality=50)
    assert found(clean) == [
        ("near leak", "train/b/2.png", "test/b/leak.webp", "train and test"),
        ("near two labels", "train/a/1.png", "train/a/again.jpg", "train/b/mirror.png",
         "as a and b"),
    ]  # fmt: skip


def test_the_record_is_json(clean):
    (clean / "train/a/zero.jpg").touch()
    record = json.loads(json.dumps(check(clean).as_record()))
    assert record["findings"] == [{"kind": "empty file", "paths": ["train/a/zero.jpg"],
                                   "detail": ""}]  # fmt: skip
    assert record["parts"] == {"train": {"a": 3, "b": 2}, "test": {"a": 2, "b": 2}}


def test_every_kind_is_explained_in_the_docs(root):
    page = (root / "docs/data.md").read_text("utf-8")
    assert not [kind for kind in KINDS if f"`{kind}`" not in page]
