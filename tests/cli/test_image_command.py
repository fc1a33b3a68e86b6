"""`vidcam image` as a user calls it: what it prints, what it writes, and how it ends."""

import csv
import io
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from checkpoints import small_checkpoint
from PIL import Image

START_S, END_S = 90, 20
COLOURS = ("red", "green", "blue")
RECORDS = ["predictions.csv", "predictions.json"]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The arguments that name a network of three classes."""
    path = small_checkpoint(tmp_path_factory.mktemp("network"), COLOURS)
    return ["--model", str(path), "--backend", "torch", "--device", "cpu"]


@pytest.fixture(scope="module")
def frames(cat_clip, tour_clip):
    """Two pictures: a cat, a rocket."""
    pictures = []
    for clip in (cat_clip, tour_clip):
        with av.open(str(clip)) as container:
            pictures.append(next(container.decode(video=0)).to_image().resize((401, 225)))
    return pictures


@pytest.fixture
def pictures(tmp_path, monkeypatch, frames):
    """The folder `in` of the folder that the test runs in, with pictures of all kinds."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in"
    for name in ("x", "y"):
        (folder / name).mkdir(parents=True)
    cat, rocket = frames
    cat.save(folder / "萨摩耶1.jpg")
    cat.save(folder / "two words.webp")
    rocket.save(folder / "two words.gif")
    cat.save(folder / "x" / "same.png")
    rocket.save(folder / "y" / "same.png")
    for byte, picture in ((b"\xfe", cat), (b"\xff", rocket)):
        path = os.fsdecode(os.path.join(os.fsencode(folder), byte + b".bmp"))
        with suppress(OSError):  # a file system may refuse such names
            picture.save(path)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def image(run_main, network):
    """Runs `vidcam image` with the small network; gives (exit code, stdout, stderr)."""
    return lambda *arguments: run_main("image", *arguments, *network)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def rows(path):
    text = path.read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def bomb():
    """A PNG of 50,000 x 50,000 pixels, as far as its header says."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)),
              (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b"")]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def complaints(err):
    """The lines of stderr that are no news."""
    news = (" on cpu (", " a second", "prepares ")
    return [line for line in err.splitlines() if not any(word in line for word in news)]


def test_a_folder_becomes_tables_records_and_figures(image, pictures):
    code, out, err = image("in", "-o", "out", "--layout", "both", "--topk", "2", "--lang", "zh,en")
    assert (code, complaints(err)) == (0, [])
    listed = json.loads(Path("out/predictions.json").read_text("utf-8"))
    count = len(listed)
    assert count == sum(len(files) for _, _, files in os.walk("in")) - 1
    files = [one["file"] for one in listed]
    assert "in/萨摩耶1.jpg" in files and files.index("in/x/same.png") < files.index("in/y/same.png")
    found = rows(Path("out/predictions.csv"))
    assert [row["file"] for row in found] == [file for file in files for _ in range(2)]
    assert [row["rank"] for row in found] == ["1", "2"] * count
    assert list(found[0]) == ["file", "rank", "index", "label", "label_en", "score"]
    lines = out.splitlines()
    assert lines[::3] == files
    percent = f"{100 * float(found[0]['score']):.2f}"
    assert lines[1].split() == ["1", percent, "%", found[0]["label"]]
    drawn = [name for name in names(Path("out")) if name not in RECORDS]
    assert len(drawn) == count and all(name.endswith("-both.png") for name in drawn)
    assert {"萨摩耶1-both.png", "same-both.png", "y-same-both.png"} <= set(drawn)
    assert f"{count} pictures in" in err and "→ out" in err
    # All is there already: nothing is replaced unless that is asked for.
    before = {name: Path("out", name).read_bytes() for name in names(Path("out"))}
    code, out, err = image("in", "-o", "out", "--layout", "both")
    assert code == 2 and out == "" and "exists already; -y replaces it" in err
    assert {name: Path("out", name).read_bytes() for name in names(Path("out"))} == before
    code, out, err = image("in", "-o", "out", "--layout", "both", "-y", "-q", "--batch", "1")
    assert (code, out, err) == (0, "", "")
    assert len(rows(Path("out/predictions.csv"))) == 3 * count
    assert names(Path("out")) == sorted(before)


def test_the_options_reach_the_records(image, pictures):
    Path("labels.txt").write_text("红\n绿\n蓝\n", "utf-8")
    picture = "in/萨摩耶1.jpg"
    arguments = ["--labels", "labels.txt", "--topk", "all", "--threshold", "1", "--fit", "pad"]
    code, out, err = image(picture, "-o", "out", *arguments, "--layout", "overlay")
    assert code == 0 and "pad fit" in err and "shown as 未知" in out
    (one,) = json.loads(Path("out/predictions.json").read_text("utf-8"))
    assert sorted(score["label"] for score in one["topk"]) == sorted("红绿蓝")
    (unknown,) = one["shown"]
    assert unknown == {"index": -1, "label": "未知", "label_en": "unknown", "score": None}
    assert [row["rank"] for row in rows(Path("out/predictions.csv"))] == ["1", "2", "3"]
    with Image.open("out/萨摩耶1-overlay.jpg") as overlay:
        assert overlay.size == (401, 225)
    code, out, _ = image(picture, "--classes", "red,blue", "--topk", "9")
    assert code == 0 and len(out.splitlines()) == 3 and "green" not in out
    code, out, _ = image(picture, "--topk", "0")
    assert (code, out) == (0, f"{picture}\n")
    assert names(Path()) == ["in", "labels.txt", "out"]


def test_broken_pictures_are_named_and_the_rest_goes_on(image, pictures):
    Path("in/broken.png").write_bytes(Path("in/x/same.png").read_bytes()[:900])
    Path("in/empty.jpg").touch()
    code, out, err = image("in/broken.png", "in/x", "gone.jpg", "in/notes.txt", "in/empty.jpg",
                           "-o", "out", "--layout", "chart")  # fmt: skip
    assert code == 1 and out.startswith("in/x/same.png\n") and len(out.splitlines()) == 4
    said = complaints(err)
    starts = ("in/broken.png: damaged", "gone.jpg: no such file", "in/notes.txt: is not a picture",
              "in/empty.jpg: is empty", "4 of 5 pictures failed")  # fmt: skip
    assert len(said) == 5
    assert [line[8 : 8 + len(start)] for line, start in zip(said, starts, strict=True)] == [*starts]
    assert names(Path("out")) == [*RECORDS, "same-chart.png"]
    code, out, err = image("in/broken.png", "in/empty.jpg", "-o", "new")
    assert code == 3 and out == "" and not Path("new").exists()
    assert complaints(err)[-1] == "vidcam: no picture could be read"


def test_what_cannot_be_done_is_one_sentence_and_writes_nothing(image, pictures):
    Path("bomb.png").write_bytes(bomb())
    Path("file").touch()
    Path("none").mkdir()
    picture = "in/萨摩耶1.jpg"
    Path("in/same-chart.png").write_bytes(Path("in/x/same.png").read_bytes())
    everything = sorted(Path().rglob("*"))
    for code, says, *arguments in (
        (3, "bomb.png: too large", "bomb.png", "-o", "out"),
        (3, "gone.jpg: no such file", "gone.jpg", "-o", "out"),
        (3, "folder none: holds no picture", "none", "-o", "out"),
        (3, "pattern *.tif: holds no picture", "*.tif"),
        (2, "download it first", "https://host/a.jpg"),
        (2, "-o file: is no folder", picture, "-o", "file"),
        (2, "-o a/b: folder a does not exist", picture, "-o", "a/b"),
        (2, "say where with -o DIR", picture, "--layout", "both"),
        (2, "nearest: overlay", picture, "-o", "out", "--layout", "overly"),
        (2, "must be from 1 to 512", picture, "--batch", "0"),
        (2, "--topk", picture, "--topk", "-1"),
        (2, "nearest: red", picture, "-o", "out", "--classes", "redd"),
        (2, "would overwrite an input", "in/x/same.png", "in/same-chart.png", "-y",
         "--layout", "chart", "-o", "in"),
    ):  # fmt: skip
        got, out, err = image(*arguments)
        lines = complaints(err)
        assert (got, out, len(lines)) == (code, "", 1), err
        assert says in lines[0] and lines[0].startswith("vidcam: ")
        assert sorted(Path().rglob("*")) == everything
    with pytest.raises(OSError, match=r"."):
        Path("/proc/self/probe").mkdir()
    code, _, err = image(picture, "-o", "/proc/self/probe")
    assert code == 5 and "/proc/self/probe" in complaints(err)[0]


def start(*arguments, **keywords):
    command = [sys.executable, "-m", "vidcam", "image", *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **streams | keywords)


@pytest.fixture
def long_folder(tmp_path, frames):
    """A folder of so many pictures that no run ends before it is interrupted."""
    folder = tmp_path / "many"
    folder.mkdir()
    frames[0].resize((1920, 1080)).save(folder / "0.png", compress_level=1)
    for number in range(1, 3000):
        os.link(folder / "0.png", folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_whole_records_and_figures(network, long_folder, tmp_path, number):
    out = tmp_path / "out"
    with start(long_folder, "-o", out, "--layout", "overlay", *network) as process:
        try:
            first = process.stdout.readline()
            process.send_signal(number)
            process.send_signal(number)  # an impatient user's second one changes nothing
            told, said = process.stdout.read(), process.stderr.read()
            process.wait(END_S)
        finally:
            process.kill()
    assert process.returncode == 130, said
    lines = complaints(said)
    partial = [out / "predictions.partial.csv", out / "predictions.partial.json"]
    assert lines[-1] == "vidcam: interrupted" and len(lines) == 3 and "Traceback" not in said
    assert sorted(lines[:2]) == [f"vidcam: {path} keeps the records so far" for path in partial]
    files = [one["file"] for one in json.loads(partial[1].read_text("utf-8"))]
    assert files == [str(long_folder / f"{n}.png") for n in range(len(files))]
    assert [row["file"] for row in rows(partial[0])] == [name for name in files for _ in COLOURS]
    assert (first + told).splitlines()[::4] == files
    figures = [name for name in names(out) if name.endswith("-overlay.jpg")]
    assert len(figures) == len(files) and len(names(out)) == len(files) + 2
    for name in figures:
        with Image.open(out / name) as figure:
            assert np.asarray(figure).shape == (1080, 1920, 3)


def test_whoever_stops_reading_ends_it_quietly(network, long_folder):
    with start(long_folder, *network) as process:
        try:
            assert process.stdout.readline() == f"{long_folder / '0.png'}\n"
            process.stdout.close()
            said = process.stderr.read()
            process.wait(END_S)
        finally:
            process.kill()
    assert process.returncode == 1 and complaints(said) == []


def test_what_is_full_is_5(network, long_folder, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    out, few = tmp_path / "out", tmp_path / "few"
    few.mkdir()
    for number in range(3):
        os.link(long_folder / "0.png", few / f"{number}.png")
    with Path("/dev/full").open("w") as full:
        ended = [
            (start(few, "-q", "-o", out, "--layout", "overlay", *network, preexec_fn=limit),
             "0-overlay.jpg: file too large"),
            (start(few, *network, stdout=full), "stdout: no space left on device"),
        ]  # fmt: skip
        for process, says in ended:
            with process:
                _, said = process.communicate(timeout=START_S)
            lines = complaints(said)
            assert process.returncode == 5 and len(lines) == 1, said
            assert says in lines[0] and lines[0].startswith("vidcam: ")
    assert not out.exists()
