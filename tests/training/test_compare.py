"""Runs side by side: where their numbers are found, and what differs."""

import csv
import io
import json

import pytest
from checkpoints import small_checkpoint

from vidcam.errors import UsageError
from vidcam.training.compare import OF_CLASS, cells, csv_rows, lines, read_runs, warnings


def metrics(top1, classes, n=100, **more):
    per_class = {name: {"n": 10, "f1": f1, "recall": f1} for name, f1 in classes.items()}
    return {"top1": top1, "top5": 1.0, "n": n, "per_class": per_class, "ece": 0.1} | more


@pytest.fixture
def runs(tmp_path):
    """Two folders of `vidcam eval`."""
    plain = metrics(0.8, {"猫": 0.5, "狗": 0.9})
    augmented = metrics(0.85, {"猫": 0.75, "鸟": 1.0}, macro={"f1": 0.9})
    for name, one in (("无增强", plain), ("增强", augmented)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(one), "utf-8")
    return [str(tmp_path / "无增强"), str(tmp_path / "增强")]


def test_numbers_and_differences_are_those_of_the_files(runs):
    first, second = read_runs(runs)
    assert (first.name, second.name) == ("无增强", "增强")
    found = {(one.class_name, one.key): one for one in lines([first, second])}
    assert found["", "top1"].values == (0.8, 0.85)
    assert found["", "top1"].differences == (pytest.approx(0.05),)
    assert found["猫", "f1"].differences == (0.25,) and found["猫", "f1"].spread == 0.25
    assert found["狗", "f1"].values == (0.9, None) and found["狗", "f1"].differences == (None,)
    assert found["", "f1"].values == (None, 0.9) and ("", "loss") not in found
    assert [name for name, _ in found if name] == ["猫", "狗", "鸟"]


def test_the_best_is_marked_and_less_error_is_better(runs, tmp_path):
    third = tmp_path / "third"
    third.mkdir()
    (third / "metrics.json").write_text(json.dumps(metrics(0.8, {}, ece=0.05)), "utf-8")
    found = {one.key: cells(one) for one in lines(read_runs([*runs, str(third)]))[:4]}
    assert found["top1"] == ["top-1", "80.0% ", "85.0% (+5.0)*", "80.0% (=) "]
    assert found["ece"] == ["calibration error", "10.0% ", "10.0% (=) ", "5.0% (-5.0)*"]
    assert found["top5"][1:] == ["100.0%", "100.0% (=)", "100.0% (=)"]
    assert found["f1"][1:] == ["–", "90.0%", "–"]


def test_the_csv_has_every_number(runs):
    measured = read_runs(runs)
    stream = io.StringIO()
    csv_rows(measured)(stream)(lines(measured, OF_CLASS))
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert list(rows[0]) == ["class", "metric", "无增强", "增强", "增强 - 无增强"]
    by_key = {(row["class"], row["metric"]): row for row in rows}
    assert by_key["猫", "recall"]["增强 - 无增强"] == "0.25"
    assert by_key["狗", "f1"]["增强"] == "" and by_key["", "n"]["增强"] == "100"


def test_runs_of_train_are_found_by_their_evaluation_else_by_their_checkpoint(tmp_path, runs):
    for name in ("adam", "sgd"):
        (tmp_path / name).mkdir()
        path = small_checkpoint(tmp_path / name, metrics={"val_top1": 0.7, "val_n": 40, "epoch": 3})
        path.rename(tmp_path / name / "best.pt")
    adam, sgd = str(tmp_path / "adam"), str(tmp_path / "sgd")
    bare = read_runs([adam, sgd + "/best.pt"])
    assert bare[0].totals == {"top1": 0.7, "n": 40.0} and bare[0].file.name == "best.pt"
    assert "known from training alone" in "".join(warnings(bare))
    (tmp_path / "adam" / "eval").mkdir()
    (tmp_path / "adam" / "eval" / "metrics.json").write_text(json.dumps(metrics(0.9, {"a": 1})))
    evaluated, other, _ = read_runs([adam, sgd, runs[0] + "/metrics.json"])
    assert evaluated.name == "adam" and evaluated.totals["top1"] == 0.9
    (counts, told) = warnings([evaluated, other])
    assert "adam on 100 pictures, 1 classes; sgd on 40 pictures" in counts and told.startswith(
        "sgd: known"
    )
    assert not list(warnings([evaluated, evaluated]))


def written(place, name, **more):
    (place / name).mkdir()
    one = metrics(0.9, more.pop("per_class"), **more)
    (place / name / "metrics.json").write_text(json.dumps(one), "utf-8")
    return str(place / name)


def test_runs_of_other_pictures_or_classes_are_told_apart_in_one_sentence(tmp_path):
    both = {"猫": 1.0, "狗": 1.0}
    first = written(tmp_path, "one", per_class=both, folder="两类", part="test")
    for number, (more, says) in enumerate((
        ({"per_class": both, "folder": "./两类/", "part": "test"}, ""),
        ({"per_class": both, "folder": "三类", "part": "test"}, "三类, part test, 100 pictures"),
        ({"per_class": both, "folder": "两类", "part": "val"}, "两类, part val, 100 pictures"),
        ({"per_class": {"猫": 1.0}, "folder": "两类", "part": "test"}, "1 classes, without 狗"),
        ({"per_class": both | {"鸟": 1.0}, "folder": "两类", "part": "test"}, ", without 鸟; "),
        ({"per_class": both, "folder": "两类", "part": "test", "n": 7}, "part test, 7 pictures"),
        ({"per_class": both, "folder": "两类", "part": "test", "n": None}, ""),
    )):  # fmt: skip
        told = list(warnings(read_runs([first, written(tmp_path, str(number), **more)])))
        assert len(told) == bool(says) and says in "".join(told), more


def test_of_few_classes_the_best_five_say_nothing(tmp_path):
    few, many = (
        written(tmp_path, str(count), per_class={"a": 1.0}, settings={"classes": count})
        for count in (5, 6)
    )
    totals = [run.totals for run in read_runs([few, many])]
    assert "top5" not in totals[0] and totals[1]["top5"] == 1.0


def test_runs_of_one_name_are_told_apart_by_their_paths(runs, tmp_path):
    twin = tmp_path / "other" / "增强"
    twin.mkdir(parents=True)
    (twin / "metrics.json").write_text(json.dumps(metrics(0.1, {})))
    names = [one.name for one in read_runs([*runs, str(twin)])]
    assert names == ["无增强", runs[1], str(twin)]


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "is no JSON"), ("[]", "is no metrics.json"), ('{"top1": 1}', "is no metrics.json"),
     ('{"top1": "1", "per_class": {}}', "it has no top1"), ("[" * 99_999, "is no JSON"),
     ('{"top1": NaN, "per_class": {}}', "it has no top1"), ("\udcff", "is no JSON")],
)  # fmt: skip
def test_other_files_are_refused_in_a_sentence(tmp_path, text, says):
    path = tmp_path / "metrics.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=says):
        read_runs([str(path)])


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such run"):
        read_runs([str(tmp_path / "gone")])
    with pytest.raises(UsageError, match=r"neither metrics\.json .* nor a checkpoint"):
        read_runs([str(tmp_path)])
    with pytest.raises(UsageError, match="holds no metrics"):
        read_runs([str(small_checkpoint(tmp_path))])


def test_odd_values_in_a_file_are_passed_over(tmp_path):
    odd = metrics(0.5, {}, macro=[1], ece=None, n=True)
    odd["per_class"] = {"a": {"f1": "high"}, "b": 3, "\ud800c": {"f1": 0.5, "n": 10**400}}
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(odd))
    (run,) = read_runs([str(path)])
    assert run.totals == {"top1": 0.5, "top5": 1.0}
    assert [one.class_name for one in lines([run], OF_CLASS)] == ["", "", "?c"]
