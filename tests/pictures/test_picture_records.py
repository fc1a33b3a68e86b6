"""predictions.csv and predictions.json: whole files under their names, or none."""

import csv
import io
import json

import pytest

from vidcam.errors import UsageError
from vidcam.pictures.predictor import Predicted
from vidcam.pictures.records import CSV_NAME, JSON_NAME, prediction_files
from vidcam.types import Prediction, Rect, Score

CAT = Score(281, '虎斑猫, "tabby"', "tabby", 0.8333333)
DOG = Score(5, "Hund / 狗", "dog", 0.1)
UNKNOWN = Score(-1, "未知", "unknown", None)
NAMES = ["萨摩耶1.jpg", 'with, comma "and" quotes.png', "two\nlines.jpg"]
PARTIAL = ["predictions.partial.csv", "predictions.partial.json"]


def predicted(number, shown=(CAT, DOG)):
    prediction = Prediction((CAT, DOG), shown, Rect(0, 0, 4, 4))
    return Predicted(number, NAMES[number], prediction, ())


def rows(path):
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_both_files_hold_every_picture_in_order(tmp_path):
    with prediction_files(tmp_path, overwrite=False) as write:
        assert names(tmp_path) == PARTIAL
        for number in range(3):
            write(predicted(number, (UNKNOWN,) if number == 1 else (CAT, DOG)))
    assert names(tmp_path) == [CSV_NAME, JSON_NAME]
    data = (tmp_path / CSV_NAME).read_bytes()
    assert data.startswith(b"\xef\xbb\xbffile,rank,index,label,label_en,score\n")
    assert b"\r" not in data
    found = rows(tmp_path / CSV_NAME)[1:]
    assert [row[0] for row in found] == [name for name in NAMES for _ in range(2)]
    assert found[0][1:] == ["1", "281", CAT.label, "tabby", "0.833333"]
    assert found[3][1:] == ["2", "5", DOG.label, "dog", "0.1"]
    text = (tmp_path / JSON_NAME).read_bytes().decode("utf-8")
    assert "虎斑猫" in text  # as it is, not as \u escapes
    listed = json.loads(text)
    assert [one["file"] for one in listed] == NAMES
    topk = [CAT.as_record(), DOG.as_record()]
    assert [one["topk"] for one in listed] == [topk] * 3
    unknown = {"index": -1, "label": "未知", "label_en": "unknown", "score": None}
    assert [one["shown"] for one in listed] == [topk, [unknown], topk]


def test_no_picture_is_an_empty_list_and_a_header(tmp_path):
    with prediction_files(tmp_path, overwrite=False):
        pass
    assert json.loads((tmp_path / JSON_NAME).read_text()) == []
    assert len(rows(tmp_path / CSV_NAME)) == 1


@pytest.mark.parametrize("count", [0, 2])
def test_an_interruption_keeps_whole_records_under_the_partial_names(tmp_path, count):
    with pytest.raises(KeyboardInterrupt), prediction_files(tmp_path, overwrite=False) as write:
        for number in range(count):
            write(predicted(number))
        raise KeyboardInterrupt
    assert names(tmp_path) == PARTIAL
    assert len(json.loads((tmp_path / PARTIAL[1]).read_text("utf-8"))) == count
    assert len(rows(tmp_path / PARTIAL[0])) == 1 + 2 * count


def test_an_error_leaves_the_files_that_were_there(tmp_path):
    for name in (CSV_NAME, JSON_NAME):
        (tmp_path / name).write_text("the old one")
    with pytest.raises(OSError, match="gone"), prediction_files(tmp_path, overwrite=True) as write:
        write(predicted(0))
        raise OSError("gone")
    assert names(tmp_path) == [CSV_NAME, JSON_NAME]
    assert {path.read_text() for path in tmp_path.iterdir()} == {"the old one"}
    with prediction_files(tmp_path, overwrite=True) as write:
        write(predicted(0))
    assert len(rows(tmp_path / CSV_NAME)) == 3


@pytest.mark.parametrize("name", [CSV_NAME, JSON_NAME])
def test_what_is_there_is_replaced_only_when_that_is_asked_for(tmp_path, name):
    (tmp_path / name).write_text("the old one")
    with (
        pytest.raises(UsageError, match=f"{name} exists already; -y"),
        prediction_files(tmp_path, overwrite=False),
    ):
        pass
    assert names(tmp_path) == [name] and (tmp_path / name).read_text() == "the old one"
