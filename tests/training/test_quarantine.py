"""What --fix moves, and how it comes back."""

import csv
import os
import shutil

import pytest
from drawn_set import files_of, fill, picture

from vidcam.errors import OutputError, UsageError
from vidcam.training import quarantine
from vidcam.training.check import check
from vidcam.training.quarantine import Move, move, plan, quarantine_of, remaining, restore

CLEAN = [f"{part}/{name}/{n}.png" for part in ("train", "test") for name in "ab" for n in "12"]


@pytest.fixture
def clean(tmp_path):
    """train and test with classes a and b of 2 different pictures each."""
    return fill(tmp_path / "set", CLEAN)


@pytest.fixture
def bad(clean):
    """The clean set with one of each that --fix moves, and some that it does not."""
    (clean / "train/a/zero.jpg").touch()
    (clean / "train/a/text.jpg").write_text("no picture")
    (clean / "train/.ipynb_checkpoints").mkdir()
    (clean / "train/.ipynb_checkpoints/1.png").write_bytes(b"x")
    shutil.copy(clean / "train/a/1.png", clean / "train/a/again.png")
    shutil.copy(clean / "test/b/2.png", clean / "train/b/leak.png")
    shutil.copy(clean / "train/b/1.png", clean / "train/a/label.png")
    picture(70, (40, 40)).save(clean / "train/a/small.png")
    return clean


MOVED = ["train/a/text.jpg", "train/a/zero.jpg", "train/.ipynb_checkpoints",
         "train/b/leak.png", "train/a/again.png"]  # fmt: skip


def manifest_of(folder):
    with (folder / "manifest.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_fix_moves_what_is_bad_and_restore_brings_it_back(bad):
    before, report = files_of(bad), check(bad)
    moves = plan(report)
    assert [one.path for one in moves] == MOVED
    target = quarantine_of(bad)
    assert target == bad.with_name("set-quarantine")
    assert move(bad, moves, target) == 5
    gone = {*MOVED, "train/.ipynb_checkpoints/1.png"}
    assert files_of(bad) == {name: data for name, data in before.items() if name not in gone}
    assert not (bad / "train/.ipynb_checkpoints").exists()
    rows = manifest_of(target)
    assert {row["from"] for row in rows} == {
        str(bad / name) for name in gone if name in before
    }  # fmt: skip
    assert all((target / row["to"]).is_file() and row["reason"] for row in rows)
    assert [row["reason"] for row in rows if ".ipynb" in row["to"]] == ["stray"]
    left = [one.kind for one in check(bad).findings]
    assert left == [one.kind for one in remaining(report, moves)] == ["small", "two labels"]

    assert restore(target) == 5
    assert files_of(bad) == before
    assert not target.exists()


def test_what_is_in_test_stays_and_what_leaks_into_train_goes(clean):
    for name in ("train/a/x.png", "train/a/y.png", "test/a/z.png"):
        shutil.copy(clean / "test/a/1.png", clean / name)
    assert {one.path: one.reason.partition(":")[0] for one in plan(check(clean))} == {
        "train/a/x.png": "leak", "train/a/y.png": "leak", "test/a/z.png": "duplicate",
    }  # fmt: skip


def test_what_links_show_twice_stays_and_remains(clean, tmp_path):
    (clean / "val").symlink_to("train")
    fill(tmp_path / "far", ["c/1.png", "c/2.png"], 90)
    (tmp_path / "far/c/zero.png").touch()
    (clean / "train/c").symlink_to(tmp_path / "far/c")
    shutil.copy(clean / "train/a/1.png", clean / "train/a/again.png")
    report = check(clean)
    assert {one.kind for one in report.findings} == {"missing class", "empty file", "leak"}
    moves = plan(report)
    assert [one.path for one in moves] == ["train/a/again.png"]
    assert move(clean, moves, quarantine_of(clean)) == 1
    assert remaining(report, moves) == list(report.findings)


def test_a_second_fix_adds_to_the_manifest(clean):
    target = quarantine_of(clean)
    for data in (b"", b"no picture"):
        (clean / "train/a/bad.jpg").write_bytes(data)
        move(clean, plan(check(clean)), target)
    assert [row["to"] for row in manifest_of(target)] == ["train/a/bad.jpg", "train/a/bad-2.jpg"]
    assert restore(target) == 1  # the second finds its name taken
    assert [row["to"] for row in manifest_of(target)] == ["train/a/bad-2.jpg"]
    assert (clean / "train/a/bad.jpg").read_bytes() == b""
    assert (target / "train/a/bad-2.jpg").read_bytes() == b"no picture"


@pytest.mark.parametrize("step", ["twin", "note", "unlink"])
def test_killed_between_two_steps_the_manifest_is_true_and_nothing_is_lost(bad, monkeypatch, step):
    before, target = files_of(bad), quarantine_of(bad)
    moves, calls = plan(check(bad)), []

    def dying(function):
        def call(*arguments, **keywords):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return function(*arguments, **keywords)

        return call

    owner, name = {
        "twin": (quarantine, "twin"),
        "note": (quarantine._Manifest, "__call__"),
        "unlink": (quarantine.Path, "unlink"),
    }[step]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dying(getattr(owner, name)))
        with pytest.raises(KeyboardInterrupt):
            move(bad, moves, target)
    rows = manifest_of(target)
    assert len(rows) == {"twin": 2, "note": 2, "unlink": 3}[step]
    assert all((target / row["to"]).is_file() for row in rows)
    here, there = files_of(bad), files_of(target)
    assert all(here.get(name, there.get(name)) == data for name, data in before.items())
    restore(target)
    assert files_of(bad) == before


def test_without_hard_links_files_are_copied(bad, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    before, target = files_of(bad), quarantine_of(bad)
    assert move(bad, plan(check(bad)), target) == 5
    assert restore(target) == 5
    assert files_of(bad) == before


def test_a_full_disk_loses_nothing(bad, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = files_of(bad)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        patch.setattr(shutil, "copy2", full)
        with pytest.raises(OutputError, match="no space left on device; 0 files were moved"):
            move(bad, plan(check(bad)), quarantine_of(bad))
    assert files_of(bad) == before


def test_a_set_that_cannot_be_written_is_named(bad, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    moves = plan(check(bad))
    with monkeypatch.context() as patch:
        patch.setattr(quarantine.Path, "unlink", refuse)
        with pytest.raises(OutputError, match=f"^{bad}/{MOVED[0]}: permission denied; 0 files"):
            move(bad, moves, quarantine_of(bad))


def test_what_a_link_brings_in_from_elsewhere_stays(clean, tmp_path):
    fill(tmp_path / "elsewhere", ["1.png"], 90)
    (tmp_path / "elsewhere/zero.jpg").touch()
    (clean / "train/a/more").symlink_to(tmp_path / "elsewhere")
    assert plan(check(clean)) == []
    assert move(clean, [Move("train/a/more/zero.jpg", "")], quarantine_of(clean)) == 0
    assert (tmp_path / "elsewhere/zero.jpg").exists()


def test_a_quarantine_inside_the_set_is_refused(clean, tmp_path):
    with pytest.raises(UsageError, match="lies inside"):
        quarantine_of(clean, str(clean / "bad"))
    with pytest.raises(UsageError, match="does not exist"):
        quarantine_of(clean, str(tmp_path / "none" / "bad"))
    with pytest.raises(UsageError, match="no such manifest"):
        restore(tmp_path)
