"""`vidcam import` in this process: a notebook's weights classify at once; what is refused."""

import resource
from pathlib import Path

import pytest
import torch
from torchvision import models

from vidcam.models import load_model
from vidcam.models.checkpoint import read_checkpoint
from vidcam.options import FileOptions


@pytest.fixture
def run_main(run_main, monkeypatch, tmp_path):
    """Runs the command line in a folder with w.pth of three classes."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.save(models.squeezenet1_1(num_classes=3).state_dict(), "w.pth")
    return run_main


@pytest.fixture
def refused(run_main, tmp_path):
    """Runs an `import` that must fail with `code`, say one sentence and change nothing."""

    def run(code, *arguments):
        before = contents(tmp_path)
        got, out, err = run_main("import", *arguments)
        assert got == code, err
        assert out == "" and err.startswith("vidcam: ") and err.count("\n") == 1, err
        assert "Traceback" not in err and "error inside vidcam" not in err
        assert contents(tmp_path) == before
        return err

    return run


def contents(folder):
    facts = {path: path.lstat() for path in folder.rglob("*")}
    return {path: (fact.st_size, fact.st_mtime_ns) for path, fact in facts.items()}


ARCH = ("--arch", "squeezenet1_1")
GOOD = ("w.pth", *ARCH, "--labels", "红,绿,蓝")


def test_weights_become_a_checkpoint_that_works_at_once(run_main, cat_clip):
    for name in ("绿", "红", "蓝"):
        Path("set", "train", name).mkdir(parents=True)
    code, out, err = run_main(
        "import", "w.pth", *ARCH, "--labels", "set", "-o", "ck.pt", "--imgsz", "96",
        "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5", "--fit", "stretch",
        "--layer", "features.11",
    )  # fmt: skip
    assert code == 0 and out == ""
    assert err == "vidcam: squeezenet1_1, 3 classes, 96 px → ck.pt\n"
    model = load_model(FileOptions(model="ck.pt"))
    assert model.labels.shown == ("红", "绿", "蓝")  # in the order of their code points
    assert (model.size, model.fit, model.layer, model.mean) == (
        96, "stretch", "features.11", (127.5,) * 3,
    )  # fmt: skip
    code, out, err = run_main(
        "file", cat_clip, "--model", "ck.pt", "--jsonl", "-", "--max-frames", "2", "--backend",
        "torch",
    )  # fmt: skip
    assert code == 0, err
    assert len(out.splitlines()) == 2 and "绿" in out


def test_an_existing_checkpoint_is_replaced_only_with_y(run_main, refused):
    assert run_main("import", *GOOD, "-o", "ck.pt", "-q")[::2] == (0, "")
    assert "ck.pt exists already; -y replaces it" in refused(2, *GOOD, "-o", "ck.pt")
    code, _, err = run_main("import", *GOOD, "-o", "ck.pt", "-y", "--fit", "pad")
    assert code == 0 and "224 px" in err
    assert read_checkpoint(Path("ck.pt")).preset.fit == "pad"


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (2, (*GOOD,), "-o"),
        (2, ("none.pth", *GOOD[1:], "-o", "ck.pt"), "none.pth: no such file"),
        (2, ("w.pth", "--labels", "a,b", "-o", "ck.pt"), "--arch is missing"),
        (2, ("w.pth", *ARCH, "-o", "ck.pt"), "--labels is missing"),
        (2, ("w.pth", *ARCH, "--labels", "a,b", "-o", "ck.pt"), "3 classes, --labels names 2"),
        (2, (*GOOD, "-o", "no/ck.pt"), "folder no does not exist"),
        (2, (*GOOD, "-o", "w.pth", "-y"), "would overwrite the weights"),
        (2, (*GOOD, "-o", "ck.pt", "--layer", "featres.3"), "unknown layer"),
        (2, (*GOOD, "-o", "ck.pt", "--layer", "classifier.1"), "cannot carry a map"),
        (2, (*GOOD, "-o", "ck.pt", "--fit", "corp"), "nearest: crop"),
        (2, (*GOOD, "-o", "ck.pt", "--mean", "1,2"), "three numbers"),
        (2, (*GOOD, "-o", "ck.pt", "--imgsz", "2"), "from 8"),
        (2, (*GOOD, "-o", "ck.pt", "--imgsz", "9"), "cannot take pictures of 9 px"),
        (2, ("w.pth", "--arch", "resnet18", "--labels", "a,b,c", "-o", "ck.pt"), "squeezenet1_1"),
        (2, ("w.pth", "--arch", "squeezenet", "--labels", "a,b", "-o", "ck.pt"), "nearest: sq"),
        (2, ("model.pth", *GOOD[1:], "-o", "ck.pt"), "model-state.pth"),
        (2, ("text.pth", *GOOD[1:], "-o", "ck.pt"), "damaged or no checkpoint"),
        (2, ("folder", *GOOD[1:], "-o", "ck.pt"), "folder: no such file"),
        (5, (*GOOD, "-o", "/proc/self/ck.pt"), "/proc/self/ck.pt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_sentence(refused, code, arguments, says):
    Path("folder").mkdir()
    Path("text.pth").write_text("hello")
    torch.save(models.squeezenet1_1(num_classes=3), "model.pth")
    assert says in refused(code, *arguments)


def test_a_full_disk_leaves_the_old_checkpoint(run_main, refused):
    Path("ck.pt").write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        message = refused(5, *GOOD, "-o", "ck.pt", "-y")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "ck.pt: file too large; the one from before is kept" in message
