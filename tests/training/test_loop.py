"""The loop learns, resumes to the bit, ends where it should, and keeps what it has."""

import csv
import math
import multiprocessing
import os
import pickle
import resource
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models
from training.photos import photos

from vidcam.errors import Interrupted, OutputError, SourceError, UsageError, VidcamError
from vidcam.models.checkpoint import read_checkpoint
from vidcam.prepare import Geometry
from vidcam.training.batches import Pictures, evaluation_keys, training_keys
from vidcam.training.cores import silent
from vidcam.training.dataset import find_dataset
from vidcam.training.loop import rate_factor
from vidcam.training.run import Place, Told, train
from vidcam.training.start import freeze
from vidcam.training.state import RunFolder
from vidcam.training.train_options import TrainOptions

SMALL = TrainOptions(
    arch="simplecnn", imgsz=16, epochs=4, batch=8, lr=0.002, device="cpu", augment="light",
    patience=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return str(photos(tmp_path_factory.mktemp("loop") / "set"))


def state_of(run):
    return RunFolder(run).read_state()


def assert_equal_runs(one, other):
    for key in ("net", "optimizer", "random", "best", "epoch"):
        torch.testing.assert_close(one[key], other[key], rtol=0, atol=0)
    without_time = [[{**row, "seconds": 0} for row in state["rows"]] for state in (one, other)]
    assert without_time[0] == without_time[1]


def interrupting(epoch, batch):
    """Told that interrupts a run at a batch, as a signal does."""
    held = []

    def at(now):
        if (now.epoch, now.batch) == (epoch, batch):
            held[0].stop(Interrupted("interrupted"))

    return Told(batch=at, watch=held.append)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_interrupted_and_resumed_equals_uninterrupted(pictures, tmp_path, optimizer):
    options = replace(SMALL, optimizer=optimizer)
    train(pictures, Place(tmp_path / "whole"), options)
    with pytest.raises(Interrupted):
        train(pictures, Place(tmp_path / "cut"), options, interrupting(3, 2))
    cut = state_of(tmp_path / "cut")
    assert cut["epoch"] == 2 and not cut["done"]
    torch.manual_seed(12345)  # another process has another random state
    train(pictures, Place(tmp_path / "cut", resume=True), TrainOptions())
    assert_equal_runs(state_of(tmp_path / "whole"), state_of(tmp_path / "cut"))
    weights = [read_checkpoint(tmp_path / name / "last.pt").state_dict for name in ("whole", "cut")]
    torch.testing.assert_close(*map(dict, weights), rtol=0, atol=0)


def test_processes_that_read_change_nothing_and_hear_no_signal(pictures, tmp_path):
    options = replace(SMALL, epochs=1)
    train(pictures, Place(tmp_path / "whole"), options)
    sent = []

    def at(now):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGINT)
            os.kill(child.pid, signal.SIGTERM)
            sent.append(child.pid)

    train(pictures, Place(tmp_path / "run"), replace(options, workers=1), Told(batch=at))
    assert len(set(sent)) == 1
    assert_equal_runs(state_of(tmp_path / "whole"), state_of(tmp_path / "run"))


def test_a_run_goes_on_without_what_it_began_with(pictures, tmp_path):
    train(pictures, Place(tmp_path / "base"), replace(SMALL, epochs=1))
    options = replace(
        SMALL, arch=None, imgsz=None, epochs=2, from_=str(tmp_path / "base"), freeze=1
    )
    train(pictures, Place(tmp_path / "whole"), options)
    with pytest.raises(Interrupted):
        train(pictures, Place(tmp_path / "cut"), options, interrupting(2, 1))
    (tmp_path / "base").rename(tmp_path / "elsewhere")
    halves = [tmp_path / "cut" / f"{name}.partial.pt" for name in ("best", "state")]
    for half in halves:  # as kill -9 leaves them
        half.write_bytes(b"half")
    train(pictures, Place(tmp_path / "cut", resume=True), TrainOptions())
    assert_equal_runs(state_of(tmp_path / "whole"), state_of(tmp_path / "cut"))
    assert not any(half.exists() for half in halves)


def test_an_interruption_before_the_first_epoch_resumes_too(pictures, tmp_path):
    options = replace(SMALL, epochs=1)
    train(pictures, Place(tmp_path / "whole"), options)
    with pytest.raises(Interrupted):
        train(pictures, Place(tmp_path / "cut"), options, interrupting(1, 1))
    train(pictures, Place(tmp_path / "cut", resume=True), TrainOptions())
    assert_equal_runs(state_of(tmp_path / "whole"), state_of(tmp_path / "cut"))


def test_a_finished_run_is_extended_with_the_longer_schedule(pictures, tmp_path):
    place = Place(tmp_path / "run")
    train(pictures, place, replace(SMALL, epochs=2))
    again = Place(tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match="finished after 2 epochs; --epochs with a larger number"):
        train(pictures, again, TrainOptions())
    ended = train(pictures, again, TrainOptions(epochs=4))
    rates = [row["lr"] for row in ended.rows]
    expected = [0.5 * (1 + math.cos(math.pi * e / n)) for e, n in ((0, 2), (1, 2), (2, 4), (3, 4))]
    assert rates == pytest.approx([0.002 * one for one in expected])
    with (tmp_path / "run" / "log.csv").open(encoding="utf-8-sig") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_schedules():
    step = TrainOptions(scheduler="step", step_size=2, gamma=0.5)
    assert [rate_factor(step, epoch) for epoch in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    assert rate_factor(TrainOptions(scheduler="none"), 29) == 1
    assert rate_factor(TrainOptions(epochs=10), 5) == pytest.approx(0.5)


@pytest.mark.parametrize(("arch", "more"), [
    ("simplecnn", {"dropout": 0.2}), ("cnn7", {}), ("cnn7", {"no_batchnorm": True, "lr": 0.0003}),
])  # fmt: skip
def test_the_notebooks_networks_learn(tmp_path, arch, more):
    folder = str(photos(tmp_path / "set", train=16, val=16))
    options = replace(SMALL, arch=arch, imgsz=16, epochs=8, augment="none", lr=0.001)
    ended = train(folder, Place(tmp_path / "run"), replace(options, **more))
    assert ended.metrics["val_top1"] >= 0.85
    checkpoint = read_checkpoint(tmp_path / "run")
    assert checkpoint.labels == ("冷 cold", "暖 warm") and checkpoint.preset.size == 16
    assert checkpoint.metrics["val_top1"] == ended.metrics["val_top1"]
    assert checkpoint.preset.layer and checkpoint.thresholds is not None
    assert checkpoint.settings == replace(options, **more).settings


def test_a_loss_that_is_no_number_keeps_the_best(pictures, tmp_path):
    place = Place(tmp_path / "run")
    train(pictures, place, replace(SMALL, epochs=1, optimizer="sgd", scheduler="none"))
    before = (tmp_path / "run" / "best.pt").read_bytes()
    state = state_of(tmp_path / "run")
    next(iter(state["net"].values())).fill_(math.nan)
    RunFolder(tmp_path / "run").save_state(state)
    with pytest.raises(VidcamError, match=r"loss is no number in epoch 2, batch 1; best\.pt is of"):
        train(pictures, Place(tmp_path / "run", resume=True), TrainOptions(epochs=2))
    assert (tmp_path / "run" / "best.pt").read_bytes() == before


def test_it_ends_early_without_a_better_epoch(pictures, tmp_path):
    options = replace(SMALL, epochs=50, patience=2, scheduler="step", step_size=1, gamma=0.0001)
    ended = train(pictures, Place(tmp_path / "run"), options)
    assert len(ended.rows) < 50
    assert len(ended.rows) - ended.metrics["epoch"] == 2 and state_of(tmp_path / "run")["done"]


def test_the_best_is_by_accuracy_then_loss(pictures, tmp_path):
    ended = train(pictures, Place(tmp_path / "run"), replace(SMALL, lr=0.005, epochs=6))
    best = max(ended.rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert read_checkpoint(tmp_path / "run" / "best.pt").metrics["epoch"] == best["epoch"]
    assert read_checkpoint(tmp_path / "run" / "last.pt").metrics["epoch"] == 6


def test_every_epoch_says_how_it_ended(tmp_path):
    folder = photos(tmp_path / "set", train=8, val=3)
    for path in (folder / "train").rglob("*.png"):
        if path.stem > "2":
            path.write_bytes(b"nothing")
    seen = []
    options = replace(SMALL, epochs=2, batch=3)
    train(str(folder), Place(tmp_path / "run"), options, Told(batch=seen.append))
    *before, last = (now for now in seen if now.epoch == 1 and now.validation is None)
    assert before and last.batch < last.batches  # whole batches were without a picture
    ends = [now for now in seen if now.validation is not None]
    assert [now.epoch for now in ends] == [1, 2] and all(0 <= now.validation <= 1 for now in ends)


def test_corrupt_pictures_are_skipped_and_named(tmp_path, caplog):
    folder = photos(tmp_path / "set", train=9, val=3)
    bad = [folder / "train" / "暖 warm" / "4.png", folder / "val" / "冷 cold" / "1.png"]
    for path in bad:
        path.write_bytes(path.read_bytes()[:300])
    ended = train(str(folder), Place(tmp_path / "run"), replace(SMALL, epochs=2))
    assert len(ended.unread) == 2 and ended.metrics["val_n"] == 5
    assert all(any(path.name in one for one in ended.unread) for path in bad)
    assert all(any(path.name in one for one in caplog.messages) for path in bad)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match="no batch held a training picture"):
        train(str(folder), Place(tmp_path / "other"), SMALL)


@contextmanager
def little_space(size_bytes):
    """No file may grow beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_what_is_there(pictures, tmp_path):
    train(pictures, Place(tmp_path / "run"), replace(SMALL, epochs=1))
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with little_space(200_000), pytest.raises(OutputError, match="the one from before is kept"):
        train(pictures, Place(tmp_path / "run", resume=True), TrainOptions(epochs=3))
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    ended = train(pictures, Place(tmp_path / "run", resume=True), TrainOptions(epochs=3))
    assert len(ended.rows) == 3


def test_what_is_frozen_stays(pictures, tmp_path):
    base = train(pictures, Place(tmp_path / "base"), replace(SMALL, epochs=1, arch="cnn7"))
    options = replace(SMALL, arch=None, imgsz=None, from_=str(base.folder.path), epochs=2, freeze=2)
    train(pictures, Place(tmp_path / "run"), options)
    before = read_checkpoint(tmp_path / "base").state_dict
    after = read_checkpoint(tmp_path / "run" / "last.pt").state_dict
    changed = {
        name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])
    }
    assert changed == {"conv3", "bn3", "conv4", "bn4", "fc1", "fc2", "fc3"}


def test_freezing_counts_convolutions_and_linear_layers():
    net = models.resnet18(num_classes=2)
    held = freeze(net, 1)
    assert held == [net.conv1, net.bn1]
    assert not net.conv1.weight.requires_grad and net.layer1[0].conv1.weight.requires_grad
    freeze(net, "backbone")
    assert [name for name, one in net.named_parameters() if one.requires_grad] == [
        "fc.weight",
        "fc.bias",
    ]
    with pytest.raises(UsageError, match="of 21 layers at least one must learn"):
        freeze(models.resnet18(num_classes=2), 21)
    assert freeze(nn.Sequential(nn.Linear(2, 2)), "none") == []


def test_orders_and_balance():
    labels = [0] * 30 + [1] * 3
    keys = training_keys(labels, 8, epoch=1, seed=5, balance=False)
    assert sorted(n for _, numbers in keys for n in numbers) == sorted(
        {n for _, ns in keys for n in ns}
    )
    assert [len(numbers) for _, numbers in keys] == [8, 8, 8, 8]  # the last one alone is left out
    assert keys == training_keys(labels, 8, 1, 5, False) != training_keys(labels, 8, 2, 5, False)
    drawn = [n for e in range(20) for _, ns in training_keys(labels, 8, e, 0, True) for n in ns]
    assert np.mean([labels[n] for n in drawn]) == pytest.approx(0.5, abs=0.08)
    assert evaluation_keys(5, 2) == [(-1, (0, 1)), (-1, (2, 3)), (-1, (4,))]


def test_another_process_reads_the_same_batches(pictures):
    samples = find_dataset(pictures).samples
    own = Pictures(samples, (), Geometry(16, "crop", 0.9), "standard", 0)
    for key in training_keys([s.label for s in samples], 8, 0, 0, False)[:2]:
        batch, sent = own[key], pickle.loads(pickle.dumps(own))  # as to a worker
        assert np.array_equal(sent[key].pixels, batch.pixels)
        assert np.array_equal(sent[key].labels, batch.labels)
        sent.close()
    own.close()


def test_a_folder_is_a_model(pictures, tmp_path):
    ended = train(pictures, Place(tmp_path / "run"), SMALL)
    assert sorted(path.name for path in Path(ended.folder.path).iterdir()) == [
        "best.pt", "last.pt", "log.csv", "state.pt",
    ]  # fmt: skip


def test_the_best_network_knows_what_it_has_learnt_from(pictures, tmp_path):
    train(pictures, Place(tmp_path / "run"), SMALL)
    folder = RunFolder(tmp_path / "run")
    best, last = read_checkpoint(folder.best), read_checkpoint(folder.last)
    assert best.neighbours.features.shape == (24, 512) and -1 <= best.neighbours.least <= 1
    assert last.neighbours is None and len(last.thresholds) == len(best.thresholds) == 2


def test_an_interruption_after_the_last_epoch_is_gone_on_with(pictures, tmp_path):
    place, held = Place(tmp_path / "run"), []

    def stopped(what):
        if what == "what it has learnt":
            held[0].stop(Interrupted("interrupted"))
        return silent

    with pytest.raises(Interrupted):
        train(pictures, place, SMALL, Told(progress=stopped, watch=held.append))
    assert read_checkpoint(place.folder / "best.pt").neighbours is None
    again = train(pictures, replace(place, resume=True), SMALL)
    assert read_checkpoint(place.folder / "best.pt").neighbours is not None
    assert len(again.rows) == SMALL.epochs
    with pytest.raises(UsageError, match="is finished after 4 epochs"):
        train(pictures, replace(place, resume=True), SMALL)
