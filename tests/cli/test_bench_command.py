"""`vidcam bench`: every figure and how they fit together, the table, and what is refused."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from checkpoints import small_checkpoint
from clips import make_clip

from vidcam.bench.stages import STAGES
from vidcam.options import BenchOptions
from vidcam.sinks.file import VideoFileSink

DEADLINE_S = 120
FRAMES = 10


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small network with fixed random weights."""
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"), ("红", "绿", "蓝"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """160x96, 10 frames, its sound in a form that mp4 does not keep."""
    path = tmp_path_factory.mktemp("clip") / "clip.mov"
    return make_clip(path, frames=FRAMES, sound=["pcm_alaw"])


@pytest.fixture
def bench(run_main, monkeypatch, tmp_path, checkpoint):
    """Runs `vidcam bench` with the small network; checks that no file is left behind.

    Gives (exit code, stdout, stderr).
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        network = [] if "--model" in arguments else ["--model", checkpoint, "--backend", "torch"]
        before = sorted(tmp_path.iterdir())
        result = run_main("bench", *arguments, *network)
        assert sorted(tmp_path.iterdir()) == before
        return result

    return run


@pytest.fixture
def report(bench):
    """Runs `vidcam bench … --json -q`; gives the object."""

    def run(*arguments):
        code, out, err = bench(*arguments, "--json", "-q")
        assert (code, err, out.count("\n")) == (0, "", 1)
        return json.loads(out)

    return run


def test_the_object_has_every_figure_and_they_fit_together(report, clip):
    found = report(clip, "--repeats", 2, "--cam", "layercam")
    assert found["clip"] == {
        "name": "clip.mov", "made": False, "frames": FRAMES, "width": 160, "height": 96,
    }  # fmt: skip
    assert found["options"]["cam"] == "layercam" and "crf" not in found["options"]
    engine, machine = found["engine"], found["machine"]
    assert (engine["name"], engine["device"], engine["batch"]) == ("torch", "cpu", 8)
    assert "layercam" in engine["summary"] and engine["layer"]
    assert machine["cores"] == len(os.sched_getaffinity(0)) and machine["cpu"]
    assert {"torch", "av", "numpy"} <= set(found["versions"])
    assert tuple(found["stages"]) == STAGES and len(found["samples"]) == 2
    for name, stage in found["stages"].items():
        samples = [one["stages"][name] for one in found["samples"]]
        for part in ("cpu_ms", "wall_ms"):
            middle = sum(one[part] for one in samples) / 2
            assert stage[part] == pytest.approx(middle, abs=0.002)
            assert stage[part] > 0 or name == "cam"
    cpu_ms = {name: stage["cpu_ms"] for name, stage in found["stages"].items()}
    assert found["stages_cpu_ms"] == pytest.approx(sum(cpu_ms.values()), abs=0.01)
    assert sum(stage["share"] for stage in found["stages"].values()) == pytest.approx(1, abs=0.01)
    run, limit = found["run"], found["limit"]
    least_ms = sum(cpu_ms[name] for name in ("decode", "network", "encode")) / machine["cores"]
    assert limit["ms"] == pytest.approx(least_ms, abs=0.01) and limit["of"] == "cores"
    assert run["fps"] == pytest.approx(1000 / run["wall_ms"], rel=0.01)
    assert limit["fps"] == pytest.approx(1000 / limit["ms"], rel=0.01)
    assert found["efficiency"] == pytest.approx(limit["ms"] / run["wall_ms"], abs=0.002)
    busy = run["cpu_ms"] / run["wall_ms"] / machine["cores"]
    assert found["busy"] == pytest.approx(busy, abs=0.002)
    assert found["others_busy"] >= 0
    assert found["startup_s"] > 0 and found["peak_memory_mb"] > 50
    assert found["advice"] and all(isinstance(text, str) for text in found["advice"])


def test_without_a_clip_one_is_made(report, monkeypatch):
    monkeypatch.setenv("VIDCAM_BENCH_REPEATS", "1")
    found = report("--size", "128x96", "--frames", 9, "--cam", "none")
    assert len(found["samples"]) == 1
    clip = found["clip"]
    assert (clip["made"], clip["frames"], clip["width"], clip["height"]) == (True, 9, 128, 96)
    assert found["stages"]["cam"] == {"cpu_ms": 0, "wall_ms": 0, "share": 0}


def test_so_many_frames_are_measured_and_all_options_of_file_apply(report, clip):
    options = ["--stride", 2, "--batch", 2, "--layout", "side-by-side", "--encoder", "libvpx",
               "--encoder-option", "deadline=realtime", "--roi", "0,0,0.5,1"]  # fmt: skip
    found = report(clip, "--max-frames", 5, "--repeats", 1, *options)
    assert found["clip"]["frames"] == 5 and found["engine"]["batch"] == 2
    assert found["options"] | {"stride": 2, "encoder": "libvpx"} == found["options"]


def test_the_table_for_people(bench, clip):
    code, out, err = bench(clip, "--repeats", 2)
    assert code == 0, err
    lines = out.splitlines()
    assert " on cpu (torch, " in lines[0]
    assert lines[1] == f"clip.mov: {FRAMES} frames of 160x96, medians of 2"
    start = lines.index("ms per frame       CPU    wall   share") + 1
    stages = [line.split()[0] for line in lines[start : start + len(STAGES)]]
    assert stages == [name.replace("cam", "CAM") for name in STAGES]
    for name in ("sum", "end to end", "limit", "efficiency", "CPU busy", "start-up",
                 "peak memory", "machine", "versions", "→ "):  # fmt: skip
        assert any(line.startswith(name) for line in lines), name


def test_progress_goes_to_stderr_and_is_said_once(bench, clip):
    _, out, err = bench(clip, "--repeats", 2, "--json")
    assert json.loads(out)
    said = err.splitlines()
    assert len(said) == len(set(said)) and all(line.startswith("vidcam: ") for line in said)
    assert [line for line in said if "AAC" in line]
    assert [line for line in said if line == "vidcam: round 2 of 2: the whole"]
    assert not logging.getLogger("vidcam").filters


@pytest.mark.parametrize(
    ("code", "arguments", "says"),
    [
        (3, ["missing.mp4"], "missing.mp4: no such file"),
        (3, ["text.mp4"], "text.mp4: is not a video"),
        (3, ["http://me:secret@127.0.0.1:1/clip.mp4"], "http://***@127.0.0.1:1/clip.mp4"),
        (2, ["--size", "1280"], "--size: '1280' is no size: write 1280x720"),
        (2, ["--size", "63x63"], "--size 63x63: even numbers from 64 to 8192"),
        (2, ["--size", "99998x99998"], "--size 99998x99998: even numbers from 64 to 8192"),
        (2, ["--frames", "0"], "--frames 0: must be from 1"),
        (2, ["--repeats", "0"], "--repeats 0: must be from 1"),
        (2, ["--cam", "gradcm"], "unknown method 'gradcm'; nearest: gradcam"),
        (2, ["CLIP", "--encoder", "libx246"], "unknown encoder 'libx246'"),
        (2, ["CLIP", "--preset", "veryfats"], "unknown preset 'veryfats'; nearest: veryfast"),
        (2, ["CLIP", "--model", "efficientnet_lite"], "nearest: efficientnet_lite0"),
        (2, ["CLIP", "--device", "cuda:99"], "--device cuda:99"),
        (2, ["CLIP", "--layer", "nowhere"], "unknown layer 'nowhere'"),
        (2, ["CLIP", "--roi", "400,0,100,100"], "--roi 400,0,100,100 leaves nothing"),
        (2, ["CLIP", "--track", "3"], "--track 3"),
        (2, ["CLIP", "-o", "out.mp4"], "No such option"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(bench, clip, code, arguments, says):
    Path("text.mp4").write_text("this is no video\n" * 100)
    arguments = [clip if one == "CLIP" else one for one in arguments]
    got, out, err = bench(*arguments, "-q")
    assert (got, out) == (code, ""), err
    assert err.startswith("vidcam: ") and err.count("\n") == 1, err
    assert says in err and "secret" not in err


def test_temporary_files_that_cannot_be_written_are_5(run_main, monkeypatch, clip):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/self")
    code, out, err = run_main("bench", clip)
    assert (code, out) == (5, "")
    assert err.startswith("vidcam: no folder for temporary files: ") and err.count("\n") == 1


@pytest.mark.parametrize("where", [0, 1, 2], ids=["the clip", "the whole", "the stages"])
def test_an_interrupted_run_is_130_and_leaves_nothing(bench, monkeypatch, where):
    frame, calls = VideoFileSink.frame, []

    def interrupted(sink, picture, result):
        calls.append(sink)
        if len(calls) == where * FRAMES + FRAMES // 2:
            os.kill(os.getpid(), signal.SIGINT)
        frame(sink, picture, result)

    monkeypatch.setattr(VideoFileSink, "frame", interrupted)
    code, out, err = bench("--size", "128x96", "--frames", FRAMES)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "vidcam: interrupted" and "keeps the first" not in err
    assert where * FRAMES + FRAMES // 2 <= len(calls) <= (where + 1) * FRAMES


def test_a_service_that_is_told_to_end_ends(checkpoint, tmp_path):
    command = [sys.executable, "-m", "vidcam", "bench", "--size", "320x180", "--frames", "150",
               "--model", str(checkpoint), "--backend", "torch"]  # fmt: skip
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=environment) as process:  # fmt: skip
        said = []
        for line in process.stderr:
            said.append(line)
            if ": the whole" in line:
                process.terminate()
                break
        out, rest = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (130, ""), "".join(said) + rest
    assert rest == "vidcam: interrupted\n"
    assert not list(tmp_path.iterdir())


def test_the_defaults_are_those_of_the_manual():
    assert (BenchOptions().max_frames, BenchOptions().repeats) == (180, 3)
    assert BenchOptions().size == BenchOptions(size=(1280, 720)).size == (1280, 720)
