"""Checkpoints are there whole or not at all: kill -9, a full disk, an interruption."""

import dataclasses
import resource
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from vidcam import __version__
from vidcam.errors import OutputError, UnknownName, UsageError
from vidcam.models import load_model
from vidcam.models.architectures import create
from vidcam.models.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from vidcam.models.heads import with_new_head
from vidcam.models.saving import save_whole
from vidcam.neighbours import Neighbours
from vidcam.options import FileOptions

LABELS = ("猫", "いぬ", "고양이", "bee")

# Saves as fast as it can in one process after the other, each killed in the middle of it.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from vidcam.models.architectures import Preset
from vidcam.models.checkpoint import Checkpoint, read_checkpoint, save_checkpoint

path, part = Path(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
kills = halves = 0
number = 1.0

def save(number):
    state = {"w": torch.full((400_000,), number), "v": torch.full((9,), number)}
    save_checkpoint(path, Checkpoint("resnet18", ("a",), state, Preset(), metrics={"n": number}))

save(number)
while kills < 12 or not halves:
    assert kills < 500, "no save was ever hit"
    child = os.fork()
    if not child:
        while True:
            number += 1
            save(number)
    time.sleep(random.Random(kills).uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills += 1
    halves += part.exists()
    found = read_checkpoint(path)
    number = found.metrics["n"]
    assert bool((found.state_dict["w"] == number).all() and (found.state_dict["v"] == number).all())
print(kills, halves, number)
"""


@pytest.fixture
def checkpoint():
    torch.manual_seed(0)
    net, preset = create("cnn7", 4, 32, {"dropout": 0.25})
    return Checkpoint(
        "cnn7", LABELS, net.state_dict(), dataclasses.replace(preset, fit="pad", layer="conv3"),
        {"dropout": 0.25}, 1.7, (0.1, 0.2, 0.0, 1.0), {"top1": 0.93, "epoch": 7},
    )  # fmt: skip


@pytest.fixture
def full_disk():
    """Files cannot grow beyond so many bytes, which fails in `write` as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextmanager
    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            yield
        finally:  # before pytest writes its next dot, which may be to a file too
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return limit


def test_all_that_is_saved_comes_back(checkpoint, tmp_path):
    path = tmp_path / "ck.pt"
    save_checkpoint(path, checkpoint)
    assert [file.name for file in tmp_path.iterdir()] == ["ck.pt"]
    found = read_checkpoint(path)
    for name in ("arch", "labels", "preset", "settings", "temperature", "thresholds", "metrics"):
        assert getattr(found, name) == getattr(checkpoint, name), name
    assert found.versions == {"vidcam": __version__, "torch": torch.__version__.split("+")[0]}
    assert found.path == path
    for name, tensor in checkpoint.state_dict.items():
        assert torch.equal(found.state_dict[name], tensor)
    model = load_model(FileOptions(model=str(path)))
    assert (model.temperature, model.thresholds) == (1.7, (0.1, 0.2, 0.0, 1.0))
    assert (model.size, model.fit, model.layer, model.labels.shown) == (32, "pad", "conv3", LABELS)
    assert [m.p for m in model.net if isinstance(m, torch.nn.Dropout)] == [0.25, 0.25]
    assert found.neighbours is None and model.neighbours is None


def test_neighbours_come_back(checkpoint, tmp_path):
    path = tmp_path / "ck.pt"
    neighbours = Neighbours(np.eye(3, 256, dtype=np.float16), 0.25)
    save_checkpoint(path, dataclasses.replace(checkpoint, neighbours=neighbours))
    for found in (
        read_checkpoint(path).neighbours,
        load_model(FileOptions(model=str(path))).neighbours,
    ):
        assert np.array_equal(found.features, neighbours.features) and found.least == 0.25


def test_a_model_without_unknown_has_neither_temperature_nor_thresholds(builtin):
    assert builtin.temperature is None and builtin.thresholds is None


def test_a_checkpoint_read_and_changed_is_saved_over_itself(checkpoint, tmp_path):
    """Its weights are mapped from the file that is replaced."""
    path = tmp_path / "ck.pt"
    save_checkpoint(path, checkpoint)
    found = read_checkpoint(path)
    save_checkpoint(path, dataclasses.replace(found, temperature=2.5))
    again = read_checkpoint(path)
    assert again.temperature == 2.5
    assert torch.equal(again.state_dict["fc1.weight"], checkpoint.state_dict["fc1.weight"])


def test_numbers_of_numpy_and_torch_and_parts_of_tensors_are_stored_plainly(checkpoint, tmp_path):
    whole = torch.zeros(1_000_000)
    state = {"part": whole[:5], "grad": torch.ones(2, requires_grad=True)}
    path = tmp_path / "ck.pt"
    save_checkpoint(
        path,
        dataclasses.replace(
            checkpoint, state_dict=state, metrics={"top1": np.float64(0.5), "n": torch.tensor(3)},
            thresholds=tuple(np.full(4, 0.5, np.float32)), temperature=np.float32(2),
            labels=tuple(np.array(LABELS)),
        ),
    )  # fmt: skip
    found = read_checkpoint(path)
    assert found.metrics == {"top1": 0.5, "n": 3} and found.thresholds == (0.5,) * 4
    assert found.labels == LABELS and type(found.labels[0]) is str
    assert path.stat().st_size < 10_000
    assert not found.state_dict["grad"].requires_grad


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; it must be a number above 0"),
        ({"temperature": float("nan")}, "temperature"),
        ({"thresholds": (0.1, 0.2, 0.3, 1.5)}, "thresholds"),
        ({"thresholds": (0.1, 0.2)}, "2 thresholds for 4 classes"),
        ({"metrics": {"top1": "good"}}, "metrics"),
        ({"labels": ()}, "labels"),
    ],
)
def test_what_makes_no_sense_is_neither_saved_nor_read(checkpoint, tmp_path, change, says):
    path = tmp_path / "ck.pt"
    with pytest.raises(UsageError, match=says):
        save_checkpoint(path, dataclasses.replace(checkpoint, **change))
    assert not list(tmp_path.iterdir())
    save_checkpoint(path, checkpoint)
    payload = torch.load(path, weights_only=True)
    torch.save(payload | change, path)
    with pytest.raises(UsageError, match=says):
        read_checkpoint(path)


def test_a_wrong_fit_or_setting_is_refused(checkpoint, tmp_path):
    preset = dataclasses.replace(checkpoint.preset, fit="corp")
    with pytest.raises(UnknownName, match="crop"):
        save_checkpoint(tmp_path / "ck.pt", dataclasses.replace(checkpoint, preset=preset))
    wrong = dataclasses.replace(checkpoint, settings={"droput": 0.5})
    with pytest.raises(UnknownName, match="dropout"):
        wrong.network()


def test_kill_9_during_a_save_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, tmp_path / "last.partial.pt"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kills, halves, number = map(float, done.stdout.split())
    assert kills >= 12 and halves >= 1 and number > 1


def test_a_full_disk_keeps_the_checkpoint_from_before(checkpoint, tmp_path, full_disk):
    path = tmp_path / "best.pt"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()
    for size in (1, 5000, len(before) // 2, len(before) - 1):
        with (
            full_disk(size),
            pytest.raises(OutputError, match=r"best.pt: .*the one from before is kept") as caught,
        ):
            save_checkpoint(path, checkpoint)
        assert caught.value.exit_code == 5
        assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]
        assert path.read_bytes() == before
    path.unlink()
    with full_disk(5000), pytest.raises(OutputError) as caught:
        save_checkpoint(path, checkpoint)
    assert "before" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_an_output_error(checkpoint, tmp_path):
    with pytest.raises(OutputError, match="no such file or directory"):
        save_checkpoint(tmp_path / "gone" / "ck.pt", checkpoint)


def test_an_interruption_leaves_nothing_half_written(tmp_path):
    class Interrupts:
        def __reduce__(self):
            raise KeyboardInterrupt

    path = tmp_path / "ck.pt"
    save_whole(path, {"a": 1})
    with pytest.raises(KeyboardInterrupt):
        save_whole(path, {"a": torch.ones(3), "b": Interrupts()})
    assert [file.name for file in tmp_path.iterdir()] == ["ck.pt"]
    assert torch.load(path, weights_only=True) == {"a": 1}


def test_changed_bytes_in_the_weights_are_noticed(checkpoint, tmp_path):
    """torch itself would load them."""
    path = tmp_path / "ck.pt"
    save_checkpoint(path, checkpoint)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)
    with pytest.raises(UsageError, match="damaged"):
        read_checkpoint(path)


def test_a_run_folder_is_a_model(checkpoint, tmp_path, caplog):
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(UsageError, match=r"run holds no checkpoint: neither best.pt nor last.pt"):
        load_model(FileOptions(model=str(run)))
    save_checkpoint(run / "last.pt", dataclasses.replace(checkpoint, temperature=3.0))
    model = load_model(FileOptions(model=str(run)))
    assert (model.name, model.temperature) == ("run/last.pt", 3.0)
    assert [r.getMessage() for r in caplog.records] == [f"{run} holds no best.pt; last.pt is used"]
    caplog.clear()
    save_checkpoint(run / "best.pt", checkpoint)
    model = load_model(FileOptions(model=str(run)))
    assert (model.name, model.temperature) == ("run/best.pt", 1.7) and not caplog.records
    (run / "best.pt").write_bytes(b"half")
    with pytest.raises(UsageError, match=r"run/best.pt cannot be read"):
        load_model(FileOptions(model=str(run)))


def test_a_checkpoint_goes_on_with_other_classes(checkpoint, tmp_path):
    """From 4 classes to 6: saved again it is a checkpoint like any other."""
    save_checkpoint(tmp_path / "four.pt", checkpoint)
    before = read_checkpoint(tmp_path / "four.pt")
    net = with_new_head(before.network(), 6)
    after = dataclasses.replace(
        before, labels=tuple("abcdef"), state_dict=net.state_dict(), thresholds=None
    )
    save_checkpoint(tmp_path / "six.pt", after)
    model = load_model(FileOptions(model=str(tmp_path / "six.pt")))
    assert len(model.labels) == 6 and model.thresholds is None
    assert torch.equal(model.net.conv4.weight, checkpoint.state_dict["conv4.weight"])
    assert model.net.fc3.weight.shape == (6, 256)
