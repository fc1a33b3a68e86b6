"""Real faults: killed, interrupted, a full disk, and every part of the pipeline that may raise.

Each must end within seconds, say why, and leave no file under the final name.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from clips import decode, make_clip

from vidcam.compositor import Compositor
from vidcam.errors import OutputError
from vidcam.options import FileOptions
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source
from vidcam.types import Frame

ENDLESS = ("lavfi:testsrc2=size=1280x720:rate=30", "--duration", "24h")
SMALL = "lavfi:testsrc2=size=320x180:rate=25"
START_S = 90  # of a process on a busy machine
END_S = 15


@contextmanager
def running(*arguments, **keywords):
    """A `vidcam file` process, killed at the end if it still runs."""
    command = [sys.executable, "-m", "vidcam", "file", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **keywords) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process, happened):
    """Wait until `happened()`, while the process runs."""
    deadline = time.monotonic() + START_S
    while not happened():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_grown(path):
    return path.exists() and path.stat().st_size > 100_000


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_kill_9_leaves_no_file_under_the_final_name(tmp_path):
    (tmp_path / "out.mp4").write_text("the old one")
    with running(*ENDLESS, "-o", tmp_path / "out.mp4", "-y") as process:
        wait_for(process, lambda: has_grown(tmp_path / "out.partial.mp4"))
        process.send_signal(signal.SIGKILL)
        process.wait(END_S)
    assert (tmp_path / "out.mp4").read_text() == "the old one"
    assert names(tmp_path) == ["out.mp4", "out.partial.mp4"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_a_partial_file_that_plays(tmp_path, number):
    partial, records = tmp_path / "out.partial.mp4", tmp_path / "out.jsonl"
    with running(*ENDLESS, "-o", tmp_path / "out.mp4", "--jsonl", records) as process:
        wait_for(process, lambda: has_grown(partial))
        process.send_signal(number)
        process.send_signal(number)  # an impatient user's second one changes nothing
        _, said = process.communicate(timeout=END_S)
    assert process.returncode == 130
    lines = said.splitlines()
    assert lines[-1] == "vidcam: interrupted" and "Traceback" not in said
    (kept,) = [line for line in lines if str(partial) in line]
    assert not (tmp_path / "out.mp4").exists() and not records.exists()
    pictures = decode(partial)
    assert len(pictures) > 10 and f"first {len(pictures)} frames" in kept
    # Closed properly: its index is whole and in front, and no picture is missing in between.
    data = partial.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert [round(picture.time * 30) for picture in pictures] == list(range(len(pictures)))


def test_an_interrupt_while_weights_are_fetched_is_130(tmp_path):
    asked, done = threading.Event(), threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.set()
            done.wait(START_S)

        do_GET = do_HEAD

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    hub = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "h")}
    arguments = [SMALL, "--max-frames", 5, "--model", "timm:resnet10t.c3_in1k"]
    try:
        with running(*arguments, "-o", tmp_path / "out.mp4", env=os.environ | hub) as process:
            wait_for(process, asked.is_set)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=END_S)
    finally:
        done.set()
        server.shutdown()
        server.server_close()
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "vidcam: interrupted"
    assert not [name for name in names(tmp_path) if name.startswith("out")]


def test_an_interrupt_while_a_reader_hangs_ends_within_seconds(tmp_path):
    data = make_clip(tmp_path / "whole.mkv", frames=250, rate=25).read_bytes()
    fifo = tmp_path / "stalls.mkv"
    os.mkfifo(fifo)
    arguments = [fifo, "-o", tmp_path / "out.mp4", "--jsonl", "-"]
    with (
        running(*arguments, stdout=subprocess.PIPE) as process,
        fifo.open("wb", buffering=0) as stream,
    ):
        stream.write(data[: len(data) // 2])
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=END_S)
    assert json.loads(first)["frame"] == 0
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "vidcam: interrupted" and "Traceback" not in said
    assert not (tmp_path / "out.mp4").exists()


def check_disk_full(done, folder):
    assert done.returncode == 5, done.stderr
    news = (" on cpu (", " for OpenVINO, ")
    lines = [line for line in done.stderr.splitlines() if not any(word in line for word in news)]
    assert len(lines) == 1 and lines[0].startswith("vidcam: "), done.stderr
    assert names(folder) == []


@pytest.mark.parametrize("output", [["-o", "out.mp4", "--crf", "0"], ["--jsonl", "out.jsonl"]])
def test_a_file_that_may_not_grow_is_5(vidcam, root, tmp_path, output):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    environment = os.environ | {"PYTHONPATH": str(root)}
    arguments = ["file", *ENDLESS, *output]
    done = vidcam(*arguments, cwd=tmp_path, env=environment, preexec_fn=limit)
    check_disk_full(done, tmp_path)


def test_a_full_disk_is_5(vidcam, tmp_path):
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", tmp_path]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        check_disk_full(vidcam("file", *ENDLESS, "-o", tmp_path / "out.mp4"), tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_behind_stdout_is_5(vidcam, tmp_path):
    with open("/dev/full", "w") as full:
        streams = {"capture_output": False, "stdout": full, "stderr": subprocess.PIPE}
        check_disk_full(vidcam("file", *ENDLESS, "--jsonl", "-", **streams), tmp_path)


class Broken(Exception):
    """What a part under test raises."""


def broken_part(*_):
    raise Broken("a part that fails")


class Source:
    """60 frames; what `at_20` makes of the 20th takes its place."""

    def __init__(self, at_20=lambda frame: frame):
        self._inner = open_source(SMALL, FileOptions(max_frames=60))
        self._at_20 = at_20
        self.info, self.corrupt, self.closed = self._inner.info, 0, False

    def __iter__(self):
        for item in self._inner:
            if isinstance(item, Frame) and item.index == 20:
                item = self._at_20(item)
            yield item

    def close(self):
        self.closed = True
        self._inner.close()


class FailingSink:
    """Raises when it is opened, or at its 10th picture."""

    def __init__(self, where):
        self._calls = {"open": 1, "frame": 10}[where]
        self._where, self.closed_with = where, []

    def _count(self, where):
        self._calls -= where == self._where
        if not self._calls:
            broken_part()

    def open(self, info):
        self._count("open")

    def frame(self, picture, result):
        self._count("frame")

    def close(self, error=None):
        self.closed_with.append(error)


class TenthPicture(Compositor):
    """The compositor with one more overlay, which raises at the 10th picture."""

    def __init__(self, options):
        super().__init__(options)
        self.overlays.append(self)
        self._drawn = 0

    def draw(self, planes, result):
        self._drawn += 1
        if self._drawn == 10:
            broken_part()


@pytest.fixture
def fails(session, tmp_path):
    """Runs into out.mp4, which must raise `kind` in time, leave nothing and end all threads."""

    def run(kind, source=None, before=(), after=(), **keywords):
        source = source or Source()
        sink = VideoFileSink(tmp_path / "out.mp4", replace(session.options, preset="ultrafast"))
        start_s = time.monotonic()
        with pytest.raises(kind) as caught:
            session.run(source, [*before, sink, *after], **keywords)
        assert time.monotonic() - start_s < END_S
        assert names(tmp_path) == []
        assert source.closed
        assert not [t for t in threading.enumerate() if t.name.startswith("vidcam")]
        if kind is Broken:  # with its own traceback, whichever thread it came from
            assert traceback.extract_tb(caught.tb)[-1].name == "broken_part"
        return caught.value

    return run


def test_a_source_that_raises(fails):
    fails(Broken, Source(broken_part))


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("where", ["open", "frame"])
def test_a_sink_that_raises(fails, place, where):
    sink = FailingSink(where)
    error = fails(Broken, **{place: [sink]})
    assert sink.closed_with == [error]


def test_an_encoder_that_raises(fails):
    def back_in_time(frame):
        frame.picture.pts = 0
        return frame

    error = fails(OutputError, Source(back_in_time))
    assert "out.mp4" in str(error) and isinstance(error.__cause__, OSError | ValueError)


@pytest.mark.parametrize("compositor", [TenthPicture, broken_part])
def test_a_compositor_that_raises(fails, monkeypatch, compositor):
    monkeypatch.setattr("vidcam.session.Compositor", compositor)
    fails(Broken)


def test_a_classifier_that_raises(fails, session, monkeypatch):
    monkeypatch.setattr(session.backend, "start", broken_part)
    fails(Broken)


def test_a_progress_report_that_raises(fails):
    fails(Broken, progress=broken_part)
