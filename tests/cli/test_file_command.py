"""`vidcam file`: the sample clip end to end in a process of its own, then every kind of output."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoints import small_checkpoint
from clips import decode, make_clip, packets, times

from vidcam.sinks.records import CSV_HEADER

TEST_PICTURE = "lavfi:testsrc2=size=320x180:rate=25"
DEADLINE_S = 120


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A small network with fixed random weights and three classes."""
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"), ("红", "绿", "蓝"))


@pytest.fixture
def run_main(run_main, monkeypatch, tmp_path, checkpoint):
    """Runs `vidcam file` with the small network in this process; gives (code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_main("file", *arguments, "--model", checkpoint)


@pytest.fixture
def records(run_main):
    """Runs `vidcam file … --jsonl -` quietly; gives the records."""

    def run(*arguments):
        code, out, err = run_main(*arguments, "--jsonl", "-", "-q")
        assert (code, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]

    return run


def names(folder="."):
    """The files of a folder, those under a partial name too."""
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture(scope="module")
def explained(vidcam, cat_clip, tmp_path_factory):
    """One real run over the sample clip: the process and the folder with its outputs."""
    folder = tmp_path_factory.mktemp("explained")
    outputs = ["-o", folder / "out.mp4", "--jsonl", folder / "out.jsonl", "--csv", folder / "o.csv"]
    return vidcam("file", cat_clip, *outputs), folder


def test_the_sample_is_explained_and_the_end_says_what_was_done(explained):
    done, folder = explained
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert names(folder) == ["o.csv", "out.jsonl", "out.mp4"]
    lines = done.stderr.splitlines()
    assert any(line.startswith("vidcam: efficientnet_lite0 on ") for line in lines[:2])
    assert not [line for line in lines if "warning" in line or "Traceback" in line]
    *_, header, counts, stages, costs = (line.split() for line in lines)
    assert header == ["read", "corrupt", "classified", "explained", "written", "seconds", "fps"]
    assert counts[:5] == ["180", "0", "180", "180", "180"]
    assert all(float(number) > 0 for number in counts[5:])
    assert stages == ["ms/frame", "decode", "prepare", "network", "draw", "encode", "finish"]
    assert sum(map(float, costs)) > 0


def test_the_output_of_the_sample_plays_everywhere_with_its_times_and_sound(explained, cat_clip):
    path = explained[1] / "out.mp4"
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    pictures = decode(path)
    assert len(pictures) == 180
    assert {(p.width, p.height, p.format.name) for p in pictures} == {(1280, 720, "yuv420p")}
    assert times(path) == times(cat_clip)
    assert packets(path, "audio") == packets(cat_clip, "audio")


def test_the_sample_is_a_cat_in_chinese(explained):
    lines = (explained[1] / "out.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert [record["frame"] for record in found] == list(range(180))
    assert [record["time_s"] for record in found] == [round(n / 30, 6) for n in range(180)]
    tops = [record["topk"][0] for record in found]
    cats = [top for top in tops if "cat" in top["label_en"].split() and "猫" in top["label"]]
    assert len(cats) > 170
    for record in found:
        assert record["source"] == "cat.mp4"
        assert record["cam"] == {"class": record["topk"][0]["index"], "fresh": True}
        assert record["crop"] == [0, 0, 1280, 720]


def test_heat_and_labels_are_in_the_picture_of_the_sample(explained, cat_clip):
    before, after = (
        decode(path)[90].to_ndarray(format="rgb24").astype(float)
        for path in (cat_clip, explained[1] / "out.mp4")
    )
    change = np.abs(after - before).mean(2)
    assert change[14:200, 14:380].mean() > 20  # a dark panel with white text
    assert after[14:200, 14:380].max() > 220
    blocks = change.reshape(9, 80, 16, 80).mean((1, 3))
    # Heat is on the cat, and next to nothing of it on what is beside it.
    assert blocks[6:8, 3:10].mean() > 25
    assert blocks[4, 15] < 10


def test_the_csv_of_the_sample_opens_in_a_spreadsheet(explained):
    data = (explained[1] / "o.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert tuple(rows[0]) == CSV_HEADER
    assert [(row["frame"], row["rank"]) for row in rows] == [
        (str(frame), str(rank)) for frame in range(180) for rank in range(1, 6)
    ]
    last = json.loads((explained[1] / "out.jsonl").read_text("utf-8").splitlines()[-1])
    for row, score in zip(rows[-5:], last["topk"], strict=True):
        assert (row["source"], float(row["time_s"])) == ("cat.mp4", last["time_s"])
        assert [row[key] for key in score] == list(map(str, score.values()))


def test_a_record_has_the_form_that_is_documented(records):
    found = records(TEST_PICTURE, "--max-frames", 3)
    assert len(found) == 3
    for record in found:
        assert list(record) == ["source", "frame", "time_s", "topk", "shown", "cam", "crop"]
        assert len(record["topk"]) == len(record["shown"]) == 3
        for score in record["topk"] + record["shown"]:
            assert list(score) == ["index", "label", "label_en", "score"]
        scores = [score["score"] for score in record["topk"]]
        assert scores == sorted(scores, reverse=True) and abs(sum(scores) - 1) < 1e-4
        assert list(record["cam"]) == ["class", "fresh"]


def test_records_on_stdout_have_no_byte_order_mark(run_main):
    _, out, _ = run_main(TEST_PICTURE, "--max-frames", 2, "--csv", "-")
    assert out.splitlines()[0] == ",".join(CSV_HEADER)
    assert len(out.splitlines()) == 1 + 2 * 3


def test_options_change_what_is_recorded(records, monkeypatch):
    def one(*options):
        (record,) = records(TEST_PICTURE, "--max-frames", 1, *options)
        return record

    ranked = [score["index"] for score in one()["topk"]]
    assert [score["index"] for score in one("--topk", 2)["topk"]] == ranked[:2]
    assert one("--topk", 0)["topk"] == [] and one("--cam", "none")["cam"] is None
    assert one("--class", "蓝")["cam"]["class"] == 2
    only = one("--classes", "绿,蓝")["topk"]
    assert sorted(score["index"] for score in only) == [1, 2]
    assert abs(sum(score["score"] for score in only) - 1) < 1e-4
    unsure = one("--threshold", 1)
    unknown = {"index": -1, "label": "未知", "label_en": "unknown", "score": None}
    assert unsure["shown"] == [unknown]
    assert [score["index"] for score in unsure["topk"]] == ranked
    assert one("--roi", "0.5,0,0.5,1", "--fit", "stretch")["crop"] == [160, 0, 160, 180]
    assert one("--fit", "pad")["crop"] == [0, 0, 320, 180]
    Path("names.txt").write_text("r\ng\nb\n")
    assert {score["label"] for score in one("--labels", "names.txt")["topk"]} == {"r", "g", "b"}
    monkeypatch.setenv("VIDCAM_FILE_TOPK", "1")
    assert len(one()["topk"]) == 1


def test_a_part_of_a_clip_keeps_the_sound_that_belongs_to_it(run_main, tmp_path):
    make_clip(tmp_path / "in.mp4", frames=50, rate=25, sound=["aac"])
    part = ["--start", "0.4", "--duration", "1s"]
    assert run_main("in.mp4", "-o", "out.mp4", *part, "-q") == (0, "", "")
    assert times(Path("out.mp4"))[0] == 0 and len(times(Path("out.mp4"))) == 25
    assert 0.9 < times(Path("out.mp4"), "audio")[-1] <= 1.05
    assert run_main("in.mp4", "-o", "mute.mp4", "--no-audio", "-q")[0] == 0
    with pytest.raises(IndexError):
        packets(Path("mute.mp4"), "audio")


def test_side_by_side_is_twice_as_wide_and_has_the_original(run_main):
    arguments = ["--max-frames", 3, "--crf", 1, "-q"]
    assert run_main(TEST_PICTURE, "-o", "wide.mp4", "--layout", "side-by-side", *arguments)[0] == 0
    plain = ["--cam", "none", "--topk", 0]
    assert run_main(TEST_PICTURE, "-o", "plain.mp4", *plain, *arguments)[0] == 0
    wide, plain = (decode(Path(p))[1].to_ndarray(format="gray") for p in ("wide.mp4", "plain.mp4"))
    assert wide.shape == (180, 640)
    error = np.abs(wide.astype(int) - np.hstack([plain, plain]))
    assert error[:, :320].mean() < 2 < error[:, 320:].mean()


def test_quiet_says_nothing_and_y_replaces(run_main):
    Path("out.mp4").write_text("old")
    assert run_main(TEST_PICTURE, "--max-frames", 2, "-o", "out.mp4", "-y", "-q") == (0, "", "")
    assert len(decode(Path("out.mp4"))) == 2 and names() == ["out.mp4"]


def test_progress_is_a_line_now_and_then(run_main, monkeypatch):
    monkeypatch.setattr("vidcam.cli.report.LINE_EVERY_S", 0)
    _, _, err = run_main(TEST_PICTURE, "--max-frames", 5, "-o", "out.mp4")
    lines = [line for line in err.splitlines() if " fps, " in line and line.endswith(" s left")]
    assert len(lines) == 5
    assert lines[2].startswith(f"vidcam: {TEST_PICTURE}: 3 of 5 frames, ")


@pytest.mark.parametrize("inputs", [["in"], ["in/*.mp4"], ["in/a.mp4", "in/b.mp4"]])
@pytest.mark.parametrize(
    ("output", "expected"),
    [("out", ["a.mp4", "b.mp4"]), ("out/{stem}-x.mkv", ["a-x.mkv", "b-x.mkv"])],
)
def test_several_inputs(run_main, tmp_path, inputs, output, expected):
    for folder in ("in", "out"):
        Path(folder).mkdir()
    make_clip(tmp_path / "in" / "a.mp4", frames=2)
    make_clip(tmp_path / "in" / "b.mp4", frames=3)
    Path("in/notes.txt").touch()
    code, out, err = run_main(*inputs, "-o", output, "--jsonl", "all.jsonl")
    assert (code, out) == (0, ""), err
    assert names("out") == expected
    assert [len(decode(Path("out", name))) for name in expected] == [2, 3]
    found = [json.loads(line) for line in Path("all.jsonl").read_text().splitlines()]
    assert [(r["source"], r["frame"]) for r in found] == [
        ("a.mp4", 0), ("a.mp4", 1), ("b.mp4", 0), ("b.mp4", 1), ("b.mp4", 2),
    ]  # fmt: skip
    assert err.count(" on cpu (") == 1, "the model is loaded once"


def test_one_bad_input_of_several_is_1_and_the_others_are_written(run_main, tmp_path):
    make_clip(tmp_path / "a.mp4", frames=2)
    Path("b.mp4").write_text("no video")
    make_clip(tmp_path / "c.mp4", frames=2)
    Path("out").mkdir()
    code, _, err = run_main("a.mp4", "b.mp4", "missing.mp4", "c.mp4", "-o", "out", "--csv", "r.csv")
    assert code == 1
    assert names("out") == ["a.mp4", "c.mp4"] and Path("r.csv").is_file()
    assert "vidcam: b.mp4: is not a video" in err and "vidcam: missing.mp4: no such file" in err
    assert err.splitlines()[-1] == "vidcam: 2 of 4 inputs failed"


def test_a_reader_of_the_records_that_stops_is_no_error_to_shout_about(checkpoint):
    command = [sys.executable, "-m", "vidcam", "file", TEST_PICTURE, "--duration", "1h",
               "--model", str(checkpoint), "--jsonl", "-", "-q"]  # fmt: skip
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        subprocess.Popen(["head", "-1"], stdin=process.stdout, stdout=subprocess.PIPE) as reader,
    ):
        process.stdout.close()
        first, _ = reader.communicate(timeout=DEADLINE_S)
        said = process.stderr.read()
        process.wait(timeout=DEADLINE_S)
    assert json.loads(first)["frame"] == 0
    assert said == b""


def test_progress_on_a_terminal_is_a_bar(checkpoint, tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vidcam", "file", TEST_PICTURE, "--max-frames", "50",
               "--model", str(checkpoint), "-o", str(tmp_path / "out.mp4")]  # fmt: skip
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(command, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:
            pass  # Linux's end of a terminal whose other side has gone
        process.wait(timeout=DEADLINE_S)
    os.close(ours)
    text = shown.decode()
    assert process.returncode == 0, text
    assert "━" in text and "/50" in text and " fps" in text
    assert "classified" in text and "Traceback" not in text
