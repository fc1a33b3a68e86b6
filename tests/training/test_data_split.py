"""How pictures are divided, and what is written of it."""

import csv
import json
import os
import shutil

import pytest
from drawn_set import files_of, fill, picture
from PIL import Image, ImageOps

from vidcam.errors import OutputError, UsageError
from vidcam.training import placing
from vidcam.training.dataset import find_dataset
from vidcam.training.options import SplitOptions
from vidcam.training.placing import place
from vidcam.training.split import divide, lacking_lines


def divided(folder, **options):
    return divide(find_dataset(folder), SplitOptions(**options))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """20 pictures of 猫, 10 of dog, 2 of rare, 1 of once, all different."""
    names = [f"{name}/{n}.png" for name, many in (("猫", 20), ("dog", 10), ("rare", 2), ("once", 1))
             for n in range(many)]  # fmt: skip
    return fill(tmp_path_factory.mktemp("drawn") / "set", names)


@pytest.fixture
def source(drawn, tmp_path):
    """A copy of it."""
    return shutil.copytree(drawn, tmp_path / "set")


def test_each_class_is_divided_by_the_ratio(source):
    split = divided(source, ratio="8:2")
    assert split.parts == ("train", "test")
    assert split.counts() == {"dog": [8, 2], "once": [1, 0], "rare": [1, 1], "猫": [16, 4]}
    assert sorted(one.source for one in split.placed) == sorted(files_of(source))


def test_a_validation_part(source):
    split = divided(source, ratio="2:1", val=0.1)
    assert split.parts == ("train", "val", "test")
    assert split.counts() == {
        "dog": [6, 1, 3], "once": [1, 0, 0], "rare": [1, 0, 1], "猫": [12, 2, 6],
    }  # fmt: skip


@pytest.mark.parametrize("ratio", ["999:1", "1:999"])
def test_every_part_has_a_picture_of_classes_of_two_and_more(source, ratio):
    counts = divided(source, ratio=ratio, val=0.01).counts()
    assert all(all(each) for name, each in counts.items() if sum(each) >= 3)
    assert counts["rare"] == [1, 0, 1] and counts["once"] == [1, 0, 0]


def test_the_seed_decides_and_where_the_source_lies_does_not(source, tmp_path):
    first, again = divided(source), divided(source)
    assert first == again
    moved = shutil.copytree(source, tmp_path / "else" / "where")
    assert divided(moved).placed == first.placed
    other = divided(source, seed=1)
    assert other.counts() == first.counts() and other.placed != first.placed


def sides_of(split):
    return {one.source: one.part for one in split.placed}


def test_what_is_the_same_stays_on_one_side(source):
    for n in range(8):
        with Image.open(source / f"猫/{n}.png") as one:
            one.resize((150, 120)).save(source / f"猫/near-{n}.jpg", quality=60)
            ImageOps.mirror(one).save(source / f"dog/mirror-{n}.png")
        shutil.copy(source / f"猫/{n}.png", source / f"猫/copy-{n}.png")
    for seed in range(5):
        split = divided(source, seed=seed)
        side = sides_of(split)
        assert split.tied == 32
        for n in range(8):
            tied = (f"猫/{n}.png", f"猫/near-{n}.jpg", f"猫/copy-{n}.png", f"dog/mirror-{n}.png")
            assert len({side[name] for name in tied}) == 1
        assert all(all(each) for name, each in split.counts().items() if name != "once")
        train, test = split.counts()["猫"]
        assert train + test == 36 and 5 <= test <= 9


def test_large_groups_leave_something_for_each_part(tmp_path):
    for group in range(2):
        for n in range(5):
            path = tmp_path / "set" / "a" / f"{group}-{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(group, (96 + n, 96)).save(path)
    split = divided(tmp_path / "set", val=0.2)
    assert split.counts() == {"a": [5, 0, 5]}
    assert [line.partition(":")[0] for line in lacking_lines(split)] == ["val has nothing of a"]


def test_files_that_hold_no_picture_are_left_out_and_said(source):
    (source / "dog/bad.jpg").write_text("no picture")
    split = divided(source)
    assert [os.path.basename(path) for path, _ in split.left_out] == ["bad.jpg"]
    assert "dog/bad.jpg" not in sides_of(split)


def test_parts_of_the_source_are_thrown_together(tmp_path):
    names = [f"{part}/{name}/{n}.png" for part in ("train", "val") for name in "ab" for n in "12"]
    split = divided(fill(tmp_path / "set", names), ratio="1:1")
    assert split.counts() == {"a": [2, 2], "b": [2, 2]}
    places = [one.place for one in split.placed]
    assert len({name.casefold() for name in places}) == 8
    assert all(place.split("/")[:2] == [one.part, one.name]
               for place, one in zip(places, split.placed, strict=True))  # fmt: skip


def test_the_result_is_a_data_set_of_links_and_the_source_is_as_it_was(source, tmp_path):
    before, target = files_of(source), tmp_path / "out"
    split = divided(source, val=0.2)
    done = place(split, source, target, False)
    assert (done.linked, done.copied, done.kept) == (33, 0, 0)
    assert files_of(source) == before
    result = find_dataset(target)
    assert [part.name for part in result.parts] == ["train", "val", "test"]
    assert result.classes == ("dog", "once", "rare", "猫")
    assert [tuple(result.counts(part)) for part in result.parts] == list(
        zip(*split.counts().values(), strict=True)
    )
    for one in split.placed:
        assert os.path.samefile(source / one.source, target / one.place)
    with (target / "counts.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["class", "train", "val", "test", "total"]
    assert rows[-1] == ["猫", *map(str, split.counts()["猫"]), "20"]
    assert not list(tmp_path.glob("*.partial"))


def test_again_nothing_is_doubled_and_what_has_gone_comes_back(source, tmp_path):
    split, target = divided(source), tmp_path / "out"
    place(split, source, target, False)
    before = files_of(target)
    assert place(divided(source), source, target, False).kept == 33
    (target / split.placed[0].place).unlink()
    done = place(split, source, target, False)
    assert (done.linked, done.kept) == (1, 32)
    assert files_of(target) == before


def test_another_split_is_refused_without_y(source, tmp_path):
    target = tmp_path / "out"
    place(divided(source), source, target, False)
    before = files_of(target)
    other = divided(source, seed=1)
    with pytest.raises(UsageError, match="of another source, ratio or seed; -y replaces it"):
        place(other, source, target, False)
    assert files_of(target) == before
    (target / "train" / "mine.txt").write_text("mine")
    place(other, source, target, True)
    after = files_of(target)
    assert after.pop("train/mine.txt") == b"mine"
    fresh = tmp_path / "fresh"
    place(other, source, fresh, False)
    assert after == files_of(fresh)
    picture(200).save(source / "dog/0.png")  # another picture under the same name
    with pytest.raises(UsageError, match="another source"):
        place(divided(source, seed=1), source, target, False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("set", "lies in the source or holds it"),
        ("set/out", "lies in the source or holds it"),
        (".", "lies in the source or holds it"),
        ("none/out", "does not exist; make it first"),
        ("other", "holds other things than a split"),
        ("file", "is no folder"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_places_that_are_refused(source, tmp_path, name, message, overwrite):
    fill(tmp_path / "other", ["a/1.png"])
    (tmp_path / "file").touch()
    before = files_of(tmp_path)
    with pytest.raises(UsageError, match=message):
        place(divided(source), source, tmp_path / name, overwrite)
    assert files_of(tmp_path) == before


def test_interrupted_it_leaves_nothing_and_the_earlier_split_whole(source, tmp_path, monkeypatch):
    target = tmp_path / "out"
    place(divided(source), source, target, False)
    before, calls = files_of(tmp_path), []

    def dying(path, place):
        calls.append(path)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return os.link(path, place) is None

    with monkeypatch.context() as patch:
        patch.setattr(placing, "twin", dying)
        with pytest.raises(KeyboardInterrupt):
            place(divided(source, seed=1), source, target, True)
    assert files_of(tmp_path) == before


def test_what_a_killed_run_has_left_is_taken_away_by_the_next(source, tmp_path, monkeypatch):
    target = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(placing, "_discard", lambda _folder: None)
        patch.setattr(placing, "_write_counts", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            place(divided(source), source, target, False)
    assert len(list((tmp_path / "out.partial").rglob("*.png"))) == 33
    place(divided(source, seed=1), source, target, False)
    assert not (tmp_path / "out.partial").exists()
    assert len(list(target.rglob("*.png"))) == 33


def test_copies_where_there_are_no_links_and_a_full_disk(source, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    split = divided(source)
    assert place(split, source, tmp_path / "out", False).copied == 33
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(OutputError, match="no space left on device"):
        place(split, source, tmp_path / "other", False)
    assert not list(tmp_path.glob("other*"))


def test_a_record_that_was_tampered_with_leads_nowhere_else(source, tmp_path):
    target = tmp_path / "out"
    place(divided(source), source, target, False)
    record = json.loads((target / "split.json").read_text())
    record["files"].update({"../set/dog/0.png": "x", str(source / "dog/1.png"): "y"})
    (target / "split.json").write_text(json.dumps(record))
    before = files_of(source)
    place(divided(source, seed=1), source, target, True)
    assert files_of(source) == before


@pytest.mark.parametrize("given", ["8", "8:2:1", "a:b", "0:1", "-1:2", "nan:1", ""])
def test_ratios_that_are_none(given):
    with pytest.raises(UsageError, match="--ratio"):
        SplitOptions(ratio=given)
    assert SplitOptions(ratio=(3, 1)).ratio == (3.0, 1.0)


def test_the_current_folder_as_the_place(source, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match="lies in the source or holds it"):
        place(divided(source), tmp_path, placing.Path("."), False)
    place(divided(source), source, placing.Path("."), False)
    place(divided(source, seed=1), source, placing.Path("."), True)
    assert len(list((tmp_path / "here").rglob("*.png"))) == 33
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "set"]
