"""An output never costs an input, and what cannot be written is said before any work."""

from itertools import pairwise
from pathlib import Path

import pytest
from clips import decode, make_clip, read, times
from PIL import Image

import vidcam
from vidcam.errors import OutputError, UsageError
from vidcam.options import FileOptions
from vidcam.sinks.check import Tally, check_file
from vidcam.sinks.encoder import muxer_of
from vidcam.sinks.file import VideoFileSink
from vidcam.sinks.partial import PartialFile


def test_an_input_named_like_a_part_of_the_output_is_not_overwritten(tmp_path, vidcam):
    clip = make_clip(tmp_path / "x.partial.mp4", frames=4)
    before = clip.read_bytes()
    done = vidcam("file", clip, "-o", tmp_path / "x.mp4", "-y")
    assert done.returncode == 2 and "would overwrite an input" in done.stderr
    assert clip.read_bytes() == before


def test_an_input_that_another_output_would_overwrite_is_not(tmp_path, vidcam):
    clips = [make_clip(tmp_path / name, frames=4) for name in ("a.mp4", "xa.mp4")]
    done = vidcam("file", *clips, "-o", tmp_path / "x{stem}.mp4", "-y")
    assert done.returncode == 2 and "would overwrite an input" in done.stderr
    done = vidcam("file", clips[0], "--jsonl", clips[0], "-y")
    assert done.returncode == 2 and "an input or another output" in done.stderr


def test_the_python_side_refuses_it_too(tmp_path):
    clip = make_clip(tmp_path / "x.partial.mp4", frames=4)
    before = clip.read_bytes()
    with pytest.raises(UsageError, match="would overwrite the input"):
        vidcam.run(clip, tmp_path / "x.mp4")
    assert clip.read_bytes() == before


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path):
    partial = PartialFile(tmp_path / "out.mp4", overwrite=False)
    partial.path.write_text("ours")
    (tmp_path / "out.mp4").write_text("another's")
    with pytest.raises(OutputError, match=r"come meanwhile; all is in .*out\.partial\.mp4"):
        partial.commit()
    assert (tmp_path / "out.mp4").read_text() == "another's"
    assert partial.path.read_text() == "ours"


@pytest.mark.parametrize("name", ["out.h264", "out.mjpeg", "out.yuv"])
def test_a_container_without_times_is_refused(name):
    with pytest.raises(UsageError, match="keeps no times; write"):
        muxer_of(Path(name))


def test_a_frame_that_is_missing_is_an_output_error(tmp_path):
    clip = make_clip(tmp_path / "a.mkv", frames=10, options={"x264-params": "keyint=infinite"})
    tally = Tally(frame_s=1 / 24)
    tally.times_s.extend(float(t) for t in sorted(times(clip)))
    check_file(clip, tally)
    tally.times_s.append(1.0)
    with pytest.raises(OutputError, match="holds 10 of 11 frames"):
        check_file(clip, tally)


def test_avi_keeps_the_times_of_a_clip_whose_sound_begins_before_it(tmp_path, cat_clip):
    from clips import convert

    convert(cat_clip, tmp_path / "out.avi", max_frames=30)
    assert len(decode(tmp_path / "out.avi")) == 30


def test_a_clock_that_begins_anew_goes_on(tmp_path):
    one = make_clip(tmp_path / "a.ts", frames=48, sound=("aac",))
    (tmp_path / "twice.ts").write_bytes(one.read_bytes() * 2)
    found = [frame.time_s for frame in read(tmp_path / "twice.ts")]
    assert len(found) >= 94
    steps = [b - a for a, b in pairwise(found)]
    assert min(steps) > 0.03 and max(steps) < 0.1


def test_joined_recordings_are_written_with_their_sound(tmp_path):
    from clips import convert

    one = make_clip(tmp_path / "a.ts", frames=48, sound=("aac",))
    (tmp_path / "twice.ts").write_bytes(one.read_bytes() * 2)
    convert(tmp_path / "twice.ts", tmp_path / "out.mp4")
    assert float(times(tmp_path / "out.mp4", "audio")[-1]) == pytest.approx(4.0, abs=0.2)


def test_a_name_that_is_no_utf_8_does_not_break_records(tmp_path, vidcam):
    import os

    name = os.fsdecode(b"\xb5\xe7\xd3\xb0.mp4")
    make_clip(tmp_path / "a.mp4", frames=4).rename(tmp_path / name)
    done = vidcam("file", tmp_path / name, "--jsonl", tmp_path / "r.jsonl", "-q", "--cam", "none")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.jsonl").read_text("utf-8").count("\n") == 4


def test_an_input_that_does_not_fit_the_options_does_not_stop_the_others(tmp_path, vidcam):
    small = make_clip(tmp_path / "a.mp4", frames=4)
    large = make_clip(tmp_path / "b.mp4", frames=4, size=(640, 360))
    (tmp_path / "out").mkdir()
    done = vidcam("file", small, large, "-o", tmp_path / "out", "--roi", "400,200,200,100")
    assert done.returncode == 1, done.stderr
    assert "--roi 400,200,200,100 leaves nothing of a picture of 160x96" in done.stderr
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["b.mp4"]


def test_the_sink_takes_what_python_callers_write(tmp_path):
    options = FileOptions(encoder_option=("tune=film",), class_=281, classes=[281, 282])
    assert options.encoder_option == (("tune", "film"),)
    assert (options.class_, options.classes) == ("281", "281,282")
    VideoFileSink(tmp_path / "out.mp4", options).close(RuntimeError("unused"))
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="True or False"):
        FileOptions(cam_raw="false")


def test_pictures_of_one_column_are_refused_in_words(tmp_path, vidcam):
    clip = tmp_path / "a.gif"
    Image.new("RGB", (1, 64), "red").save(clip)
    done = vidcam("file", clip, "-o", tmp_path / "out.mp4")
    assert done.returncode == 3 and "pictures of 1x64 are too small" in done.stderr
