"""`vidcam explain` in this process: its files, its words, and what it refuses."""

import csv
import os
import resource
import signal
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from checkpoints import small_checkpoint
from pictures import drawn
from PIL import Image

SIDE = 240


@pytest.fixture(scope="session")
def frames(cat_clip):
    """A cat and an espresso, 320x180."""
    found = []
    for path in (cat_clip, cat_clip.with_name("coffee.mp4")):
        with av.open(str(path)) as clip:
            found.append(next(clip.decode(video=0)).to_image().resize((320, 180)))
    return found


@pytest.fixture
def run_main(run_main, monkeypatch, tmp_path, frames):
    """Runs the command line in a folder with cat.png, photos/ and a small checkpoint."""
    monkeypatch.chdir(tmp_path)
    cat, cup = frames
    cat.save("cat.png")
    for name, picture in (("埃及猫/猫1.jpg", cat), ("espresso/cup.png", cup)):
        path = Path("photos", name)
        path.parent.mkdir(parents=True)
        picture.save(path)
    small_checkpoint(tmp_path, ("猫", "咖啡杯"))
    return run_main


@pytest.fixture
def refused(run_main, tmp_path):
    """Runs an `explain` that must fail with `code`, say one sentence and write nothing."""

    def run(code, *arguments):
        before = contents(tmp_path)
        got, out, err = run_main("explain", *arguments)
        lines = [line for line in err.splitlines() if " on cpu (" not in line]
        assert got == code, err
        assert out == "" and len(lines) == 1 and lines[0].startswith("vidcam: "), err
        assert "Traceback" not in err and "error inside vidcam" not in err
        assert contents(tmp_path) == before
        return lines[0]

    return run


def contents(folder):
    facts = {path: path.lstat() for path in folder.rglob("*")}
    return {path: (fact.st_size, fact.st_mtime_ns) for path, fact in facts.items()}


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def pixels(path):
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def test_a_grid_of_methods_and_classes_with_its_maps(run_main):
    code, out, err = run_main(
        "explain", "cat.png", "-o", "why", "--cam", "gradcam", "--cam", "guided",
        "--class", "top1", "--class", "エスプレッソ", "--save-map", "--lang", "zh",
    )  # fmt: skip
    assert code == 0, err
    assert names("why") == [
        "cat-explained.png", "cat-gradcam-top1.npy", "cat-gradcam-エスプレッソ.npy",
        "cat-guided-top1.npy", "cat-guided-エスプレッソ.npy",
    ]  # fmt: skip
    lines = out.splitlines()
    assert lines[0] == "cat.png" and len(lines) == 3
    assert "猫" in lines[1] and " cat" in lines[1] and "evidence" not in lines[1]
    assert "浓缩咖啡  espresso  no positive evidence" in lines[2]
    height, width = pixels("why/cat-explained.png").shape[:2]
    assert width > 3 * 132 and height > 2 * 100
    for name in names("why")[1:]:
        heat = np.load(Path("why", name))
        assert heat.shape == (180, 320) and heat.dtype == np.float32
        assert heat.min() == 0 and heat.max() <= 1
    assert not np.load("why/cat-gradcam-エスプレッソ.npy").any()
    assert np.load("why/cat-gradcam-top1.npy").max() > 0.9


def test_a_folder_measured_with_one_broken_picture(run_main):
    Path("photos/broken.png").write_bytes(Path("cat.png").read_bytes()[:2000])
    code, out, err = run_main(
        "explain", "photos", "-o", "why", "--model", "small.pt", "--faithfulness", "--panels",
        "--cam", "eigencam", "--cam", "gradcam", "--layer", "features.9",
    )  # fmt: skip
    assert code == 1
    assert "photos/broken.png: damaged or cut off" in err and "1 of 3 pictures failed" in err
    assert names("why") == [
        "cup-faithfulness.png", "cup-panels.png", "faithfulness.csv", "faithfulness.png",
        "猫1-faithfulness.png", "猫1-panels.png",
    ]  # fmt: skip
    data = Path("why/faithfulness.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    assert {row["method"] for row in rows} == {"eigencam", "gradcam"}
    assert {row["file"] for row in rows} == {"photos/espresso/cup.png", "photos/埃及猫/猫1.jpg"}
    of_eigencam = [float(row["drop"]) for row in rows if row["method"] == "eigencam"]
    [mean] = [
        line for line in out.splitlines() if line.startswith("mean of 2: ") and "eigen" in line
    ]
    assert f"drop {np.mean(of_eigencam):+.3f}" in mean
    assert "ROAD" in mean and out.count("    removed") == len(rows)


def test_layers_one_by_one_and_averaged(run_main):
    common = ["--model", "small.pt", "--layer", "features.9", "--layer", "features", "--save-map"]
    methods = ["--cam", "gradcam", "--cam", "guided", "--cam", "refinecam"]
    assert run_main("explain", "cat.png", "-o", "a", *methods, *common)[0] == 0
    assert names("a") == [
        "cat-explained.png", "cat-gradcam-top1-features.9.npy", "cat-gradcam-top1-features.npy",
        "cat-guided-top1.npy", "cat-refinecam-top1.npy",
    ]  # fmt: skip
    assert run_main("explain", "cat.png", "-o", "b", "--aggregate", *common)[0] == 0
    assert names("b") == ["cat-explained.png", "cat-gradcam-top1.npy"]
    for folder, more in (("a", methods), ("b", ["--aggregate"])):
        for number, name in enumerate(names(folder)):  # each was known and checked before
            taken = Path(f"{folder}{number}")
            taken.mkdir()
            Path(folder, name).rename(taken / name)
            code, _, err = run_main("explain", "cat.png", "-o", taken, *more, *common)
            assert code == 2 and f"{name} exists already; -y replaces it" in err
            assert names(taken) == [name]


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (3, ["missing.png"], "missing.png: no such file"),
        (3, ["broken.png"], "broken.png: damaged or cut off"),
        (3, ["bomb.png"], "bomb.png: "),
        (3, ["text.png"], "is not a picture"),
        (3, ["empty"], "empty: holds no picture"),
        (2, ["https://host/cat.png"], "download it first"),
        (2, ["cat.png", "-o", "cat.png"], "cat.png: is no folder"),
        (2, ["cat.png", "-o", "no/why"], "folder no does not exist"),
        (5, ["cat.png", "-o", "/proc/self/why"], "/proc/self/why"),
        (2, ["cat.png", "--cam", "guided", "--model", "hard.pt"], "Hardswish"),
        (2, ["cat.png", "--cam", "refinecam"], "two or more layers"),
        (2, ["cat.png", "--cam", "finercam", "--aug-smooth"], "--aug-smooth"),
        (2, ["cat.png", "--cam", "gradcm"], "nearest: gradcam"),
        (2, ["cat.png", "--cam", "none"], "unknown method 'none'"),
        (2, ["cat.png", "--class", "top3"], "--class top3: only 2 classes compete"),
        (2, ["cat.png", "--class", "咖啡"], "nearest: 咖啡杯"),
        (2, ["cat.png", "--layer", "features.99"], "unknown layer 'features.99'; nearest:"),
        (2, ["cat.png", "--layer", "classifier"], "layer classifier cannot carry a map"),
        (2, ["cat.png", "--reshape", "2x5"], "no layer with a grid of 2x5"),
        (2, ["cat.png", "--reshape", "big"], "--reshape"),
        (2, ["cat.png", "--backend", "openvino"], "has no gradients"),
        (2, ["cat.png", "--precision", "bf16"], "f32"),
        (2, ["cat.png", "--alpha", "2"], "--alpha"),
        (2, ["cat.png", "--colormap", "jett"], "nearest: jet"),
        (2, ["cat.png", "--font", "missing.otf"], "font missing.otf"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(refused, tmp_path, code, arguments, says):
    import torch
    from torchvision import models

    Path("broken.png").write_bytes(Path("cat.png").read_bytes()[:2000])
    Path("bomb.png").write_bytes(drawn.png(50_000, 50_000, 8, 2, []))
    Path("text.png").write_text("no picture\n" * 99)
    Path("empty").mkdir()
    if "hard.pt" in arguments:
        net = models.mobilenet_v3_small(num_classes=2)
        payload = {"vidcam": 1, "arch": "mobilenet_v3_small", "labels": ["a", "b"], "size": 64}
        torch.save(payload | {"state_dict": net.state_dict()}, "hard.pt")
    output = [] if "-o" in arguments else ["-o", "why", "--faithfulness"]
    model = [] if "hard.pt" in arguments else ["--model", "small.pt"]
    assert says in refused(code, *arguments, *output, *model)


def test_names_that_are_taken_or_are_inputs(refused, run_main):
    Path("why").mkdir()
    Path("why/cat-explained.png").write_text("mine")
    assert "exists already; -y replaces it" in refused(2, "cat.png", "-o", "why")
    Path("why/cat-explained.png").unlink()
    Path("why/faithfulness.csv").write_text("mine")
    assert "exists already" in refused(2, "cat.png", "-o", "why", "--faithfulness")
    Path("cat-explained.png").write_bytes(Path("cat.png").read_bytes())
    pair = ["cat.png", "cat-explained.png", "-o", "."]
    assert "would overwrite an input" in refused(2, *pair)
    assert "would overwrite an input" in refused(2, *pair, "-y")
    Path("why/cat-explained.png").write_text("mine")
    code, _, err = run_main("explain", "cat.png", "-o", "why", "-y", "--model", "small.pt")
    assert code == 0, err
    assert pixels("why/cat-explained.png").size


def test_pictures_none_of_which_can_be_read(run_main):
    code, out, err = run_main("explain", "a.png", "b.png", "-o", "why", "--model", "small.pt")
    assert code == 3 and out == "" and not Path("why").exists()
    assert err.splitlines()[-1] == "vidcam: no picture could be read"


def test_a_full_disk_leaves_no_half_file(run_main):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        arguments = ["-o", "why", "--faithfulness", "--model", "small.pt"]
        code, _, err = run_main("explain", "cat.png", *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 5 and "why/cat-explained.png: file too large" in err
    assert names("why") == [] and "Traceback" not in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_folder(refused):
    Path("locked").mkdir(mode=0o555)
    sentence = refused(5, "cat.png", "-o", "locked/why", "--model", "small.pt")
    assert "permission denied" in sentence


def test_interrupted_in_the_middle_of_a_folder(run_main, frames):
    Path("many").mkdir()
    for number in range(40):
        frames[0].save(f"many/{number:02}.png")
    ended = threading.Event()

    def interrupt():
        while not ended.wait(0.01):
            if Path("why/01-faithfulness.png").exists():
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        code, _, err = run_main(
            "explain", "many", "-o", "why", "--model", "small.pt", "--faithfulness",
            "--cam", "eigencam",
        )  # fmt: skip
    finally:
        ended.set()
        thread.join()
    assert code == 130 and "Traceback" not in err
    assert "why/faithfulness.partial.csv keeps the records so far" in err
    assert err.splitlines()[-1] == "vidcam: interrupted"
    assert not Path("why/faithfulness.csv").exists() and not Path("why/39-explained.png").exists()
    rows = Path("why/faithfulness.partial.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) >= 3
    figures = [name for name in names("why") if name.endswith(".png")]
    assert not any("partial" in name for name in figures)
    assert all(pixels(Path("why", name)).size for name in figures)


def test_what_takes_long_says_so(run_main):
    arguments = ["-o", "why", "--model", "small.pt", "--cam", "sess"]
    code, _, err = run_main("explain", "cat.png", *arguments)
    assert code == 0 and "vidcam: sess: hundreds of passes for each map" in err.splitlines()


def test_quiet_says_nothing(run_main):
    found = run_main("explain", "cat.png", "-o", "why", "-q", "--model", "small.pt")
    assert found == (0, "", "")
