"""Streams over HTTP and TCP: Motion JPEG, progressive files, HLS, MPEG-TS."""

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import pytest
from clips import decode, make_clip, mean_errors
from fake_camera import coded_picture, test_pattern
from live_run import LiveRun, Taken
from rtsp_server import free_port

from vidcam.errors import SourceError

JPEG_RATE = 20


@pytest.fixture
def run():
    return LiveRun()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A second and more with sound, a key frame each half second."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    front = {"movflags": "+faststart"}
    return make_clip(
        path, frames=36, rate=30, sound=("aac",), options={"g": "15"}, muxer_options=front
    )


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A web server: its `folder`, its `url`, `/mjpeg` for a camera, `/secret` with a password."""
    folder = tmp_path_factory.mktemp("web")
    jpegs = [coded_picture("MJPG", one, 160, 96) for one in test_pattern(4)]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/secret":
                self.send_error(401)
            elif self.path == "/mjpeg":
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=xx")
                self.end_headers()
                self._pictures()
            elif (path := folder / self.path.lstrip("/")).is_file():
                self.send_response(200)
                self.send_header("Content-Length", str(path.stat().st_size))
                self.end_headers()
                self.wfile.write(path.read_bytes())
            else:
                self.send_error(404)

        def _pictures(self):
            pace = threading.Event()
            for number in range(15):
                jpeg = jpegs[number % len(jpegs)]
                head = f"--xx\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                pace.wait(1 / JPEG_RATE)

        def handle(self):
            with contextlib.suppress(ConnectionError):  # the player has seen enough
                super().handle()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder, server.url = folder, f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def remuxed(clip, target, **arguments):
    """The clip in another container."""
    with av.open(str(clip)) as source, av.open(str(target), "w", **arguments) as container:
        streams = [container.add_stream_from_template(one, opaque=True) for one in source.streams]
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    return target


def test_motion_jpeg_comes_with_its_arrival(run, web):
    with run.source(f"{web.url}/mjpeg") as source:
        assert not source.ends
        taken = Taken(source)
    assert taken.ended or taken.lost.cause in ("broken off", "end of stream", "invalid data")
    assert len(taken.frames) >= 13
    assert taken.steps_s[3:] == pytest.approx([1 / JPEG_RATE] * len(taken.steps_s[3:]), abs=0.03)


def test_a_progressive_file_is_played_in_real_time(run, web, clip):
    (web.folder / "clip.mp4").write_bytes(clip.read_bytes())
    with run.source(f"{web.url}/clip.mp4") as source:
        taken = Taken(source)
        assert source.ends and taken.ended
    assert taken.steps_s == pytest.approx([1 / 30] * 35, abs=0.001)
    assert taken.frames[-1].captured_s - taken.frames[0].captured_s == pytest.approx(35 / 30, abs=1)
    assert taken.info.name == "clip.mp4" and taken.sounds


def test_hls_is_played_in_real_time_though_it_comes_in_pieces(run, web, clip):
    options = {"hls_time": "0.5", "hls_flags": "omit_endlist", "hls_list_size": "0"}
    remuxed(clip, web.folder / "x.m3u8", format="hls", options=options)
    with run.source(f"{web.url}/x.m3u8") as source:
        assert not source.ends
        taken = Taken(source, 20)
    assert taken.steps_s == pytest.approx([1 / 30] * 19, abs=0.001)
    captured = [frame.captured_s for frame in taken.frames]
    assert 0.55 < captured[-1] - captured[0] < 1.2


def test_transport_streams_over_tcp(run, clip, tmp_path):
    data = remuxed(clip, tmp_path / "a.ts", format="mpegts").read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def send():
            connection, _ = listening.accept()
            with connection:
                connection.sendall(data)

        thread = threading.Thread(target=send)
        thread.start()
        taken_from = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        with run.source(taken_from, coded=True) as source:
            assert not source.ends
            taken = Taken(source)
        thread.join(10)
    assert taken.ended and len(taken.frames) == 36 and taken.sounds
    assert max(mean_errors(taken.frames[7].picture, decode(clip)[7])) < 0.01
    copy = tmp_path / "copy.mkv"
    with av.open(str(copy), "w") as container:
        stream = container.add_stream_from_template(taken.info.coded, opaque=True)
        for item in taken.coded:
            item.packet.stream = stream
            container.mux(item.packet)
    assert len(decode(copy)) == 36


@pytest.mark.parametrize(
    ("path", "cause", "words"),
    [("/nothing", "not found", "not found there"), ("/secret", "authentication", "password")],
)
def test_what_a_web_server_refuses(run, web, path, cause, words):
    uri = web.url.replace("://", "://me:hunter2@") + path
    with pytest.raises(SourceError, match=words) as caught:
        run.take(uri, 1)
    assert caught.value.cause == cause and "hunter2" not in str(caught.value)


def test_a_host_that_is_not_there(run):
    with pytest.raises(SourceError, match="nothing listens") as caught:
        run.take(f"http://127.0.0.1:{free_port()}/x", 1)
    assert caught.value.cause == "refused"


def test_who_accepts_and_says_nothing_is_noticed_in_time(run):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("rtsp", "http", "tcp", "rtmp"):
            began_s = time.monotonic()
            with pytest.raises(SourceError) as caught:
                run.take(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/x", 1, timeout_s=0.3)
            assert caught.value.cause == "timeout", scheme
            assert 0.25 < time.monotonic() - began_s < 3


def test_what_is_no_stream_says_so(run, web):
    (web.folder / "page.html").write_text("<p>hello</p>" * 100)
    with pytest.raises(SourceError, match="not a video") as caught:
        run.take(f"{web.url}/page.html", 1)
    assert caught.value.cause == "invalid data"
