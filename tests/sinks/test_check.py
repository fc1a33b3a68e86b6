"""An output gets its name only when it is whole: what the check notices, what is left when."""

from pathlib import Path

import av
import pytest
from clips import blank, convert, decode, make_clip, packets, read, said

from vidcam.errors import Interrupted, OutputError
from vidcam.options import FileOptions
from vidcam.sinks import file as file_sink
from vidcam.sinks.check import check_file
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source

THREADS = Path("/proc/self/task")
OUTPUTS = ["out.mp4", "out.mkv"]
# No B-frames: Matroska does not say when to decode them, which a remuxer needs.
GROUPS_OF_12 = (("g", "12"), ("bf", "0"))


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """`damaged(how, name, sound)`: write 48 frames to a file that `how(path)` damages between
    the last write and the check, as a failing disk or muxer would."""

    def write(how, name="out.mp4", sound=("aac",)):
        def check_what_is_left(path, *arguments):
            how(path)
            check_file(path, *arguments)

        monkeypatch.setattr(file_sink, "check_file", check_what_is_left)
        clip = make_clip(tmp_path / "a.mp4", frames=48, sound=sound)
        try:
            convert(clip, tmp_path / name, encoder_option=GROUPS_OF_12)
        except OutputError:
            assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
            raise

    return write


def remux(path, keep):
    """Keep only the packets for which `keep(kind, number)` is true; a track whose number None is
    not kept is left out."""
    target = path.with_name("remuxed" + path.suffix)
    with av.open(str(path)) as origin, av.open(str(target), "w") as container:
        streams = [stream for stream in origin.streams if keep(stream.type, None)]
        outputs = {stream: container.add_stream_from_template(stream) for stream in streams}
        counts = dict.fromkeys(streams, 0)
        for packet in origin.demux(streams):
            stream = packet.stream
            if packet.dts is None:
                continue
            if keep(stream.type, counts[stream]):
                packet.stream = outputs[stream]
                container.mux(packet)
            counts[stream] += 1
    target.replace(path)


def writing(folder, **keywords):
    """A sink that is writing `out.mp4`, and the frames for it."""
    clip = make_clip(folder / "a.mp4")
    source = open_source(str(clip), FileOptions(), audio=False)
    sink = VideoFileSink(folder / "out.mp4", FileOptions(), **keywords)
    sink.open(source.info)
    source.close()
    return sink, read(clip)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_whole_file_passes(tmp_path, damaged, name):
    damaged(lambda path: remux(path, lambda kind, number: True), name)
    assert len(decode(tmp_path / name)) == 48


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.95])
def test_a_truncated_file_is_noticed(damaged, name, share):
    def truncate(path):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(OutputError, match=name.replace(".", r".*\.")):
        damaged(truncate, name)


@pytest.mark.parametrize("missing", [0, 20, 47])
def test_a_missing_frame_is_noticed(damaged, missing):
    with pytest.raises(OutputError, match="holds 47 of 48 frames"):
        damaged(lambda path: remux(path, lambda kind, n: (kind, n) != ("video", missing)))


@pytest.mark.parametrize("left", [0, 10])
def test_lost_sound_is_noticed(damaged, left):
    def keep(kind, number):
        return kind == "video" or (left > 0 if number is None else number < left)

    with pytest.raises(OutputError, match=r"\.mp4: .*sound"):
        damaged(lambda path: remux(path, keep))


@pytest.mark.parametrize(("codec", "name"), [("aac", "out.mkv"), ("pcm_s16le", "out.mp4")])
def test_a_hole_in_sound_that_was_copied_or_encoded_is_noticed(damaged, codec, name):
    def keep(kind, number):
        return kind == "video" or number not in range(20, 60)

    with pytest.raises(OutputError, match=r"\.m..: .*sound"):
        damaged(lambda path: remux(path, keep), name, (codec,))


@pytest.mark.parametrize("rate", [12, 48])
def test_wrong_times_are_noticed(damaged, rate):
    with pytest.raises(OutputError):
        damaged(lambda path: make_clip(path, frames=48, rate=rate), sound=())


def test_times_that_are_wrong_between_right_ends_are_noticed(damaged):
    pts = [0, *range(20, 66), 94]  # should be 0, 2, 4 ... 94
    with pytest.raises(OutputError):
        damaged(lambda path: make_clip(path, rate=48, pts=pts), sound=())


def test_a_last_group_that_cannot_be_decoded_is_noticed(damaged):
    def blank_the_last_group(path):
        data = path.read_bytes()
        for _, packet in packets(path)[36:]:
            data = data.replace(packet, bytes(len(packet)))
        path.write_bytes(data)

    with pytest.raises(OutputError):
        damaged(blank_the_last_group)


@pytest.mark.skipif(not THREADS.exists(), reason="threads are listed on Linux only")
def test_the_encoder_has_let_go_of_its_memory_when_the_check_begins(tmp_path, monkeypatch):
    found = []

    def count_threads(*arguments):
        found.append(len(list(THREADS.iterdir())))
        check_file(*arguments)

    monkeypatch.setattr(file_sink, "check_file", count_threads)
    clip = make_clip(tmp_path / "a.mp4")
    frames = read(clip)
    before = len(list(THREADS.iterdir()))
    sink, _ = writing(tmp_path)
    for frame in frames:
        sink.frame(frame.picture, blank(frame))
    assert len(list(THREADS.iterdir())) > before
    sink.close()
    assert found == [before]


def test_a_file_that_is_no_video_is_noticed(damaged):
    with pytest.raises(OutputError, match="cannot be read back"):
        damaged(lambda path: path.write_text("not a video"))


def test_the_final_name_appears_when_the_file_is_whole(tmp_path):
    sink, frames = writing(tmp_path)
    for frame in frames:
        sink.frame(frame.picture, blank(frame))
        assert not (tmp_path / "out.mp4").exists()
    assert (tmp_path / "out.partial.mp4").exists()
    sink.close()
    assert len(decode(tmp_path / "out.mp4")) == 24
    assert not (tmp_path / "out.partial.mp4").exists()


@pytest.mark.parametrize("before", [None, "the last run's"])
def test_an_error_leaves_what_was_there(tmp_path, before):
    if before:
        (tmp_path / "out.mp4").write_text(before)
    sink, frames = writing(tmp_path, overwrite=True)
    for frame in frames[:5]:
        sink.frame(frame.picture, blank(frame))
    sink.close(ValueError("somewhere else"))
    assert not (tmp_path / "out.partial.mp4").exists()
    assert (tmp_path / "out.mp4").exists() == bool(before)
    if before:
        assert (tmp_path / "out.mp4").read_text() == before


@pytest.mark.parametrize("count", [1, 10])
def test_of_an_interrupted_run_what_was_written_plays_under_its_partial_name(tmp_path, count):
    sink, frames = writing(tmp_path)
    for frame in frames[:count]:
        sink.frame(frame.picture, blank(frame))
    with said() as warnings:
        sink.close(Interrupted("interrupted"))
    assert len(decode(tmp_path / "out.partial.mp4")) == count
    assert not (tmp_path / "out.mp4").exists()
    assert len(warnings) == 1 and "out.partial.mp4 keeps the first" in warnings[0]


def test_interrupted_before_the_first_frame_nothing_is_left(tmp_path):
    sink, _ = writing(tmp_path)
    sink.close(Interrupted("interrupted"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
