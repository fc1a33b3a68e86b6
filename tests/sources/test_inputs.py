"""Inputs as people name them: files, folders, globs, test patterns, and URLs that break off."""

import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import pytest
from clips import (
    convert,
    decode,
    hum,
    make_clip,
    packets,
    picture_of,
    read,
    said,
    scene,
    sound_track,
    times,
)

from vidcam.errors import SourceError, SourceLost, UsageError
from vidcam.sources.inputs import expand, is_url, name_of, stem_of

FASTSTART = {"movflags": "+faststart"}


@pytest.fixture
def web(tmp_path):
    """Serves the files of tmp_path on loopback.

    `web(name, bytes_sent)` gives a file's URL; of the length that it promises, the server sends
    only `bytes_sent` and hangs up.
    """
    limits: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = tmp_path / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: limits.get(path.name, len(data))])

        def log_message(self, *_arguments):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_arguments):
            """A reader that has enough hangs up: no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def url(name: str, bytes_sent: int | None = None, user: str = "") -> str:
            if bytes_sent is not None:
                limits[name] = bytes_sent
            return f"http://{user}127.0.0.1:{server.server_port}/{name}"

        yield url
        server.shutdown()
        thread.join()


def long_clip(path):
    """Four seconds, its index in front, so that it can be read while it comes."""
    faststart = FASTSTART if path.suffix == ".mp4" else {}
    return make_clip(path, frames=96, sound=("aac",), muxer_options=faststart)


def test_files_stay_in_the_order_given_and_come_once(tmp_path):
    for name in ("b.mp4", "a.mp4", "odd[1].mp4"):
        (tmp_path / name).touch()
    b, a, odd = (str(tmp_path / name) for name in ("b.mp4", "a.mp4", "odd[1].mp4"))
    assert expand([b, a, b, odd]) == [b, a, odd]


def test_a_folder_gives_its_videos_by_name(tmp_path):
    for name in ("b.MKV", "a.mp4", "notes.txt", "c.gif"):
        (tmp_path / name).touch()
    (tmp_path / "deeper.mp4").mkdir()
    assert expand([str(tmp_path)]) == [str(tmp_path / n) for n in ("a.mp4", "b.MKV", "c.gif")]


def test_a_pattern_gives_its_files_by_name_in_all_folders_below(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.mp4", "a.mp4", "deep/er/c.mp4"):
        (tmp_path / name).touch()
    assert expand([str(tmp_path / "*.mp4")]) == [str(tmp_path / n) for n in ("a.mp4", "b.mp4")]
    found = expand([str(tmp_path / "**" / "*.mp4")])
    assert found == [str(tmp_path / n) for n in ("a.mp4", "b.mp4", "deep/er/c.mp4")]


@pytest.mark.parametrize("pattern", ["", "*.mp4"])
def test_a_folder_or_a_pattern_without_a_video_is_an_error(tmp_path, pattern):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match="holds no video file"):
        expand([str(tmp_path / pattern)])


def test_a_missing_file_and_a_url_stay_for_whoever_opens_them(tmp_path):
    missing = str(tmp_path / "missing.mp4")
    inputs = [missing, "http://host/a*.mp4", "lavfi:testsrc2"]
    assert expand(inputs) == inputs
    with pytest.raises(SourceError, match=r"missing\.mp4: no such file"):
        read(missing)


@pytest.mark.parametrize(
    ("uri", "url", "name", "stem"),
    [
        ("/videos/a.b.mp4", False, "a.b.mp4", "a.b"),
        ("C:clip.mp4", False, "C:clip.mp4", "C:clip"),
        ("http://host/x/%E7%8C%AB.mp4?key=1", True, "猫.mp4", "猫"),
        ("HTTPS://host/a.mp4", True, "a.mp4", "a"),
        ("http://me:secret@host:80/", True, "***@host:80", "***@host:80"),
        ("lavfi:testsrc2=size=64x64", True, "lavfi:testsrc2=size=64x64", "testsrc2"),
    ],
)
def test_names_of_inputs(uri, url, name, stem):
    assert (is_url(uri), name_of(uri), stem_of(uri)) == (url, name, stem)


@pytest.mark.parametrize("content", [b"", b"just some text\n" * 200])
def test_a_file_that_is_no_video_is_an_error(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.mp4: is not a video"):
        read(tmp_path / "a.mp4")


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = sound_track(container, "aac")
        picture = picture_of(scene(0, 64, 64), "yuvj420p")
        picture.pts, picture.time_base, picture.color_range = 0, Fraction(1), 2
        container.mux(cover.encode(picture))
        hum(container, sound, until_s=1.0, hertz=440)
        container.mux(sound.encode(None))
    with pytest.raises(SourceError, match="has no video track"):
        read(path)


def test_a_test_pattern_is_as_long_as_asked():
    graph = "lavfi:testsrc2=size=64x48:rate=30"
    frames = read(graph, duration=0.5)
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(15)])
    assert {(f.picture.width, f.picture.height) for f in frames} == {(64, 48)}
    assert len(read(graph, max_frames=7)) == 7
    with pytest.raises(UsageError, match="has no end: give --duration or --max-frames"):
        read(graph)


def test_a_test_pattern_with_sound_and_one_that_is_wrong(tmp_path):
    graph = "lavfi:testsrc2=size=64x48:rate=30[out0];sine=frequency=330[out1]"
    with said() as warnings:
        convert(graph, tmp_path / "out.mp4", duration=1.0)
    assert len(decode(tmp_path / "out.mp4")) == 30
    assert float(times(tmp_path / "out.mp4", "audio")[-1]) == pytest.approx(1, abs=0.05)
    assert len(warnings) == 1
    with pytest.raises(SourceError, match="lavfi:testsrc9"):
        read("lavfi:testsrc9", duration=1.0)


def test_a_url_is_read_as_the_file_is(tmp_path, web):
    clip = long_clip(tmp_path / "a.mp4")
    convert(clip, tmp_path / "from-file.mp4")
    convert(web("a.mp4"), tmp_path / "from-web.mp4")
    # Not the files' bytes: how sound and pictures interleave depends on the decoder's threads.
    one, other = (tmp_path / f"from-{origin}.mp4" for origin in ("file", "web"))
    for kind in ("video", "audio"):
        assert packets(one, kind) == packets(other, kind) != []


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_url_that_breaks_off_is_lost_and_leaves_no_file(tmp_path, web, name, share):
    size = long_clip(tmp_path / name).stat().st_size
    with pytest.raises(SourceLost, match=f"http://127.0.0.1:.*/{name}: "):
        convert(web(name, int(size * share)), tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_url_that_breaks_off_before_its_last_second_is_lost_too(tmp_path, web, name):
    size = long_clip(tmp_path / name).stat().st_size
    with pytest.raises(SourceLost):
        convert(web(name, int(size * 0.9)), tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("after", ["headers", "index", "first packet"])
def test_a_url_that_breaks_off_before_its_first_frame_is_an_error(tmp_path, web, after):
    data = long_clip(tmp_path / "a.mp4").read_bytes()
    sent = {"headers": 0, "index": data.index(b"mdat") + 4}
    sent["first packet"] = sent["index"] + 200
    with pytest.raises((SourceError, SourceLost), match=r"a\.mp4: "):
        convert(web("a.mp4", sent[after]), tmp_path / "out.mp4")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("what", [{"sound_s": 4.0}, {"last_duration": 72}])
def test_a_whole_url_whose_pictures_end_early_is_not_lost(tmp_path, web, what):
    make_clip(tmp_path / "a.mp4", sound=("aac",), muxer_options=FASTSTART, **what)
    convert(web("a.mp4"), tmp_path / "out.mp4")
    assert len(decode(tmp_path / "out.mp4")) == 24


def test_of_a_url_only_as_much_is_needed_as_is_asked_for(tmp_path, web):
    size = long_clip(tmp_path / "a.mp4").stat().st_size
    assert len(read(web("a.mp4", size // 2), duration=0.5)) == 12


def test_a_url_that_is_not_there_is_an_error_and_keeps_its_password(web):
    with pytest.raises(SourceError, match=r"404|not found") as missing:
        read(web("missing.mp4", user="me:secret@"))
    assert "secret" not in str(missing.value) and "***@127.0.0.1" in str(missing.value)
    with pytest.raises(SourceError, match="refused"):
        read("http://127.0.0.1:9/a.mp4")


def test_the_command_says_that_a_url_was_lost_with_code_4(tmp_path, web, vidcam):
    size = long_clip(tmp_path / "a.mp4").stat().st_size
    url = web("a.mp4", size // 2)
    done = vidcam("file", url, "-o", tmp_path / "out.mp4", "--cam", "none", "--topk", "0")
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"vidcam: {url}: ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
