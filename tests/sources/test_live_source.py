"""RTSP from a real server: pictures, sound, times, and every way in which a connection ends."""

import logging
import threading
import time
import traceback

import av
import pytest
from clips import decode, make_clip, mean_errors
from live_run import LiveRun, Taken
from rtsp_server import RtspServer

from vidcam.errors import SourceError

TICK_S = 1 / 90_000
PASSWORD = "hunter2-secret"


@pytest.fixture
def run():
    return LiveRun()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds with sound and B-frames, a key frame a second."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return make_clip(path, frames=60, rate=30, sound=("aac",), options={"g": "30", "crf": "12"})


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory):
    """Another size."""
    return make_clip(tmp_path_factory.mktemp("clips") / "small.mp4", frames=30, size=(128, 64))


@pytest.fixture(scope="module")
def server(clip):
    """A server that every test finds running."""
    with RtspServer(clip) as server:
        yield server


def opening_fails(run, uri, **wanted):
    """The SourceError, and how long it took."""
    began_s = time.monotonic()
    with pytest.raises(SourceError) as caught:
        run.take(uri, 1, **wanted)
    return caught.value, time.monotonic() - began_s


def test_pictures_sound_and_times(run, server, clip):
    taken = run.take(server.url, 45)
    info = taken.info
    assert info.live and (info.width, info.height, info.rate) == (160, 96, 30)
    assert info.name == f"127.0.0.1:{server.port}/stream" and info.coded is None
    origin = decode(clip)
    for number in (0, 30, 44):
        assert max(mean_errors(taken.frames[number].picture, origin[number])) < 0.01
    # What was sent while the stream was looked at comes at once, in order, not in the future.
    assert all(step > 0 for step in taken.steps_s)
    assert taken.steps_s[15:] == pytest.approx([1 / 30] * 29, abs=0.02)
    assert 0.9 < taken.times_s[-1] - taken.times_s[0] < 1.6
    for frame in taken.frames:
        assert -TICK_S <= frame.captured_s - run.clock.start_s - frame.time_s < 0.3
    stamps = [float(one.packet.dts * one.packet.time_base) for one in taken.sounds]
    assert len(stamps) > 40 and stamps == sorted(set(stamps))
    assert abs(stamps[-1] - taken.times_s[-1]) < 0.3


def test_templates_and_packets_outlive_the_connection(run, server, clip, tmp_path):
    taken = run.take(server.url, 40, coded=True)
    copy = tmp_path / "copy.mp4"
    with av.open(str(copy), "w") as container:
        video = container.add_stream_from_template(taken.info.coded, opaque=True)
        sound = container.add_stream_from_template(taken.info.audio)
        for stream, items in ((video, taken.coded), (sound, taken.sounds)):
            for item in items:
                item.packet.stream = stream
                container.mux(item.packet)
    pictures = decode(copy)
    assert len(pictures) >= 40
    assert max(mean_errors(pictures[20], decode(clip)[20])) < 0.01
    with av.open(str(copy)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 40_000
    packet_times = [float(one.packet.pts * one.packet.time_base) for one in taken.coded]
    nearest = [min(abs(at - t) for at in packet_times) for t in taken.times_s[5:]]
    assert max(nearest) < 0.05


def test_what_the_server_kept_is_not_in_the_future(run, clip):
    with RtspServer(clip, burst_s=1.0) as server:
        taken = run.take(server.url, 60)
    late = [frame.captured_s - run.clock.start_s - frame.time_s for frame in taken.frames]
    assert min(late) > -TICK_S and max(late) < 0.5
    assert taken.times_s[-1] - taken.times_s[0] == pytest.approx(1.0, abs=0.35)


def test_a_killed_server_ends_the_stream_and_the_next_connection_goes_on(run, clip):
    with RtspServer(clip) as server:
        with run.source(server.url) as source:
            assert not source.ends
            threading.Timer(0.5, server.kill).start()
            before = Taken(source)
        assert before.ended or before.lost.cause in ("broken off", "end of stream")
        assert 5 < len(before.frames) < 40
        error, waited_s = opening_fails(run, server.url)
        assert error.cause == "refused" and waited_s < 2
        server.restart()
        after = run.take(server.url, 20)
    gap_s = after.times_s[0] - before.times_s[-1]
    captured_gap_s = after.frames[0].captured_s - before.frames[-1].captured_s
    assert gap_s == pytest.approx(captured_gap_s, abs=0.3)
    assert after.frames[0].index == before.frames[-1].index + 1


def test_a_silent_server_is_noticed_in_time(run, clip):
    with RtspServer(clip) as server:
        with run.source(server.url, timeout_s=1.5) as source:
            threading.Timer(0.3, server.freeze).start()
            began_s = time.monotonic()
            taken = Taken(source)
            # Not after twice as long: FFmpeg's parser has one more packet to give.
            assert 1.7 < time.monotonic() - began_s < 3
        assert taken.lost.cause == "timeout" and "silent for 1.5 s" in str(taken.lost)
        error, waited_s = opening_fails(run, server.url, timeout_s=0.5)
        assert error.cause == "timeout" and 0.4 < waited_s < 5
        server.thaw()
        assert run.take(server.url, 5).times_s[0] > taken.times_s[-1]


def test_another_size_is_another_connection(run, clip, small_clip):
    with RtspServer(clip) as server:
        with run.source(server.url) as source:
            threading.Timer(0.5, server.switch, [small_clip]).start()
            taken = Taken(source)
        assert taken.lost.cause == "size changed"
        assert "from 160x96 to 128x64" in str(taken.lost)
        assert {frame.picture.width for frame in taken.frames} == {160}
        info = run.take(server.url, 2).info
        assert (info.width, info.height) == (128, 64)


@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_a_wrong_password_is_told_apart_and_never_shown(run, clip, scheme, caplog):
    caplog.set_level(logging.DEBUG)
    with RtspServer(clip, user="me", password="right", scheme=scheme) as server:
        assert run.take(server.url, 2).info.uri == f"rtsp://***@127.0.0.1:{server.port}/stream"
        error, _ = opening_fails(run, server.url_with("me", PASSWORD))
        assert error.cause == "authentication" and "password" in str(error)
        none, _ = opening_fails(run, server.address)
        assert none.cause == "authentication"
        server.kill()
        refused, _ = opening_fails(run, server.url_with("me", PASSWORD))
    for one in (error, refused):
        assert PASSWORD not in "".join(traceback.format_exception(one)) + repr(one)
    ours = [record.getMessage() for record in caplog.records if record.name == "vidcam"]
    assert PASSWORD not in "".join(ours)


def test_a_stream_that_is_not_there(run, server):
    error, _ = opening_fails(run, f"rtsp://127.0.0.1:{server.port}/other")
    assert error.cause == "not found"


def test_a_server_without_tcp_is_asked_again(run, clip):
    with RtspServer(clip, transports=("udp",)) as server:
        assert len(run.take(server.url, 10).frames) == 10


def test_several_clients_at_once(run, server):
    sent = server.frames_sent
    with run.source(server.url) as one, run.source(server.url) as other:
        assert server.clients >= 2
        assert len(Taken(one, 10).frames) == len(Taken(other, 10).frames) == 10
    assert server.frames_sent - sent >= 20


def test_a_server_that_hangs_up_ends_the_stream(run, server):
    with run.source(server.url) as source:
        threading.Timer(0.3, server.drop).start()
        taken = Taken(source)
    assert taken.ended or taken.lost.cause in ("broken off", "end of stream")


def test_reading_ends_when_the_run_stops(run, server):
    with run.source(server.url) as source:
        threading.Timer(0.3, run.stop.set).start()
        began_s = time.monotonic()
        assert Taken(source).ended and time.monotonic() - began_s < 3
