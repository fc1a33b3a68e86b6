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
from pathlib import Path

import numpy as np
import pytest
from clips import decode, make_clip

import vidcam
from vidcam.compositor import Compositor
from vidcam.errors import Interrupted, OutputError, SourceLost
from vidcam.options import FileOptions
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source
from vidcam.types import Frame

ENDLESS = ("lavfi:testsrc2=size=1280x720:rate=30", "--duration", "24h")
SMALL = "lavfi:testsrc2=size=320x180:rate=25"
START_S = 90  # of a process on a busy machine
END_S = 15


@contextmanager
def running(vidcam_arguments, **keywords):
    """A `vidcam file` process, killed at the end if it still runs."""
    command = [sys.executable, "-m", "vidcam", "file", *map(str, vidcam_arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **keywords) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_bytes(process, path, least=100_000):
    """Wait until the process has written that much of a file."""
    deadline = time.monotonic() + START_S
    while not path.exists() or path.stat().st_size < least:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, f"{path} did not grow"
        time.sleep(0.02)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Signals --------------------------------------------------------------------------------------


def test_kill_9_leaves_no_file_under_the_final_name(tmp_path):
    (tmp_path / "out.mp4").write_text("the old one")
    with running([*ENDLESS, "-o", tmp_path / "out.mp4", "-y"]) as process:
        wait_for_bytes(process, tmp_path / "out.partial.mp4")
        process.send_signal(signal.SIGKILL)
        process.wait(END_S)
    assert (tmp_path / "out.mp4").read_text() == "the old one"
    assert names(tmp_path) == ["out.mp4", "out.partial.mp4"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_a_partial_file_that_plays(tmp_path, number):
    partial = tmp_path / "out.partial.mp4"
    records = tmp_path / "out.jsonl"
    with running([*ENDLESS, "-o", tmp_path / "out.mp4", "--jsonl", records]) as process:
        wait_for_bytes(process, partial)
        process.send_signal(number)
        process.send_signal(number)  # an impatient user's second one changes nothing
        _, said = process.communicate(timeout=END_S)
    assert process.returncode == 130
    lines = said.splitlines()
    assert lines[-1] == "vidcam: interrupted"
    assert "Traceback" not in said and all(line.startswith("vidcam: ") for line in lines), said
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
        def do_GET(self):
            asked.set()
            done.wait(START_S)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server asks for

        def log_message(self, *_):
            pass

    environment = {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    arguments = [SMALL, "--max-frames", 5, "-o", tmp_path / "out.mp4", "--model", "timm:resnet10t"]
    with serving(Silent) as url:
        environment |= os.environ | {"HF_ENDPOINT": url}
        with running(arguments, env=environment) as process:
            try:
                assert asked.wait(START_S), "the download has not begun"
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=END_S)
            finally:
                done.set()
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "vidcam: interrupted"
    assert [name for name in names(tmp_path) if name.startswith("out")] == []


def test_an_interrupt_while_a_reader_hangs_ends_within_seconds(tmp_path):
    make_clip(tmp_path / "whole.mkv", frames=250, rate=25)
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "whole.mkv").unlink()
    fifo = tmp_path / "stalls.mkv"
    os.mkfifo(fifo)
    with running([fifo, "-o", tmp_path / "out.mp4", "--jsonl", "-"], stdout=subprocess.PIPE) as run:
        with fifo.open("wb", buffering=0) as stream:
            stream.write(data[: len(data) // 2])
            first = run.stdout.readline()
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=END_S)
    assert json.loads(first)["frame"] == 0, said
    assert run.returncode == 130
    assert not (tmp_path / "out.mp4").exists()


# Full disks -----------------------------------------------------------------------------------


def check_disk_full(done, folder):
    assert done.returncode == 5, done.stderr
    lines = [line for line in done.stderr.splitlines() if " on cpu (" not in line]
    assert len(lines) == 1 and lines[0].startswith("vidcam: "), done.stderr
    assert names(folder) == []


@pytest.mark.parametrize("output", [["-o", "out.mp4", "--crf", "0"], ["--jsonl", "out.jsonl"]])
def test_a_file_that_may_not_grow_is_5(vidcam, root, tmp_path, output):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    environment = os.environ | {"PYTHONPATH": str(root)}
    done = vidcam(
        "file", *ENDLESS, *output, cwd=tmp_path, env=environment, preexec_fn=limit
    )  # fmt: skip
    check_disk_full(done, tmp_path)


def test_a_full_disk_is_5(vidcam, tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "none", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        check_disk_full(vidcam("file", *ENDLESS, "-o", tmp_path / "out.mp4"), tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_stdout_that_is_full_is_5(vidcam, tmp_path):
    with open("/dev/full", "w") as full:
        done = vidcam("file", *ENDLESS, "--jsonl", "-", capture_output=False, stdout=full,
                      stderr=subprocess.PIPE)  # fmt: skip
    check_disk_full(done, tmp_path)


# Parts that raise -----------------------------------------------------------------------------


class Broken(Exception):
    """What a part under test raises."""


@contextmanager
def serving(handler):
    """A web server on loopback; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Failing:
    """A source that passes another's items on and at frame 20 does what it is told."""

    def __init__(self, what):
        self._inner = open_source(SMALL, FileOptions(max_frames=60))
        self._what = what
        self.info, self.corrupt = self._inner.info, 0
        self.closed = False

    def __iter__(self):
        for item in self._inner:
            if isinstance(item, Frame) and item.index == 20:
                item = self._what(item)
            if item is None:
                return
            yield item

    def close(self):
        self.closed = True
        self._inner.close()


def broken_part(*_):
    raise Broken("a part that fails")


class FailingSink:
    """Takes 10 frames."""

    def __init__(self):
        self.frames, self.closed_with = 0, []

    def open(self, info):
        pass

    def frame(self, picture, result):
        self.frames += 1
        if self.frames == 10:
            broken_part()

    def audio(self, packet):
        pass

    def close(self, error=None):
        self.closed_with.append(error)


def failing_run(session, folder, kind, source=None, before=(), after=()):
    """Run into `out.mp4`, which must fail with `kind` in time, leave nothing, and end threads."""
    source = source or Failing(lambda item: item)
    options = replace(session.options, preset="ultrafast")
    sink = VideoFileSink(folder / "out.mp4", options)
    start_s = time.monotonic()
    with pytest.raises(kind) as caught:
        session.run(source, [*before, sink, *after])
    assert time.monotonic() - start_s < END_S
    assert names(folder) == []
    assert source.closed
    assert not [t for t in threading.enumerate() if t.name.startswith("vidcam")]
    return caught.value


def functions_of(error):
    return [entry.name for entry in traceback.extract_tb(error.__traceback__)]


def test_a_source_that_raises(session, tmp_path):
    error = failing_run(session, tmp_path, Broken, Failing(broken_part))
    assert functions_of(error)[-1] == "broken_part"


def test_a_source_that_ends_early_is_no_error(session, tmp_path):
    source = Failing(lambda _: None)
    stats = session.run(source, [VideoFileSink(tmp_path / "out.mp4", session.options)])
    assert stats.written == 20 == len(decode(tmp_path / "out.mp4"))


@pytest.mark.parametrize("first", [True, False])
def test_a_sink_that_raises(session, tmp_path, first):
    sink = FailingSink()
    around = {"before" if first else "after": [sink]}
    error = failing_run(session, tmp_path, Broken, **around)
    assert functions_of(error)[-1] == "broken_part"
    assert sink.closed_with == [error]


def test_an_encoder_that_raises(session, tmp_path):
    def back_in_time(frame):
        frame.picture.pts = 0
        return frame

    error = failing_run(session, tmp_path, OutputError, Failing(back_in_time))
    assert "out.mp4" in str(error) and error.__cause__ is not None


def test_an_overlay_that_raises(session, tmp_path, monkeypatch):
    class Tenth:
        def __init__(self):
            self.drawn = 0

        def draw(self, planes, result):
            self.drawn += 1
            if self.drawn == 10:
                broken_part()

    class WithTenth(Compositor):
        def __init__(self, options):
            super().__init__(options)
            self.overlays.append(Tenth())

    monkeypatch.setattr("vidcam.pipeline.Compositor", WithTenth)
    assert functions_of(failing_run(session, tmp_path, Broken))[-1] == "broken_part"


def test_a_compositor_that_cannot_be_made(session, tmp_path, monkeypatch):
    monkeypatch.setattr("vidcam.pipeline.Compositor", broken_part)
    assert functions_of(failing_run(session, tmp_path, Broken))[-1] == "broken_part"


def test_a_classifier_that_raises(session, tmp_path, monkeypatch):
    monkeypatch.setattr(session.classifier, "backend", broken_part)
    assert functions_of(failing_run(session, tmp_path, Broken))[-1] == "broken_part"


def test_a_progress_report_that_raises(session, tmp_path):
    source = Failing(lambda item: item)
    sink = VideoFileSink(tmp_path / "out.mp4", session.options)
    with pytest.raises(Broken):
        session.run(source, [sink], progress=broken_part)
    assert names(tmp_path) == [] and source.closed


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("interrupted")])
def test_a_reader_that_hangs_does_not_hold_an_interrupt(session, tmp_path, error):
    reached, release = threading.Event(), threading.Event()

    def hang(_):
        reached.set()
        release.wait()

    source = Failing(hang)
    sink = VideoFileSink(tmp_path / "out.mp4", session.options)
    pipelines = []

    def interrupt():
        assert reached.wait(START_S)
        pipelines[0].stop(error)

    helper = threading.Thread(target=interrupt)
    helper.start()
    start_s = time.monotonic()
    with pytest.raises(type(error)):
        session.run(source, [sink], started=pipelines.append)
    assert time.monotonic() - start_s < END_S
    release.set()
    helper.join()
    assert not (tmp_path / "out.mp4").exists()


def test_a_server_that_breaks_off_is_a_lost_source(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", frames=250, rate=25).read_bytes()
    (tmp_path / "clip.mkv").unlink()

    class HalfOfIt(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(clip)))
            self.end_headers()
            self.wfile.write(clip[: len(clip) // 2])

        def log_message(self, *_):
            pass

    with serving(HalfOfIt) as url, pytest.raises(SourceLost, match="broke off|ended after"):
        vidcam.run(f"{url}/clip.mkv", tmp_path / "out.mp4")
    assert names(tmp_path) == []
