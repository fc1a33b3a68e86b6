"""`vidcam compare` as a user calls it."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The folders `plain` and `加增强` of the folder that the test runs in."""
    monkeypatch.chdir(tmp_path)
    for name, top1, f1 in (("plain", 0.8, 0.5), ("加增强", 0.9, 0.75)):
        one = {"top1": top1, "top5": 1.0, "n": 40, "ece": 0.1, "macro": {"f1": f1, "auc": None},
               "per_class": {"猫": {"n": 20, "f1": f1}, "dog": {"n": 20, "f1": 0.5}}}  # fmt: skip
        Path(name).mkdir()
        Path(name, "metrics.json").write_text(json.dumps(one), "utf-8")


@pytest.fixture
def compare(run_main):
    return lambda *arguments: run_main("compare", *arguments)


def test_runs_stand_side_by_side(compare, runs):
    code, out, err = compare("plain", "加增强/metrics.json")
    assert (code, err) == (0, "")
    lines = {line.split("  ")[0]: line.split() for line in out.splitlines() if line}
    assert out.splitlines()[0].split() == ["plain", "加增强"]
    assert lines["top-1"][1:] == ["80.0%", "90.0%", "(+10.0)*"]
    assert lines["猫"][1:] == ["50.0%", "75.0%", "(+25.0)*"]
    assert lines["dog"][1:] == ["50.0%", "50.0%", "(=)"]
    assert compare("plain", "加增强", "-q") == (0, "", "")


def test_files_are_written_when_they_are_asked_for(compare, runs):
    code, _, err = compare("plain", "加增强", "-o", "a.csv", "-o", "a.png")
    assert (code, err) == (0, "vidcam: → a.csv\nvidcam: → a.png\n")
    data = Path("a.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    found = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    (cat,) = [row for row in found if (row["class"], row["metric"]) == ("猫", "f1")]
    assert (cat["plain"], cat["加增强"], cat["加增强 - plain"]) == ("0.5", "0.75", "0.25")
    with Image.open("a.png") as figure:
        assert figure.mode == "RGB" and min(figure.size) > 200
    code, out, err = compare("plain", "加增强", "-o", "a.csv")
    assert (code, out) == (2, "") and "exists already; -y replaces it" in err
    assert compare("plain", "加增强", "-o", "a.csv", "-y")[0] == 0


def test_what_was_measured_differently_is_said(compare, runs):
    text = Path("plain/metrics.json").read_text("utf-8").replace('"n": 40', '"n": 30')
    Path("plain/metrics.json").write_text(text, "utf-8")
    code, _, err = compare("plain", "加增强")
    assert code == 0 and err == (
        "vidcam: warning: the runs were not measured on the same pictures and classes: "
        "plain on 30 pictures, 2 classes; 加增强 on 40 pictures, 2 classes\n"
    )


def test_of_many_classes_those_that_differ_most_are_shown(compare, runs):
    for name, step in (("plain", 0.0), ("加增强", 0.001)):
        one = json.loads(Path(name, "metrics.json").read_text("utf-8"))
        one["per_class"] = {f"c{n}": {"n": 1, "f1": 0.5 + step * n} for n in range(100)}
        Path(name, "metrics.json").write_text(json.dumps(one), "utf-8")
    _, out, _ = compare("plain", "加增强")
    assert "c99 " in out and "c1 " not in out and "… and 60 classes that differ less" in out


def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(compare, runs):
    Path("empty").mkdir()
    everything = sorted(Path().rglob("*"))
    for says, *arguments in (
        ("needs two runs at least", "plain"),
        ("gone: no such run", "plain", "gone"),
        ("empty: holds neither metrics.json", "plain", "empty", "-o", "a.csv"),
        ("is written as CSV or PNG", "plain", "加增强", "-o", "a.txt"),
        ("folder no does not exist", "plain", "加增强", "-o", "no/a.csv"),
        ("Missing argument",),
    ):
        code, out, err = compare(*arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert says in err and sorted(Path().rglob("*")) == everything
