"""An output gets its name only when it is whole: what the check notices, what is left when."""

from pathlib import Path

import av
import pytest
from clips import blank, decode, make_clip, packets, read, said, times

from vidcam.errors import Interrupted, OutputError
from vidcam.options import FileOptions
from vidcam.sinks import file as file_sink
from vidcam.sinks.check import Tally, check_file
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source

FRAME_S = 1 / 24
FORMATS = ["a.mp4", "a.mkv"]


def clip_with_sound(folder: Path, name: str = "a.mp4") -> Path:
    return make_clip(folder / name, frames=48, sound=("aac",), options={"g": "12"},
                     muxer_options={"movflags": "+faststart"} if "mp4" in name else {})  # fmt: skip


def tally_of(clip: Path) -> Tally:
    """What a sink that wrote this clip would have counted."""
    sound = [float(time) for time in times(clip, "audio")]
    return Tally(
        frames=48, first_s=0.0, last_s=47 * FRAME_S, frame_s=FRAME_S,
        sound_packets=len(sound), sound_last_s=sound[-1],
    )  # fmt: skip


def remux(clip: Path, target: Path, keep) -> Path:
    """A copy of the packets for which `keep(kind, number)` is true; a track whose number None
    is not kept is left out."""
    with av.open(str(clip)) as origin, av.open(str(target), "w") as container:
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
    return target


def writing(folder: Path, **keywords):
    """A sink that is writing `out.mp4`, and the frames for it."""
    clip = make_clip(folder / "a.mp4")
    source = open_source(str(clip), FileOptions(), audio=False)
    sink = VideoFileSink(folder / "out.mp4", FileOptions(), **keywords)
    sink.open(source.info)
    source.close()
    return sink, read(clip)


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_file_passes(tmp_path, name):
    clip = clip_with_sound(tmp_path, name)
    check_file(clip, tally_of(clip))
    copy = remux(clip, tmp_path / f"copy-{name}", lambda kind, number: True)
    check_file(copy, tally_of(clip))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_truncated_file_is_noticed(tmp_path, name, share):
    clip = clip_with_sound(tmp_path, name)
    tally = tally_of(clip)
    data = clip.read_bytes()
    clip.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(OutputError, match=f"{name}: "):
        check_file(clip, tally)


@pytest.mark.parametrize("missing", [0, 20, 47])
def test_a_missing_frame_is_noticed(tmp_path, missing):
    clip = clip_with_sound(tmp_path)
    copy = remux(clip, tmp_path / "copy.mp4", lambda kind, n: (kind, n) != ("video", missing))
    with pytest.raises(OutputError, match="holds 47 of 48 frames"):
        check_file(copy, tally_of(clip))


@pytest.mark.parametrize("left", [0, 10])
def test_lost_sound_is_noticed(tmp_path, left):
    def keep(kind, number):
        return kind == "video" or (left > 0 if number is None else number < left)

    clip = clip_with_sound(tmp_path)
    copy = remux(clip, tmp_path / "copy.mp4", keep)
    with pytest.raises(OutputError, match="sound"):
        check_file(copy, tally_of(clip))


def test_a_hole_in_the_sound_is_noticed(tmp_path):
    clip = clip_with_sound(tmp_path)
    copy = remux(
        clip, tmp_path / "copy.mp4", lambda kind, n: kind == "video" or n not in range(20, 60)
    )
    with pytest.raises(OutputError, match="sound"):
        check_file(copy, tally_of(clip))


@pytest.mark.parametrize("rate", [12, 48])
def test_wrong_times_are_noticed(tmp_path, rate):
    clip = make_clip(tmp_path / "a.mp4", frames=48, rate=rate)
    with pytest.raises(OutputError, match="ends at"):
        check_file(clip, Tally(frames=48, first_s=0.0, last_s=47 * FRAME_S, frame_s=FRAME_S))


def test_times_that_are_wrong_between_right_ends_are_noticed(tmp_path):
    pts = [0, *range(20, 66), 94]  # should be 0, 2, 4 ... 94
    clip = make_clip(tmp_path / "a.mp4", rate=48, pts=pts)
    with pytest.raises(OutputError):
        check_file(clip, Tally(frames=48, first_s=0.0, last_s=47 * FRAME_S, frame_s=FRAME_S))


def test_a_last_group_that_cannot_be_decoded_is_noticed(tmp_path):
    clip = clip_with_sound(tmp_path)
    tally = tally_of(clip)
    data = clip.read_bytes()
    for _, packet in packets(clip)[36:]:
        data = data.replace(packet, bytes(len(packet)))
    clip.write_bytes(data)
    with pytest.raises(OutputError):
        check_file(clip, tally)


def test_a_file_that_is_no_video_is_noticed(tmp_path):
    (tmp_path / "a.mp4").write_text("not a video")
    with pytest.raises(OutputError, match="cannot be read back"):
        check_file(tmp_path / "a.mp4", Tally(frames=1))


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


def test_what_fails_the_check_never_gets_the_name(tmp_path, monkeypatch):
    def check_of_a_failing_disk(path: Path, tally: Tally) -> None:
        path.write_bytes(path.read_bytes()[:-500])
        check_file(path, tally)

    monkeypatch.setattr(file_sink, "check_file", check_of_a_failing_disk)
    sink, frames = writing(tmp_path)
    for frame in frames:
        sink.frame(frame.picture, blank(frame))
    with pytest.raises(OutputError, match="of 24 frames written"):
        sink.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
