"""Streams to real receivers, which also stall, die and come back."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip, said
from receivers import (
    RATE,
    STEPS,
    LiveFeed,
    Receiver,
    ffmpeg,
    free_port,
    is_gone,
    is_listening,
    levels,
    needs_ffmpeg,
    noise,
    pyav,
    ramp,
    wait_for,
)

from vidcam.errors import OutputError, UnknownName, UsageError
from vidcam.options import LiveOptions
from vidcam.sinks.stream import DISCONNECTED, STALLED, StreamSink, is_stream
from vidcam.types import StreamInfo

ROOT = Path(__file__).resolve().parents[2]
LOCAL = "127.0.0.1"
# Longer than any coding of these pictures, shorter than any wait for a receiver.
PROMPT_S = 0.2
HEAVY = LiveOptions(crf=1)


@contextmanager
def sound_of(path: Path, codec: str, rate: int) -> Iterator[tuple]:
    """The template of a sound, and its packets from 0 on."""
    make_clip(path, frames=240, rate=30, sound=(codec,), sound_rate=rate)
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        packets = [
            (round(packet.pts * packet.time_base * track.rate), bytes(packet))
            for packet in container.demux(track)
            if packet.size and packet.pts >= 0
        ]
        yield track, packets


@pytest.fixture(scope="module")
def aac(tmp_path_factory) -> Iterator[tuple]:
    """AAC as a camera sends it."""
    with sound_of(tmp_path_factory.mktemp("sound") / "sound.mp4", "aac", 48_000) as sound:
        yield sound


@pytest.fixture(scope="module")
def g711(tmp_path_factory) -> Iterator[tuple]:
    """G.711, which most cameras send."""
    with sound_of(tmp_path_factory.mktemp("sound") / "sound.mov", "pcm_alaw", 8000) as sound:
        yield sound


@pytest.fixture
def sinks() -> Iterator[list[StreamSink]]:
    """Sinks that are closed whatever happens, and leave no process."""
    made: list[StreamSink] = []
    yield made
    for sink in made:
        pid = sink.pid
        sink.close()
        assert pid is None or is_gone(pid)


def check(path: Path, at_least: int, has_sound: bool, untimed: int = 0) -> list[int]:
    """A received file: the right pictures, 30 a second, and the sound beside them.

    An RTSP receiver knows no times before the first report: so many pictures are `untimed`.
    """
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        pictures, sound = [], []
        for packet in container.demux():
            frames = packet.decode()
            (pictures if packet.stream is video else sound).extend(frames)
    places = levels(pictures)
    assert len(places) >= at_least
    steps = {(b - a) % STEPS for a, b in pairwise(places)}
    assert steps == {1}, places
    times = [float(picture.pts * picture.time_base) for picture in pictures]
    assert np.allclose(np.diff(times[untimed:]), 1 / RATE, atol=2e-3)
    assert bool(sound) == has_sound
    if sound:
        first_s, last_s = sound[0].time, sound[-1].time
        assert abs(first_s - times[0]) < 0.2 and abs(last_s - times[-1]) < 0.4
        loud = np.concatenate([one.to_ndarray()[0] for one in sound[4:-4]])
        assert 0.1 < np.abs(loud).max() < 0.5  # the tone of `hum`
    return places


def stream_and_check(
    sinks: list[StreamSink], receivers: list[Receiver], sound: tuple, ports: list[int]
) -> None:
    """One pass to several receivers; each gets all."""
    wait_for(lambda: all(map(is_listening, ports)))
    feed = LiveFeed(list(sinks), sound=sound[0], packets=list(sound[1]))
    for sink in sinks:
        sink.open(feed.info)
    assert feed.run(8, until=lambda: all(receiver.size for receiver in receivers))
    feed.run(1.5)
    for sink, receiver in zip(sinks, receivers, strict=True):
        sink.close()
        receiver.end()
        untimed = 2 if sink.name.startswith("rtsp") else 0
        places = check(receiver.path, 40, True, untimed)
        # All that was taken after the connection is there, the last picture too.
        assert places[-1] == (feed.index - 1) % STEPS
        assert set(sink.dropped) <= {DISCONNECTED}
    assert feed.slowest_s < PROMPT_S


def test_streams_are_told_from_files():
    assert all(map(is_stream, ["rtmp://h/a", "RTMPS://h/a", "rtsp://h/a", "udp://h:1", "tcp://h:1",
                               "out/index.m3u8", "x.M3U8"]))  # fmt: skip
    assert not any(map(is_stream, ["a.mp4", "window", "-", "rtmp.mp4", "http://h/x.m3u8", "c:/a"]))


@pytest.mark.parametrize(
    ("uri", "options", "error"),
    [
        ("udp://127.0.0.1", {}, r"udp://127.0.0.1: is no address"),
        ("tcp://host:port", {}, "is no address"),
        ("no/such/folder/index.m3u8", {}, "make it first"),
        ("udp://127.0.0.1:9", {"encoder": "libvpx-vp9"}, "gives vp9.*h264"),
        ("udp://127.0.0.1:9", {"encoder": "libx265", "encoder_option": [("nonsense", "1")]},
         "unknown option of libx265 'nonsense'"),
    ],
)  # fmt: skip
def test_a_hopeless_configuration_is_refused_at_once(uri, options, error):
    with pytest.raises((UsageError, OutputError), match=error):
        StreamSink(uri, LiveOptions(**options), 0)


def test_an_unknown_encoder_lists_the_nearest():
    with pytest.raises(UnknownName, match="libx264"):
        StreamSink("udp://127.0.0.1:9", LiveOptions(encoder="libx246"), 0)


@needs_ffmpeg
def test_rtmp_and_rtsp_carry_pictures_and_sound(tmp_path, aac, sinks):
    ports = [free_port(), free_port()]
    rtmp, rtsp = f"rtmp://{LOCAL}:{ports[0]}/live/secret-key", f"rtsp://{LOCAL}:{ports[1]}/cam"
    with (
        ffmpeg(rtmp, tmp_path / "1.ts", "-listen", "1") as one,
        ffmpeg(rtsp, tmp_path / "2.ts", "-rtsp_flags", "listen") as two,
        said(10) as lines,
    ):
        sinks += [StreamSink(url, LiveOptions(), 0) for url in (rtmp, rtsp)]
        stream_and_check(sinks, [one, two], aac, ports)
    assert "secret-key" not in "".join(lines)
    assert {f"rtmp://{LOCAL}:{ports[0]}/live/…: streaming", f"{rtsp}: streaming"} == set(lines)


def test_transport_streams_carry_pictures_and_sound(tmp_path, g711, sinks):
    """The sound is a camera's telephone sound, which becomes AAC."""
    ports = [free_port(), free_port()]
    tcp, udp = f"tcp://{LOCAL}:{ports[0]}", f"udp://{LOCAL}:{ports[1]}"
    with (
        pyav(f"{tcp}?listen=1", tmp_path / "1.ts") as one,
        pyav(f"{udp}?fifo_size=100000", tmp_path / "2.ts") as two,
    ):
        sinks += [StreamSink(url, LiveOptions(), 0) for url in (tcp, udp)]
        with said(20) as lines:
            stream_and_check(sinks, [one, two], g711, ports[:1])
    assert lines.count(f"{tcp}: its sound becomes AAC") == 1


def test_a_listening_stream_waits_for_its_receiver(tmp_path, sinks):
    """Longer than its time-out, and as one and the same process."""
    port = free_port()
    sink = StreamSink(f"tcp://{LOCAL}:{port}?listen=1", LiveOptions(timeout=0.5), 0)
    sinks.append(sink)
    feed = LiveFeed([sink])
    sink.open(feed.info)
    feed.step()
    wait_for(lambda: is_listening(port))
    pid = sink.pid
    feed.run(0.8)
    with pyav(f"tcp://{LOCAL}:{port}", tmp_path / "got.ts") as receiver:
        assert feed.run(8, until=lambda: receiver.size > 8000)
        assert sink.pid == pid
        sink.close()
        receiver.end()
        check(receiver.path, 20, has_sound=False)


def test_hls_is_a_folder_that_plays_and_stays_small(tmp_path, aac, sinks):
    playlist = tmp_path / "index.m3u8"
    (tmp_path / "index-77.ts").write_bytes(b"left by a killed run")
    (tmp_path / "other.ts").write_bytes(b"somebody else's")
    for run in range(2):
        sink = StreamSink(str(playlist), LiveOptions(), 0)
        sinks.append(sink)
        feed = LiveFeed([sink])
        sink.open(feed.info)
        feed.step()
        wait_for(lambda sink=sink: sink.is_connected)
        for _ in range(24 * RATE if run == 0 else 5 * RATE):  # faster than its own time
            feed.step()
            wait_for(lambda sink=sink: sink.waiting < 20)
        sink.close()
        text = playlist.read_text()
        assert text.count("#EXTINF:2.0") == 5 - 2 * run or run
        assert text.rstrip().endswith("#EXT-X-ENDLIST") and text.count("#EXT-X-ENDLIST") == 1
        assert ("#EXT-X-DISCONTINUITY" in text) == bool(run)
    listed = [line for line in text.splitlines() if line.endswith(".ts")]
    there = {path.name for path in tmp_path.glob("index-*.ts")}
    assert len(listed) == 6 and set(listed) <= there and len(there) <= 8
    assert (tmp_path / "other.ts").exists() and "index-77.ts" not in there
    with av.open(str(playlist)) as container:
        assert len(levels(list(container.decode(video=0)))) > 2 * RATE


def test_a_stalled_receiver_delays_nobody_and_is_gone_on_with(tmp_path, sinks):
    port = free_port()
    with pyav(f"tcp://{LOCAL}:{port}?listen=1&recv_buffer_size=65536", tmp_path / "got.ts") as got:
        wait_for(lambda: is_listening(port))
        sink = StreamSink(f"tcp://{LOCAL}:{port}", HEAVY, 0)
        sinks.append(sink)
        feed = LiveFeed([sink], noise)
        with said(20) as lines:
            sink.open(feed.info)
            assert feed.run(8, until=lambda: got.size > 0)
            got.stop()
            assert feed.run(10, until=lambda: sink.dropped[STALLED] > 15)
            got.go_on()
            size = got.size
            assert feed.run(8, until=lambda: "goes on" in lines[-1])
            dropped = sink.dropped[STALLED]
            assert feed.run(8, until=lambda: got.size > size + 1_000_000)
        assert sink.dropped[STALLED] == dropped
        name = f"tcp://{LOCAL}:{port}"
        assert lines == [f"{name}: {s}" for s in ("streaming", "stalled, dropping", "goes on")]
        sink.close()
        got.end()
    assert feed.slowest_s < PROMPT_S
    with av.open(str(tmp_path / "got.ts")) as container:  # no picture without its group
        times = [picture.time for picture in container.decode(video=0)]
    assert not any(np.diff(times) <= 0)
    assert np.diff(times).max() > 0.3 and times[-1] == pytest.approx(feed.index / RATE, abs=4)


@needs_ffmpeg
def test_a_receiver_that_stalls_for_good_is_left_and_the_next_one_served(tmp_path, sinks):
    port = free_port()
    url = f"rtmp://{LOCAL}:{port}/live/x"
    sink = StreamSink(url, replace(HEAVY, timeout=0.7), 0)
    sinks.append(sink)
    feed = LiveFeed([sink], noise)
    with said(20) as lines:
        with ffmpeg(url, tmp_path / "1.ts", "-listen", "1") as one:
            wait_for(lambda: is_listening(port))
            sink.open(feed.info)
            assert feed.run(8, until=lambda: one.size > 0)
            first = sink.pid
            one.stop()
            assert feed.run(15, until=lambda: "timeout" in lines[-1])
            assert is_gone(first)
            one.kill()
        with ffmpeg(url, tmp_path / "2.ts", "-listen", "1") as two:
            assert feed.run(10, until=lambda: two.size > 500_000)
            two.kill()
            assert feed.run(5, until=lambda: "broken pipe" in lines[-1])
    assert feed.slowest_s < PROMPT_S
    with av.open(str(tmp_path / "2.ts")) as container:
        picture = next(container.decode(video=0))
        assert picture.key_frame
    assert len([line for line in lines if "timeout" in line]) == 1


def stalling_peer() -> socket.socket:
    """Listens, lets a sender connect, and never reads."""
    server = socket.create_server((LOCAL, 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return server


def test_close_is_quick_with_a_stalled_receiver(sinks):
    with stalling_peer() as server:
        sink = StreamSink(f"tcp://{LOCAL}:{server.getsockname()[1]}", HEAVY, 0)
        sinks.append(sink)
        feed = LiveFeed([sink], noise)
        sink.open(feed.info)
        assert feed.run(10, until=lambda: sink.waiting > 15)
        pid = sink.pid
        start_s = time.monotonic()
        sink.close()
        assert time.monotonic() - start_s < 1.0
        assert is_gone(pid) and sink.pid is None


def test_close_is_quick_while_nobody_is_there(sinks):
    sink = StreamSink(f"rtsp://{LOCAL}:{free_port()}/x", LiveOptions(), 0)
    sinks.append(sink)
    feed = LiveFeed([sink])
    with said(20) as lines:
        sink.open(feed.info)
        assert feed.run(5, until=lambda: lines)
    assert "connection refused; trying again" in lines[0]
    assert sink.dropped == {DISCONNECTED: feed.index}
    start_s = time.monotonic()
    sink.close()
    assert time.monotonic() - start_s < 1.0


PARENT = """
import sys
from receivers import LiveFeed, noise
from vidcam.options import LiveOptions
from vidcam.sinks.stream import StreamSink
sink = StreamSink(sys.argv[1], LiveOptions(crf=1), 0)
feed = LiveFeed([sink], noise)
sink.open(feed.info)
feed.run(15, until=lambda: sink.waiting > 15)
print(sink.pid, flush=True)
feed.run(60)
"""


def test_kill_9_of_the_parent_leaves_no_process_and_no_password_is_on_a_command_line():
    with stalling_peer() as server:
        uri = f"tcp://user:pa55word@{LOCAL}:{server.getsockname()[1]}"
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/sinks")])
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, uri], env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE, text=True,
        ) as parent:  # fmt: skip
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert not is_gone(pid)
            assert "pa55word" not in Path(f"/proc/{pid}/cmdline").read_text()
            parent.send_signal(signal.SIGKILL)
            parent.wait(10)
        wait_for(lambda: is_gone(pid), 3)


def test_another_size_begins_the_stream_anew_and_a_gap_does_not(tmp_path, sinks):
    ports = free_port(), free_port()
    url = f"tcp://{LOCAL}:{ports[0]}"
    sink = StreamSink(url, LiveOptions(), 0)
    sinks.append(sink)
    feed = LiveFeed([sink])
    with pyav(f"{url}?listen=1", tmp_path / "1.ts") as one:
        wait_for(lambda: is_listening(ports[0]))
        sink.open(feed.info)
        assert feed.run(8, until=lambda: one.size > 0)
        pid = sink.pid
        sink.lost("unplugged")
        for _ in range(5):
            picture = ramp(feed.index)
            picture.pts, picture.time_base = feed.index * 3000, Fraction(1, 90_000)
            sink.gap(picture)
            feed.index += 1
        sink.changed(feed.info)
        feed.run(0.5)
        assert sink.pid == pid
        sink.changed(replace(feed.info, width=160, height=96))
        feed.draw = lambda index: ramp(index).reformat(160, 96)
        feed.run(0.2)
        one.end()
        check(one.path, 15, has_sound=False)
        with pyav(f"{url}?listen=1", tmp_path / "2.ts") as two:
            assert feed.run(8, until=lambda: two.size > 5000)
            sink.close()
            two.end()
    with av.open(str(tmp_path / "2.ts")) as container:
        assert {(p.width, p.height) for p in container.decode(video=0)} == {(160, 96)}


def test_a_placeholder_may_come_before_the_source(tmp_path, sinks):
    port = free_port()
    url = f"tcp://{LOCAL}:{port}"
    with pyav(f"{url}?listen=1", tmp_path / "1.ts") as receiver:
        wait_for(lambda: is_listening(port))
        sink = StreamSink(url, LiveOptions(), 0)
        sinks.append(sink)
        feed = LiveFeed([sink])
        sink.frame = lambda picture, result: StreamSink.gap(sink, picture)
        assert feed.run(8, until=lambda: receiver.size > 0)
        assert sink.dropped.keys() == {DISCONNECTED}


def test_what_goes_wrong_inside_reaches_the_log_and_not_the_run(tmp_path, sinks):
    """The folder of a playlist goes away; an encoder is asked for a size that it cannot do."""
    folder = tmp_path / "live"
    folder.mkdir()
    sink = StreamSink(str(folder / "index.m3u8"), LiveOptions(), 0)
    sinks.append(sink)
    folder.rmdir()
    feed = LiveFeed([sink])
    with said(20) as lines:
        sink.open(feed.info)
        assert feed.run(5, until=lambda: lines)
        assert re.search(r"index\.m3u8: no such file or directory; trying again", lines[0])
        folder.mkdir()
        assert feed.run(8, until=lambda: lines[-1].endswith("streaming"))
        sink.changed(StreamInfo("cam", "cam", 0, 0, Fraction(30), Fraction(1, 90_000)))
        feed.run(0.3)
        assert "the encoder failed" in lines[-1]
        sink.changed(feed.info)
        assert feed.run(5, until=lambda: lines[-1].endswith("streaming"))
