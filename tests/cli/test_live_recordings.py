"""Recordings of `vidcam live`: killed, asked to stop, begun again, on a full disk, in segments."""

import itertools
import json
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import av
import pytest
from live_runs import Live
from stamps import stamped_clip, stamps_of

RATE, CLIP_S = 30, 8
PLAIN = ("--topk", "1", "--lang", "en", "--preset", "ultrafast")
FULL = "no space left on device"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Numbered pictures with sound, to be played again and again."""
    return stamped_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", CLIP_S, rate=RATE)


@contextmanager
def silent_peer():
    """The URL of a server that takes connections and says nothing; readers of it hang."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def wait_for(what, within_s=20.0):
    until_s = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < until_s, f"not within {within_s:g} s"
        time.sleep(0.05)


def ends_of(path):
    """When the pictures and the sound of a file end, as far as they decode."""
    ends = []
    for kind in ("video", "audio"):
        with av.open(str(path)) as container:
            last_s = 0.0
            for one in container.decode(**{kind: 0}):
                length_s = 1 / RATE if kind == "video" else one.samples / one.sample_rate
                last_s = one.time + length_s
        ends.append(last_s)
    return ends


def missing(numbers):
    """How many pictures are missing between these, round and round the clip; none comes twice."""
    steps = [(b - a) % (RATE * CLIP_S) for a, b in itertools.pairwise(numbers)]
    assert 0 not in steps and RATE * CLIP_S - 1 not in steps, steps
    return sum(steps) - len(steps)


def test_kill_9_costs_a_second_at_most_and_a_second_run_stops_at_once_on_sigterm(clip, tmp_path):
    with silent_peer() as hanging:
        command = ("--camera", clip, "--loop", "--camera", hanging, "-o", "cam{source}.mp4", *PLAIN)
        with Live(*command, folder=tmp_path) as run:
            opened = run.says(": open (")
            wait_for(lambda: time.monotonic() - run.times_s[opened] > 5.5)
            run.signal(signal.SIGKILL)
            lasted_s = time.monotonic() - run.times_s[opened]
            run.ends()
        killed = tmp_path / "cam0.mp4"
        video_s, sound_s = ends_of(killed)
        assert lasted_s - 1 < video_s < lasted_s + 0.3, (lasted_s, video_s)
        assert lasted_s - 1 < sound_s < lasted_s + 0.3, (lasted_s, sound_s)
        before = killed.read_bytes()

        with Live(*command, folder=tmp_path) as run:
            opened = run.says(": open (")
            wait_for(lambda: time.monotonic() - run.times_s[opened] > 3)
            asked_s = time.monotonic()
            run.signal(signal.SIGTERM)
            lasted_s = asked_s - run.times_s[opened]
            assert run.ends() == 0, run.said
            # All is written when the table has been printed; then the process ends.
            assert run.times_s[-1] - asked_s < 2 and time.monotonic() - asked_s < 3
    assert "cam0.mp4 exists already; writing cam0-2.mp4" in run.said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cam0-2.mp4", "cam0.mp4"]
    assert killed.read_bytes() == before
    video_s, sound_s = ends_of(tmp_path / "cam0-2.mp4")
    assert abs(video_s - lasted_s) < 0.5 and abs(sound_s - lasted_s) < 0.5
    with av.open(str(tmp_path / "cam0-2.mp4")) as whole:  # its index counts every picture
        assert whole.streams.video[0].frames == sum(1 for _ in whole.decode(video=0))


@contextmanager
def small_disk(folder, size_kb):
    """A file system of its own that is soon full."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "vidcam-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_recording_on_it_and_nothing_else(clip, tmp_path):
    with small_disk(tmp_path / "disk", 400) as disk:
        with Live("--camera", clip, "--loop", "-o", disk / "full.mp4", "-o", "whole.mp4",
                  "--jsonl", "seen.jsonl", *PLAIN, folder=tmp_path) as run:  # fmt: skip
            full = run.says(FULL)
            wait_for(lambda: time.monotonic() - run.times_s[full] > 2)
            run.signal(signal.SIGTERM)
            assert run.ends() == 5, run.said
        assert run.count(FULL) == 1, run.said
        played = len(stamps_of(disk / "full.mp4"))
    numbers = [number for number, _ in stamps_of(tmp_path / "whole.mp4")]
    assert missing(numbers) < 0.1 * len(numbers) and RATE < played < len(numbers) - RATE
    lines = (tmp_path / "seen.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["frame"] > played + RATE


def test_no_picture_is_lost_or_repeated_where_a_segment_ends(clip, tmp_path):
    with Live("--camera", clip, "--loop", "-o", "cam-%Y%m%d-%H%M%S.mp4", "--segment", "1s",
              "--duration", "12.5s", *PLAIN, folder=tmp_path) as run:  # fmt: skip
        assert run.ends(60) == 0, run.said
    row = next(line for line in run.stderr if line.startswith("clip.mp4 ")).split()
    captured, drawn, dropped = (int(row[n]) for n in (1, 2, 4))
    files = sorted(tmp_path.iterdir(), key=lambda path: (*path.stem.split("-"), "1")[:4])
    assert 12 <= len(files) <= 14
    numbers = [number for path in files for number, _ in stamps_of(path)]
    assert len(numbers) == drawn == captured - dropped > 6 * RATE
    assert missing(numbers) == dropped
