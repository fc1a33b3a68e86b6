"""`vidcam train` as it is called: files, words, exit codes, signals, kill -9."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from training.photos import photos

from vidcam.models.checkpoint import read_checkpoint
from vidcam.training.state import RunFolder

LOOP = ["--arch", "simplecnn", "--imgsz", "16", "--batch", "8", "--device", "cpu"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "set", train=10, val=6)
    return tmp_path


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_folder_becomes_a_model(run_main, here):
    code, out, err = run_main("train", "set", "-o", "run", "--imgsz", "64", "--fit", "crop")
    assert (code, out) == (0, "")
    assert "2 classes, 20 pictures to learn from, 12 to validate with (val/)" in err
    assert "efficientnet_lite0, learnt weights, its backbone frozen" in err
    assert "validation pictures right" in err and "→ run" in err
    assert names("run") == ["best.pt", "curves.png", "last.pt", "log.csv", "state.pt"]
    assert (
        Path("run/log.csv").read_bytes().startswith(b"\xef\xbb\xbfstage,size,fit,strength,cv_loss")
    )
    with Image.open("run/curves.png") as curves:
        assert curves.size[0] > 800
    code, out, _ = run_main(
        "image", "set/val/暖 warm/1.png", "--model", "run", "--backend", "torch"
    )
    assert code == 0 and out.splitlines()[1].endswith("暖 warm")
    before = Path("run/best.pt").read_bytes()
    code, _, err = run_main("train", "set", "-o", "run")
    assert code == 2 and "-y replaces a run" in err and Path("run/best.pt").read_bytes() == before


def test_a_loop_says_its_epochs_and_goes_on(run_main, here):
    code, out, err = run_main("train", "set", "-o", "run", *LOOP, "--epochs", "2")
    assert (code, out) == (0, "") and "epoch 2/2  loss" in err
    assert "train  RandomResizedCrop 16" in err and "eval   stretch to 16x16" in err
    code, _, err = run_main("train", "set", "-o", "run", "--resume", "--epochs", "3")
    assert code == 0 and "epoch 3/3" in err and "epoch 2/" not in err
    assert len(Path("run/log.csv").read_text("utf-8-sig").splitlines()) == 4
    code, out, err = run_main("train", "set", "-o", "run", *LOOP, "--epochs", "1", "-y", "-q")
    assert (code, out, err) == (0, "", "")
    assert len(Path("run/log.csv").read_text("utf-8-sig").splitlines()) == 2


def test_a_corrupt_picture_is_named_at_the_end(run_main, here):
    Path("set/train/冷 cold/3.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, _, err = run_main("train", "set", "-o", "run", *LOOP, "--epochs", "2")
    said = [line for line in err.splitlines() if "3.png" in line]
    assert code == 0 and len(said) == 1 and said[0].endswith("; skipped")
    assert "1 picture was skipped" in err


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["gone", "-o", "run"], 3, "gone: no such file or directory"),
    (["set/train/冷 cold", "-o", "run"], 3, "its pictures lie in no class folder"),
    (["set", "-o", "run", "--drop-class", "冷 cold"], 2, "two classes at least are needed"),
    (["set", "-o", "run", "--arch", "resnet1"], 2, "unknown architecture 'resnet1'; nearest:"),
    (["set", "-o", "run", "--freeze", "some"], 2, "write backbone, none or a number of layers"),
    (["set", "-o", "run", "--precision", "fp16"], 2, "loses small gradients"),
    (["set", "-o", "run", "--lr", "0"], 2, "--lr 0.0: must be from"),
    (["set", "-o", "run", "--resume", "-y"], 2, "leave one out"),
    (["set", "-o", "run", "--resume"], 2, "holds no run to go on with"),
    (["set", "-o", "no/run"], 2, "folder no does not exist"),
    (["set", "-o", "run", "--from", "gone.pt"], 2, "checkpoint gone.pt: no such file"),
    (["set", "-o", "run", "--device", "cuda:99"], 2, "--device cuda:99: torch sees"),
    (["set", "-o", "run", "--scratch", "--freeze", "backbone"], 2, "begins with random weights"),
])  # fmt: skip
def test_bad_input_is_one_sentence_and_leaves_nothing(run_main, here, arguments, code, said):
    ended, out, err = run_main("train", *arguments)
    lines = [line for line in err.splitlines() if " classes, " not in line]
    assert (ended, out) == (code, "") and said in err and len(lines) == 1
    assert names(here) == ["set"]


def test_a_set_with_copies_is_trained_on_with_a_warning(run_main, here):
    Path("set/val/暖 warm/x.png").write_bytes(Path("set/train/暖 warm/3.png").read_bytes())
    code, _, err = run_main("train", "set", "-o", "run", *LOOP, "--epochs", "1")
    said = [line for line in err.splitlines() if "warning" in line]
    assert code == 0 and len(said) == 1 and "leak: 1 picture" in said[0]


def started(*arguments):
    """A training in a process of its own, its stderr a pipe of lines."""
    command = [sys.executable, "-m", "vidcam", "train", *arguments]
    settings = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=settings)


def after(process, wanted):
    """Read what a process says until a line holds `wanted`."""
    for line in process.stderr:
        if wanted in line:
            return
    raise AssertionError(f"it never said {wanted!r}")


@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL),
])  # fmt: skip
def test_a_stopped_training_resumes_to_the_same_weights(run_main, here, number, code):
    options = [*LOOP, "--patience", "0", "--scheduler", "none"]
    with started("set", "-o", "cut", *options, "--epochs", "400") as process:
        after(process, "epoch 2/400")
        process.send_signal(number)
        err = process.stderr.read()
        assert process.wait(60) == code
    if code == 130:
        assert err.splitlines()[-1] == "vidcam: interrupted; --resume goes on with it: cut"
    done = RunFolder(Path("cut")).read_state()["epoch"]
    assert 1 <= done < 400 and read_checkpoint(Path("cut")).labels == ("冷 cold", "暖 warm")
    epochs = ["--epochs", str(done + 2)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the process had
    try:
        assert run_main("train", "set", "-o", "cut", "--resume", *epochs)[0] == 0
        assert run_main("train", "set", "-o", "whole", *options, *epochs)[0] == 0
    finally:
        torch.set_num_threads(threads)
    cut, whole = (
        dict(read_checkpoint(Path(run, "last.pt")).state_dict) for run in ("cut", "whole")
    )
    torch.testing.assert_close(cut, whole, rtol=0, atol=0)
