"""`vidcam data` from its command line to its files and exit codes."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from vidcam.cli import COMMANDS


@pytest.fixture
def data(run_main, monkeypatch):
    """Runs `vidcam data …`; gives (exit code, stdout, stderr)."""
    monkeypatch.setitem(COMMANDS, "data", "Folders of labelled pictures.")
    return lambda *arguments: run_main("data", *arguments)


@pytest.fixture
def folder(tmp_path):
    """Five different pictures of each of two classes."""
    rng = np.random.default_rng(0)
    for name in ("猫", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for n in range(5):
            grid = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            grid.resize((96, 90)).save(tmp_path / "set" / name / f"{n}.png")
    return tmp_path / "set"


def test_a_clean_set(data, folder):
    code, out, err = data("check", folder)
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == ["nothing wrong was found"]
    assert "10 pictures, 2 classes (all 10)" in out


def test_what_is_found_is_said_and_nothing_is_changed(data, folder):
    for n in range(7):
        (folder / f"dog/zero{n}.jpg").touch()
    shutil.copy(folder / "猫/1.png", folder / "猫/again.png")
    before = sorted(folder.rglob("*"))
    code, out, _ = data("check", folder)
    assert code == 1
    lines = [line.strip() for line in out.splitlines()]
    assert "7  empty file: zero bytes" in lines and "… and 2 more; --json lists all" in lines
    assert "猫/1.png = 猫/again.png" in lines
    assert sorted(folder.rglob("*")) == before


def test_what_looks_alike_is_not_called_the_same(data, folder, tmp_path):
    picture = Image.open(folder / "猫/1.png")
    picture.resize((120, 112)).save(folder / "猫/larger.png")
    code, out, _ = data("check", folder)
    lines = [line.strip() for line in out.splitlines()]
    assert code == 1 and "1  near duplicate: looks like another picture" in lines
    assert "猫/1.png ~ 猫/larger.png" in lines
    _, _, err = data("split", folder, "-o", tmp_path / "out")
    assert "2 pictures look like another one; look-alikes are kept on one side" in err


def test_one_folder_too_high_is_said(data, folder, tmp_path):
    (tmp_path / "outer").mkdir()
    folder.rename(tmp_path / "outer/set")
    said = "outer/set holds the folders dog, 猫: did you mean that?"
    code, out, _ = data("check", tmp_path / "outer")
    assert code == 1 and said in out
    assert said in data("split", tmp_path / "outer", "-o", tmp_path / "out")[2]


def test_findings_as_json(data, folder, tmp_path):
    (folder / "dog/zero.jpg").touch()
    code, out, err = data("check", folder, "--json", "-")
    record = json.loads(out)
    assert code == 1 and "empty file" in err
    assert record["findings"] == [{"kind": "empty file", "paths": ["dog/zero.jpg"], "detail": ""}]
    target = tmp_path / "found.json"
    assert data("check", folder, "--json", target, "-q")[:2] == (1, "")
    assert json.loads(target.read_text("utf-8")) == record
    code, _, err = data("check", folder, "--json", target)
    assert code == 2 and "exists already; -y replaces it" in err
    assert data("check", folder, "--json", target, "-y")[0] == 1


def test_fix(data, folder):
    (folder / "dog/zero.jpg").touch()
    code, _, err = data("check", folder, "--fix")
    assert code == 0 and "1 file moved → " in err and "manifest.csv" in err
    with (folder.with_name("set-quarantine") / "manifest.csv").open(encoding="utf-8-sig") as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["empty file"]
    assert data("check", folder)[0] == 0
    Image.new("RGB", (20, 20)).save(folder / "dog/small.png")
    code, _, err = data("check", folder, "--fix")
    assert code == 1 and "1 finding remains" in err


def test_fix_says_what_leaks_before_it_moves(data, folder, tmp_path):
    top = tmp_path / "parts"
    shutil.copytree(folder, top / "train")
    for name in ("猫", "dog"):
        (top / "test" / name).mkdir(parents=True)
        shutil.copy(folder / name / "0.png", top / "test" / name / "x.png")
    code, _, err = data("check", top, "--fix", "--quarantine", tmp_path / "bad")
    assert code == 0
    said, moved = err.splitlines()
    assert "2 pictures are in two parts" in said and "2 files moved" in moved
    assert sorted(path.name for path in (tmp_path / "bad/train").rglob("*.png")) == ["0.png"] * 2
    assert len(list((top / "test").rglob("*.png"))) == 2


def test_split(data, folder, tmp_path):
    target = tmp_path / "out"
    code, out, err = data("split", folder, "-o", target, "--ratio", "6:4", "--seed", "3")
    assert code == 0 and "10 linked, 0 copied, 0 there already" in err
    lines = out.splitlines()
    assert lines[:4] == [
        "class  train  test  total", "dog        3     2      5", "猫         3     2      5",
        "total      6     4     10",
    ]  # fmt: skip
    assert lines[5:] == [
        f"{target}/", "├── train/  6", "│   ├── dog/  3", "│   └── 猫/  3",
        "└── test/  4", "    ├── dog/  2", "    └── 猫/  2",
    ]  # fmt: skip
    code, again, err = data("split", folder, "-o", target, "--ratio", "6:4", "--seed", "3")
    assert (code, again) == (0, out) and "0 linked, 0 copied, 10 there already" in err
    code, _, err = data("split", folder, "-o", target, "--ratio", "6:4", "--seed", "4")
    assert code == 2 and "-y replaces it" in err
    assert data("split", folder, "-o", target, "--seed", "4", "--val", "0.2", "-y", "-q")[0] == 0
    assert sorted(path.name for path in target.iterdir()) == [
        "counts.csv", "split.json", "test", "train", "val",
    ]  # fmt: skip


def test_stats(data, folder, tmp_path):
    (folder / "dog/zero.jpg").touch()
    code, out, err = data("stats", folder, "-o", tmp_path / "figures")
    assert code == 0
    assert "all: 1 could not be read" in err
    told = " ".join(out.split())
    assert "total 11" in told and "all width, px 96 96 96" in told
    with Image.open(tmp_path / "figures/sizes.png") as figure:
        assert figure.width > 400
    code, _, err = data("stats", folder, "-o", tmp_path / "figures")
    assert code == 2 and "-y replaces it" in err
    assert data("stats", folder, "-q")[:2] == (0, "")


def test_preview(data, folder, tmp_path):
    target = tmp_path / "batch.png"
    code, out, err = data("preview", folder, "-o", target, "--augment", "dog25", "--batch", "4")
    assert code == 0 and "4 pictures → " in err
    assert out == "train  RandomResizedCrop 256, flip\neval   Resize 300, CenterCrop 256\n"
    with Image.open(target) as figure:
        assert figure.format == "PNG"
    code, _, err = data("preview", folder, "-o", target)
    assert code == 2 and "-y replaces it" in err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("check", "none"), 3, "none: no such file or directory"),
        (("check", "empty"), 3, "empty: holds no picture; vidcam wants one folder a class"),
        (("check", "set/dog"), 3, "its pictures lie in no class folder"),
        (("check", "set", "--quarantine", "x"), 2, "add --fix"),
        (("check", "set", "--fix", "--quarantine", "set/bad"), 2, "lies inside set"),
        (("check", "set", "--json", "none/x.json"), 2, "folder none does not exist"),
        (("split", "set", "-o", "set/x"), 2, "lies in the source"),
        (("split", "set", "-o", "none/x"), 2, "folder none does not exist"),
        (("split", "set", "-o", "out", "--ratio", "8"), 2, "say TRAIN:TEST, such as 8:2"),
        (("split", "set", "-o", "out", "--val", "1"), 2, "--val 1.0: must be from 0 to 0.9"),
        (("split", "set"), 2, "Missing option '-o'"),
        (("stats", "none"), 3, "none: no such file or directory"),
        (("stats", "set", "-o", "none/x"), 2, "folder none does not exist"),
        (("preview", "set", "-o", "x.jpg"), 2, "let the name end in .png"),
        (("preview", "set", "-o", "x.png", "--augment", "dog"), 2, "nearest: dog25"),
        (("preview", "set", "-o", "none/x.png"), 2, "folder none does not exist"),
    ],
)
def test_bad_input_is_one_sentence(data, folder, monkeypatch, arguments, code, sentence):
    monkeypatch.chdir(folder.parent)
    (folder.parent / "empty").mkdir()
    before = sorted(folder.parent.rglob("*"))
    got, out, err = data(*arguments)
    assert (got, out) == (code, "")
    assert sentence in err and err.count("\n") == 1
    assert sorted(folder.parent.rglob("*")) == before
