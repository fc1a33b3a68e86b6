"""The measuring: what the figures mean, and that the stages do what the run does."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkpoints import small_checkpoint
from clips import decode, make_clip

from vidcam import yuv
from vidcam.bench import measure as measuring
from vidcam.bench import stages
from vidcam.bench.measure import Measurement, Round, measure, suffix_for
from vidcam.bench.stages import STAGES, Clock, Cost
from vidcam.errors import OutputError, SourceError
from vidcam.options import BenchOptions, EncodeOptions
from vidcam.session import session_of
from vidcam.sinks import Sink
from vidcam.sources import open_source

FRAMES = 12
BATCH = 8
WORK_S = 0.05


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """320x180, 12 frames, with sound."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return str(make_clip(path, frames=FRAMES, size=(320, 180), sound=["aac"]))


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Those of a small network with fixed random weights, whose numbers repeat."""
    path = small_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    return BenchOptions(model=str(path), backend="torch", precision="f32", repeats=2)


@pytest.fixture(scope="module")
def session(options):
    return session_of(options)


def costs(decode=2.0, network=4.0, encode=10.0, **others):
    """A cost of each stage, its wall time half of its CPU time."""
    given = {"prepare": 0.5, "cam": 0.25, "draw": 1.0, "check": 0.25} | others
    given |= {"decode": decode, "network": network, "encode": encode}
    return {name: Cost(given[name], given[name] / 2) for name in STAGES}


def measured(*rounds, cores=2, device="cpu"):
    return Measurement(FRAMES, cores, device, 1, rounds)


def test_the_limit_is_the_cpu_time_of_what_cannot_be_left_out_over_the_cores():
    one = measured(Round(Cost(19.0, 10.0), costs()))
    assert one.limit_ms == one.cpu_limit_ms == (2 + 4 + 10) / 2
    assert one.efficiency == 8 / 10
    assert one.busy == 19 / 20
    assert one.stages_cpu_ms == 18 and one.share("encode") == 10 / 18
    assert sum(one.share(name) for name in STAGES) == pytest.approx(1)
    assert measured(Round(Cost(19.0, 10.0), costs()), cores=4).limit_ms == 4


def test_the_figures_are_medians_of_the_rounds():
    pairs = [(10.0, 4.0), (30.0, 5.0), (11.0, 90.0)]
    rounds = [Round(Cost(19.0, wall), costs(network=network)) for wall, network in pairs]
    one = measured(*rounds)
    assert one.run == Cost(19.0, 11.0) and one.stage("network") == Cost(5.0, 2.5)
    assert one.efficiency == pytest.approx((2 + 5 + 10) / 2 / 11)


def test_a_device_that_takes_longer_than_the_cores_is_the_limit():
    stage = costs() | {"network": Cost(0.1, 9.0)}
    run = Cost(10.0, 10.0)
    assert measured(Round(run, stage), cores=16, device="cuda").limit_ms == 9
    assert measured(Round(run, stage), cores=1, device="cuda").limit_ms == pytest.approx(12.1)
    assert measured(Round(run, stage), cores=16).limit_ms == pytest.approx(12.1 / 16)


def test_a_clock_counts_the_cpu_time_of_every_thread():
    def work():
        while time.thread_time() < WORK_S:
            pass

    busy, idle = Clock(), Clock()
    with busy.running():
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with idle.running():
        pass
    assert busy.cpu_s >= 2 * WORK_S > idle.cpu_s and busy.wall_s >= WORK_S
    assert busy.cost(10).cpu_ms == pytest.approx(100 * busy.cpu_s)
    assert busy.cost(10).wall_ms == pytest.approx(100 * busy.wall_s)
    assert busy.beyond(idle).cpu_s == busy.cpu_s - idle.cpu_s
    assert idle.beyond(busy).cost(1) == Cost(0, 0)


def test_a_clock_waits_for_a_device_at_both_ends(monkeypatch):
    import torch

    waits = []
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    with Clock("cuda:1").running():
        assert waits == ["cuda:1"]
    assert waits == ["cuda:1"] * 2
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append("mps"))
    with Clock("mps").running():
        assert waits[2:] == ["mps"]
    assert waits[2:] == ["mps"] * 2


def test_everything_is_measured(session, clip, options, tmp_path):
    said, pipelines = [], []
    one = measure(session, clip, options, tmp_path, began=said.append, started=pipelines.append)
    assert (one.frames, len(one.rounds), one.device) == (FRAMES, 2, "cpu")
    assert one.cores == len(os.sched_getaffinity(0))
    assert len(pipelines) == 2 and [text.split(":")[0] for text in said] == [
        "round 1 of 2", "round 1 of 2", "round 2 of 2", "round 2 of 2",
    ]  # fmt: skip
    for each in one.rounds:
        assert tuple(each.stages) == STAGES
        for name, cost in [*each.stages.items(), ("run", each.run)]:
            least = 0 if name == "cam" else 1e-6
            assert cost.cpu_ms >= least and cost.wall_ms >= least, name
    assert one.efficiency > 0 and one.busy > 0
    assert one.peak_memory_bytes > 50e6
    assert 0 <= one.others <= 1.5  # the system counts in ticks of 10 ms
    # What was written is whole, in both ways.
    for path in tmp_path.iterdir():
        assert len(decode(path)) == FRAMES, path


def test_the_peak_is_what_the_system_says():
    status = Path("/proc/self/status").read_text().split()
    assert measuring.peak_memory_bytes() >= 1024 * int(status[status.index("VmHWM:") + 1]) * 0.99


def test_the_cores_are_those_that_the_process_may_use():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert measuring.cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_what_has_used_the_cores_counts_this_process():
    before_s = measuring.cores_used_s()
    until_s = time.thread_time() + 5 * WORK_S
    while time.thread_time() < until_s:
        pass
    assert measuring.cores_used_s() - before_s >= 4 * WORK_S


def test_other_programs_are_the_median_of_the_rounds_that_tell():
    rounds = [Round(Cost(1, 1), costs(), others) for others in (0.1, None, 0.3, 0.2)]
    assert measured(*rounds).others == 0.2
    assert measured(*rounds[1:2]).others is None


class Pictures(Sink):
    """Keeps copies of what it is given."""

    def __init__(self):
        self.given = []

    def open(self, info):
        pass

    def frame(self, picture, result):
        self.given.append((yuv.copy(picture), result.prediction))

    def audio(self, packet):
        pass

    def close(self, error=None):
        pass


@pytest.mark.parametrize(
    "changed",
    [{}, {"stride": 3, "cam_every": 2}, {"cam": "none"}, {"layout": "side-by-side", "topk": 0}],
)
def test_the_stages_make_the_pictures_of_the_run(options, clip, changed):
    options = replace(options, **changed)
    session, sink = session_of(options), Pictures()
    session.run(open_source(clip, options), [sink])
    held = stages.hold(session, clip, options)
    stages.prepare(held)
    seen, _, cam = stages.network(session, options, held)
    drawn, _ = stages.draw(options, held, seen)
    assert len(sink.given) == len(drawn) == FRAMES
    assert (cam == Cost(0, 0)) or options.cam != "none"
    for (picture, prediction), (ours, result) in zip(sink.given, drawn, strict=True):
        own = result.prediction
        assert [s.index for s in own.shown] == [s.index for s in prediction.shown]
        assert (own.cam_fresh, own.crop) == (prediction.cam_fresh, prediction.crop)
        for a, b in zip(yuv.planes(picture), yuv.planes(ours), strict=True):
            assert np.abs(a.astype(int) - b).max() <= 2


def test_only_whole_batches_are_measured(session, clip, options):
    held = stages.hold(session, clip, options)
    stages.prepare(held)
    assert len(held.frames) == len(held.crops) == FRAMES
    assert held.pixels.shape == (2 * BATCH, 64, 64, 3)
    assert (held.pixels[FRAMES:] == held.pixels[: 2 * BATCH - FRAMES]).all()


def test_long_clips_and_large_pictures_are_held_in_part(session, clip, options, monkeypatch):
    monkeypatch.setattr(stages, "HELD_BYTES", 10 * (320 * 180 * 3 // 2 + 64 * 64 * 3))
    assert len(stages.hold(session, clip, options).frames) == 10
    monkeypatch.setattr(stages, "HELD_BYTES", 1)
    assert len(stages.hold(session, clip, options).frames) == stages.FEWEST_HELD


def test_the_map_is_counted_for_the_batches_that_are_explained(session, clip, options, monkeypatch):
    now_s = 0.0

    def classify(_session, batches, explain):
        nonlocal now_s
        now_s += len(batches) * (3 if explain else 1)
        return []

    held = stages.hold(session, clip, options)
    monkeypatch.setattr(stages, "classify", classify)
    monkeypatch.setattr(stages.time, "process_time", lambda: now_s)
    for every, share in ((1, 1), (BATCH, 1), (2 * BATCH, 0.5)):
        one = replace(options, cam_every=every)
        _, plain, added = stages.network(session, one, held)
        assert plain.cpu_ms == pytest.approx(1000 / BATCH)
        assert added.cpu_ms == pytest.approx(2000 / BATCH * share), every


def test_what_mp4_cannot_hold_goes_to_matroska():
    assert suffix_for(EncodeOptions()) == suffix_for(EncodeOptions(encoder="libvpx-vp9")) == ".mp4"
    assert suffix_for(EncodeOptions(encoder="libvpx")) == ".mkv"


def test_a_clip_that_is_not_there_leaves_nothing(session, options, tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        measure(session, "missing.mp4", options, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_encode_that_fails_leaves_nothing(session, clip, options, tmp_path, monkeypatch):
    def fail(*_):
        raise OutputError("full")

    monkeypatch.setattr(stages.VideoFileSink, "frame", fail)
    with pytest.raises(OutputError, match="full"):
        stages.stage_costs(session, clip, options, tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())
