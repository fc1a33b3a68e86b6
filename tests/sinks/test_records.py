"""JSON lines and CSV: every field, for people and for programs, and files that are whole."""

import csv
import io
import json
from fractions import Fraction

import numpy as np
import pytest
from clips import convert, make_clip, read, times

from vidcam.errors import OutputError, UsageError
from vidcam.sinks.records import ClassifiedSink, RecordSink, csv_rows, json_lines, record_file
from vidcam.types import Frame, Prediction, Rect, Result, Score

TABBY = Score(281, "虎斑猫", "tabby", 0.8300004)
TIGER = Score(282, "虎猫", "tiger cat, 'striped'", 0.1)
UNKNOWN = Score(-1, "未知", "unknown", None)
HEADER = ["source", "frame", "time_s", "rank", "index", "label", "label_en", "score"]


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> list[Frame]:
    """Frames of a variable rate, of a file with a name that CSV must quote."""
    folder = tmp_path_factory.mktemp("records")
    return read(make_clip(folder / '一 "clip", 1.mp4', frames=3, rate=30))


def result_of(frame: Frame, **changes: object) -> Result:
    fields = {"topk": (TABBY, TIGER), "shown": (TABBY,), "crop": Rect(2, 4, 60, 80)}
    return Result(frame, Prediction(**(fields | changes)), 0.1)


def written(make, results) -> str:
    stream = io.StringIO()
    sink = RecordSink(make(stream))
    for result in results:
        sink.frame(result.frame.picture, result)
    return stream.getvalue()


def test_a_json_line_holds_every_field(frames):
    cam = np.zeros((7, 7), np.float32)
    result = result_of(frames[1], cam=cam, cam_class=281, cam_fresh=True)
    assert json.loads(written(json_lines, [result])) == {
        "source": '一 "clip", 1.mp4',
        "frame": 1,
        "time_s": 0.033333,
        "topk": [
            {"index": 281, "label": "虎斑猫", "label_en": "tabby", "score": 0.83},
            {"index": 282, "label": "虎猫", "label_en": "tiger cat, 'striped'", "score": 0.1},
        ],
        "shown": [{"index": 281, "label": "虎斑猫", "label_en": "tabby", "score": 0.83}],
        "cam": {"class": 281, "fresh": True},
        "crop": [2, 4, 60, 80],
    }


def test_one_line_a_frame_in_readable_chinese(frames):
    text = written(json_lines, map(result_of, frames))
    assert text.count("\n") == 3 and text.endswith("\n")
    assert "虎斑猫" in text
    assert [json.loads(line)["frame"] for line in text.splitlines()] == [0, 1, 2]


def test_without_a_map_cam_is_null_and_a_carried_one_is_not_fresh(frames):
    assert json.loads(written(json_lines, [result_of(frames[0])]))["cam"] is None
    carried = result_of(frames[0], cam=np.zeros((7, 7), np.float32), cam_class=3)
    assert json.loads(written(json_lines, [carried]))["cam"] == {"class": 3, "fresh": False}


def test_unknown_is_shown_and_never_in_topk(frames):
    record = json.loads(written(json_lines, [result_of(frames[0], shown=(UNKNOWN,))]))
    unknown = {"index": -1, "label": "未知", "label_en": "unknown", "score": None}
    assert record["shown"] == [unknown]
    assert [score["index"] for score in record["topk"]] == [281, 282]


def test_live_records_are_of_classified_frames_and_file_records_of_written_ones(frames):
    live, file = [], []
    for sink in (ClassifiedSink(live.append), RecordSink(file.append)):
        sink.frame(frames[0].picture, result_of(frames[0]))
        sink.classified(result_of(frames[1]))
        sink.close()
    assert [result.frame.index for result in live] == [1]
    assert [result.frame.index for result in file] == [0]


def test_csv_has_one_row_a_frame_and_rank(frames):
    rows = list(csv.reader(io.StringIO(written(csv_rows, map(result_of, frames)))))
    assert rows[0] == HEADER
    name = '一 "clip", 1.mp4'
    assert rows[3:5] == [
        [name, "1", "0.033333", "1", "281", "虎斑猫", "tabby", "0.83"],
        [name, "1", "0.033333", "2", "282", "虎猫", "tiger cat, 'striped'", "0.1"],
    ]
    assert len(rows) == 1 + 2 * 3


def test_times_of_records_are_those_of_the_written_pictures(tmp_path):
    pts = [0, 3003, 3500, 9009, 90000]
    clip = make_clip(tmp_path / "a.mp4", pts=pts, time_base=Fraction(1, 90_000))
    convert(clip, tmp_path / "out.mp4")
    lines = written(json_lines, map(result_of, read(clip))).splitlines()
    seconds = [json.loads(line)["time_s"] for line in lines]
    assert seconds == [round(float(time), 6) for time in times(tmp_path / "out.mp4")]


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", b""), ("utf-8-sig", b"\xef\xbb\xbf")])
def test_a_csv_file_has_its_byte_order_mark_once(tmp_path, frames, encoding, mark):
    path = tmp_path / "out.csv"
    with record_file(str(path), csv_rows, False, encoding) as write:
        for frame in frames:
            write(result_of(frame))
    data = path.read_bytes()
    assert data.startswith(mark + b"source,frame,")
    assert data.count(b"\xef\xbb\xbf") == bool(mark)
    assert len(list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))) == 7


def test_a_dash_is_stdout(frames, capsys):
    with record_file("-", csv_rows, False, "utf-8-sig") as write:
        write(result_of(frames[0]))
    out = capsys.readouterr().out
    assert out.startswith("source,frame,") and out.count("\n") == 3


def test_a_record_file_appears_when_it_is_whole(tmp_path, frames):
    path = tmp_path / "out.jsonl"
    with record_file(str(path), json_lines, False) as write:
        write(result_of(frames[0]))
        assert not path.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.jsonl"]


def test_an_existing_record_file_is_replaced_only_when_told(tmp_path, frames):
    path = tmp_path / "out.jsonl"
    path.write_text("mine")
    with (
        pytest.raises(UsageError, match="-y replaces it"),
        record_file(str(path), json_lines, False),
    ):
        pass
    assert path.read_text() == "mine"
    with record_file(str(path), json_lines, True) as write:
        write(result_of(frames[0]))
    assert json.loads(path.read_text())["frame"] == 0


@pytest.mark.parametrize("raised", [ValueError("elsewhere"), OutputError("another output")])
def test_an_error_leaves_the_old_record_file(tmp_path, frames, raised):
    path = tmp_path / "out.jsonl"
    path.write_text("mine")
    with pytest.raises(type(raised)), record_file(str(path), json_lines, True) as write:
        write(result_of(frames[0]))
        raise raised
    assert path.read_text() == "mine"


@pytest.mark.parametrize("count", [1, 1000])
def test_a_full_disk_is_an_output_error(frames, count):
    full = "/dev/full"  # a device on which every write fails for want of space
    with pytest.raises(OutputError, match="no space"), record_file(full, json_lines, True) as write:
        for _ in range(count):
            write(result_of(frames[0]))


def test_a_record_file_in_a_missing_folder_is_refused(tmp_path):
    path = str(tmp_path / "missing" / "out.jsonl")
    with pytest.raises(UsageError, match="does not exist"), record_file(path, json_lines, False):
        pass
