"""`vidcam eval` as a user calls it: what it prints, what it writes, and how it ends."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoints import small_checkpoint
from PIL import Image

COLOURS = ("red", "green", "blue")
END_S = 20
ALL = {"metrics.json", "per_class.csv", "predictions.csv", "report.html", "confusion.png",
       "curves.png", "calibration.png", "features.png", "worst.png", "confused.png"}  # fmt: skip


def picture(number, size=(90, 70)):
    grid = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return str(small_checkpoint(tmp_path_factory.mktemp("network"), ("红", "绿 色", "blue")))


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The folder `in` of the folder that the test runs in: four classes, one unknown."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("红", "绿 色", "blue", "pink") * 5):
        folder = tmp_path / "in" / name
        folder.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"{number}.jpg")
    return tmp_path / "in"


@pytest.fixture
def evaluate(run_main):
    """Runs `vidcam eval`; gives (exit code, stdout, stderr)."""
    return lambda *arguments: run_main("eval", *arguments, "--device", "cpu")


def complaints(err):
    """The lines of stderr that are no news."""
    news = (" on cpu (", " pictures in ", "thresholds for unknown", "has seen these")
    return [line for line in err.splitlines() if not any(word in line for word in news)]


def rows(path):
    data = Path(path).read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


def test_a_folder_becomes_metrics_tables_figures_and_a_page(evaluate, network, pictures):
    code, out, err = evaluate(network, "in", "-o", "out")
    assert (code, complaints(err)) == (0, [])
    assert {path.name for path in Path("out").iterdir()} == ALL
    told = json.loads(Path("out/metrics.json").read_text("utf-8"))
    assert {"top1", "top5", "n", "per_class", "unknown", "left_out"} <= set(told)
    assert (told["n"], told["left_out"], told["top5"]) == (15, 5, 1.0)
    assert set(told["per_class"]) == {"红", "绿 色", "blue"} and told["unknown"] is None
    found = rows("out/predictions.csv")
    assert len(found) == 15 and np.mean([row["right"] == "1" for row in found]) == told["top1"]
    assert all((row["rank"] == "1") == (row["true"] == row["answer"]) for row in found)
    assert {row["file"] for row in found} == {
        str(path.relative_to(Path().resolve())) for path in pictures.rglob("*.jpg")
        if path.parent.name != "pink"
    }  # fmt: skip
    classes = {row["label"]: row for row in rows("out/per_class.csv")}
    for name, one in told["per_class"].items():
        assert float(classes[name]["f1"]) == pytest.approx(one["f1"], abs=1e-6)
    assert f"top-1 {100 * told['top1']:.1f}%  mean F1" in out and "绿 色" in out
    assert "left out, of classes that the model lacks: 5: pink (5)" in out
    for path in Path("out").glob("*.png"):
        with Image.open(path) as figure:
            assert min(figure.size) > 100 and figure.mode == "RGB"
    page = Path("out/report.html").read_text("utf-8")
    assert page.count("data:image/png") == 3 and "data:image/jpeg" in page and "绿 色" in page


def test_without_o_there_is_the_table_alone(evaluate, network, pictures):
    code, out, _ = evaluate(network, "in")
    assert code == 0 and out.startswith("top-1 ") and os.listdir() == ["in"]
    assert evaluate(network, "in", "-q") == (0, "", "")


def test_what_is_there_is_replaced_when_that_is_asked_for(evaluate, network, pictures):
    assert evaluate(network, "in", "-o", "out")[0] == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    code, out, err = evaluate(network, "in", "-o", "out")
    assert (code, out) == (2, "") and "exists already; -y replaces it" in err
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    Path("out/confusion.partial.png").mkdir()
    assert evaluate(network, "in", "-o", "out", "-y")[0] == 5
    # What is half replaced has no numbers that would speak for it.
    assert not Path("out/metrics.json").exists() and Path("out/report.html").exists()
    Path("out/confusion.partial.png").rmdir()
    # With two pictures there is no map: the one of the run before does not stay behind.
    for path in sorted(pictures.rglob("*.jpg"))[2:]:
        path.unlink()
    assert evaluate(network, "in", "-o", "out", "-y")[0] == 0
    assert "features.png" not in {path.name for path in Path("out").iterdir()}


def test_broken_pictures_are_named_and_the_rest_goes_on(evaluate, network, pictures):
    (pictures / "红" / "0.jpg").write_bytes(b"\xff\xd8broken")
    code, out, err = evaluate(network, "in", "-o", "out")
    assert code == 1 and "top-1" in out
    first, last = complaints(err)
    assert "in/红/0.jpg" in first and last == "vidcam: 1 picture could not be read"
    told = json.loads(Path("out/metrics.json").read_text("utf-8"))
    assert (told["n"], told["unread"]) == (14, 1)
    assert "in/红/0.jpg" in Path("out/report.html").read_text("utf-8")


def test_thresholds_for_unknown_are_fitted_on_val_and_measured_on_test(
    evaluate, tmp_path, pictures
):
    model = small_checkpoint(tmp_path, ("红", "绿 色", "blue"))
    for part in ("val", "test"):
        for path in sorted(pictures.rglob("*.jpg")):
            target = tmp_path / "set" / part / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    code, out, err = evaluate(model, "set", "--fit-unknown", "-o", "out")
    assert (code, complaints(err)) == (0, []) and f"→ {model}" in err
    told = json.loads(Path("out/metrics.json").read_text("utf-8"))["unknown"]
    assert told["strange"] == 5 and 0 <= told["of_strange"] <= 1 and told["temperature"] > 0
    assert told["kept"] is None or told["kept"] >= 0.95  # val and test are the same pictures here
    assert "unknown: " in out and "of 5 of other classes" in out
    assert "<h2>未知</h2>" in Path("out/report.html").read_text("utf-8")
    code, _, err = evaluate("efficientnet_lite0", "set", "--classes", "1,2", "--fit-unknown")
    assert code == 2 and "no folder is called like a class" in err


def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(evaluate, network, pictures):
    Path("file").touch()
    Path("none").mkdir()
    Path("other/cat").mkdir(parents=True)
    Path("flat").mkdir()
    picture(1).save("flat/1.jpg")
    picture(1).save("other/cat/1.jpg")
    Path("bad/红").mkdir(parents=True)
    Path("bad/红/1.jpg").write_bytes(b"no")
    everything = sorted(Path().rglob("*"))
    for code, says, *arguments in (
        (3, "none: holds no picture", network, "none"),
        (3, "gone: no such file", network, "gone"),
        (3, "flat: its pictures lie in no class folder", network, "flat"),
        (3, "could be read", network, "bad", "-o", "out"),
        (2, "folders are cat; the model's classes are 红", network, "other", "-o", "out"),
        (2, "unknown model", "efficientnet_litee0", "in"),
        (2, "has no part val", network, "in", "--part", "val"),
        (2, "nearest: test", network, "in", "--part", "tets"),
        (2, "no val part to fit on", network, "in", "--fit-unknown"),
        (2, "-o file: is no folder", network, "in", "-o", "file"),
        (2, "-o a/b: folder a does not exist", network, "in", "-o", "a/b"),
        (2, "would be a class", network, "in", "-o", "in/out"),
        (2, "features of the map; for eval", network, "in", "--backend", "openvino"),
        (2, "networks are evaluated in", network, "in", "--precision", "bf16"),
        (2, "Missing argument", network),
    ):  # fmt: skip
        got, out, err = evaluate(*arguments)
        lines = complaints(err)
        assert (got, out, len(lines)) == (code, "", 1), err
        assert says in lines[0] and lines[0].startswith("vidcam: ")
        assert sorted(Path().rglob("*")) == everything


def test_an_interruption_leaves_nothing_under_a_final_name(network, tmp_path):
    folder = tmp_path / "many" / "blue"
    folder.mkdir(parents=True)
    picture(0, (1920, 1080)).save(folder / "0.png", compress_level=1)
    for number in range(1, 3000):
        os.link(folder / "0.png", folder / f"{number}.png")
    command = [sys.executable, "-m", "vidcam", "eval", network, tmp_path / "many", "-o",
               tmp_path / "out", "--device", "cpu"]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stderr.readline()
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            process.wait(END_S)
        finally:
            process.kill()
    assert " on cpu (" in line
    assert (process.returncode, complaints(said)) == (130, ["vidcam: interrupted"])
    assert not (tmp_path / "out").exists()
