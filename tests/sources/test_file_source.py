"""Every frame of a file: in order, upright, at its time, whatever the codec; and what is broken."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import (
    decode,
    make_clip,
    mean_errors,
    packets,
    planes_of,
    quadrants,
    quadrants_of,
    read,
    said,
    turn_clockwise,
)

from vidcam.errors import SourceError, UsageError
from vidcam.options import FileOptions
from vidcam.sources import open_source
from vidcam.types import AudioPacket, Frame

THREADS = Path("/proc/self/task")
# What a phone stores so that turning it clockwise shows the scene: numpy turns anticlockwise.
STORED_TURNS = {90: 1, 180: 2, 270: 3}
BRIGHTEST_FIRST = [3, 2, 1, 0]
INPUTS = {
    "hevc.mp4": ("libx265", "yuv420p"),
    "hevc-10-bit.mkv": ("libx265", "yuv420p10le"),
    "av1.mp4": ("libsvtav1", "yuv420p"),
    "av1-10-bit.mkv": ("libsvtav1", "yuv420p10le"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "mpeg4.mp4": ("mpeg4", "yuv420p"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "10-bit.mp4": ("libx264", "yuv420p10le"),
    "444.mp4": ("libx264", "yuv444p"),
    "422-10-bit.mkv": ("ffv1", "yuv422p10le"),
    "full-range.mp4": ("libx264", "yuvj420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "mjpeg-422.mov": ("mjpeg", "yuvj422p"),
    "transport.ts": ("libx264", "yuv420p"),
}


def items_of(path, **options):
    """All items of a source, sound included, and the source."""
    source = open_source(str(path), FileOptions(**options))
    try:
        return list(source), source
    finally:
        source.close()


@pytest.mark.parametrize("name", INPUTS)
def test_every_usual_codec_and_pixel_format_is_read(tmp_path, name):
    encoder, pix_fmt = INPUTS[name]
    clip = make_clip(tmp_path / name, encoder=encoder, pix_fmt=pix_fmt, full="yuvj" in pix_fmt)
    frames = read(clip)
    assert [frame.index for frame in frames] == list(range(24))
    for frame, picture in zip(frames, decode(clip), strict=True):
        assert frame.picture.format.name == "yuv420p"
        luma, u, v = mean_errors(frame.picture, picture)
        # swscale sites chroma on the left column, the plain mean between two.
        assert luma < 0.6 and u < 1 and v < 1


@pytest.mark.parametrize(
    ("name", "encoder", "pix_fmt"),
    [("a.gif", "gif", "rgb8"), ("a.mp4", "libx264rgb", "rgb24"), ("a.mkv", "libx264", "gray")],
)
def test_palettes_rgb_and_grey_are_read(tmp_path, name, encoder, pix_fmt):
    clip = make_clip(tmp_path / name, frames=5, encoder=encoder, pix_fmt=pix_fmt, picture=quadrants)
    frames = read(clip)
    assert len(frames) == 5
    for frame in frames:
        assert quadrants_of(planes_of(frame.picture)[0]) == BRIGHTEST_FIRST


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_an_odd_last_row_and_column_are_cut(tmp_path, pix_fmt):
    clip = make_clip(tmp_path / "odd.mkv", size=(161, 97), encoder="ffv1", pix_fmt=pix_fmt)
    frames = read(clip)
    assert {(f.picture.width, f.picture.height) for f in frames} == {(160, 96)}
    for frame, picture in zip(frames, decode(clip), strict=True):
        assert mean_errors(frame.picture, picture)[0] < 0.6


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("size", [(160, 96), (161, 97)])
def test_a_turned_phone_clip_comes_out_upright(tmp_path, degrees, size):
    width, height = size if degrees == 180 else size[::-1]

    def stored(*_arguments):
        return tuple(np.rot90(p, STORED_TURNS[degrees]) for p in quadrants(0, width, height))

    pix_fmt = "yuv444p" if size[0] % 2 else "yuv420p"
    clip = make_clip(tmp_path / "phone.mp4", frames=4, size=size, pix_fmt=pix_fmt,
                     picture=stored, aspect=Fraction(4, 3))  # fmt: skip
    assert quadrants_of(planes_of(decode(clip)[0])[0]) != BRIGHTEST_FIRST
    turn_clockwise(clip, degrees)
    items, source = items_of(clip)
    assert (source.info.width, source.info.height) == (width // 2 * 2, height // 2 * 2)
    sideways = degrees != 180
    assert source.info.sample_aspect_ratio == (Fraction(3, 4) if sideways else Fraction(4, 3))
    for frame in items:
        assert quadrants_of(planes_of(frame.picture)[0]) == BRIGHTEST_FIRST


@pytest.mark.parametrize(
    ("name", "pts", "time_base"),
    [
        ("a.mp4", [0, 3003, 6006, 6500, 20000, 20001, 90000], Fraction(1, 90_000)),
        ("a.mkv", [0, 7, 40, 41, 500, 1000, 1001], Fraction(1, 1000)),
        ("a.ts", [900000, 903003, 903100, 950000], Fraction(1, 90_000)),  # starts at 10 s
    ],
)
@pytest.mark.parametrize("preset", ["ultrafast", "medium"])  # without and with B-frames
def test_times_are_the_packets_own_from_the_start_of_the_file(
    tmp_path, name, pts, time_base, preset
):
    clip = make_clip(tmp_path / name, pts=pts, time_base=time_base, options={"preset": preset})
    with av.open(str(clip)) as container:
        start = Fraction(container.start_time or 0, 1_000_000)
    assert start == (10 if name == "a.ts" else 0)
    times = [f.picture.pts * f.picture.time_base for f in read(clip)]
    assert times == [time * time_base - start for time in pts]


def test_pictures_that_begin_after_the_sound_keep_their_distance(tmp_path):
    clip = make_clip(tmp_path / "late.mkv", pts=[500, 540, 600], time_base=Fraction(1, 1000),
                     sound=("aac",))  # fmt: skip
    assert [frame.time_s for frame in read(clip)] == [0.5, 0.54, 0.6]


@pytest.mark.parametrize("name", ["two.mkv", "two.mp4"])
def test_the_track_that_ffmpeg_calls_best_is_read_unless_another_is_named(tmp_path, name):
    clip = make_clip(tmp_path / name, frames=3, tracks=[(96, 64)])
    with av.open(str(clip)) as container:
        assert container.streams.best("video").index == 1
    assert read(clip)[0].picture.width == 160
    assert [read(clip, track=n)[0].picture.width for n in (0, 1)] == [96, 160]
    with pytest.raises(UsageError, match=r"--track 2: two\.m.. has video tracks 0 to 1"):
        read(clip, track=2)


def test_one_of_several_sound_tracks_is_read(tmp_path):
    clip = make_clip(tmp_path / "two.mkv", sound=("aac", "aac"))
    with av.open(str(clip)) as container:
        best = container.streams.best("audio").index
    items, _ = items_of(clip)
    sounds = [item.packet for item in items if isinstance(item, AudioPacket)]
    number = best - 1  # the picture is stream 0
    assert [bytes(p) for p in sounds] == [data for _, data in packets(clip, "audio", number)]


def test_a_file_without_a_frame_count_or_a_length_is_read_to_its_end(tmp_path):
    clip = make_clip(tmp_path / "live.mkv", muxer_options={"live": "1"})
    items, source = items_of(clip)
    assert source.info.frames is None and source.info.duration_s is None
    assert len(items) == 24


def test_a_raw_stream_without_times_gets_those_of_its_rate(tmp_path):
    clip = make_clip(tmp_path / "raw.h264", muxer="h264", rate=25, options={"preset": "medium"})
    times = [frame.time_s for frame in read(clip)]
    assert times == pytest.approx([n / 25 for n in range(24)])


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("a.mp4", "libx264"), ("a.gif", "gif"), ("a.webm", "libvpx-vp9"), ("a.ts", "libx264")],
)
def test_one_frame_is_a_video(tmp_path, name, encoder):
    pix_fmt = "rgb8" if encoder == "gif" else "yuv420p"
    clip = make_clip(tmp_path / name, frames=1, encoder=encoder, pix_fmt=pix_fmt)
    with said() as warnings:
        assert len(read(clip)) == 1
    assert not warnings


def test_a_new_size_in_mid_stream_is_scaled_to_the_first(tmp_path):
    parts = [
        make_clip(tmp_path / f"{width}.h264", muxer="h264", size=(width, height), picture=quadrants)
        for width, height in ((160, 96), (320, 192), (96, 160))
    ]
    clip = tmp_path / "changes.h264"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = read(clip)
    assert len(frames) == 72
    assert {(f.picture.width, f.picture.height) for f in frames} == {(160, 96)}
    for frame in frames:
        assert quadrants_of(planes_of(frame.picture)[0]) == BRIGHTEST_FIRST
    seconds = [frame.time_s for frame in frames]
    assert seconds == sorted(set(seconds))


@pytest.mark.parametrize(
    ("name", "encoder"), [("a.mp4", "libx264"), ("a.mkv", "libx265"), ("a.avi", "mpeg4")]
)
def test_after_corrupt_packets_it_goes_on_and_counts_them(tmp_path, name, encoder):
    options = {"x265-params": "keyint=10:log-level=none"} if encoder == "libx265" else {"g": "10"}
    clip = make_clip(tmp_path / name, frames=60, encoder=encoder, options=options)
    with av.open(str(clip)) as container:
        stored = [(p.pos, bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
    data = clip.read_bytes()
    noise = np.random.default_rng(7)
    for pos, packet, is_key in stored[24:27]:
        assert not is_key
        # Some containers put a header of their own between the position and the packet.
        assert 0 <= data.index(packet, pos) - pos < 32
        data = data.replace(packet, noise.bytes(len(packet)), 1)
    clip.write_bytes(data)
    items, source = items_of(clip)
    frames = [item for item in items if isinstance(item, Frame)]
    assert frames[-1].time_s == pytest.approx(59 / 24, abs=0.002)
    assert 50 <= len(frames) <= 60
    assert 1 <= source.corrupt <= 6


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_of_a_truncated_file_all_that_is_there_is_read_and_it_is_said(tmp_path, name):
    movflags = {"movflags": "+faststart"} if name.endswith("mp4") else {}
    clip = make_clip(tmp_path / name, frames=40, rate=10, muxer_options=movflags)
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    with said() as warnings:
        frames = read(clip)
    assert 12 <= len(frames) <= 28
    assert len(warnings) == 1 and "of 4.0 s: what could be read is written" in warnings[0]


def test_a_file_without_its_index_cannot_be_opened(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", frames=40)
    clip.write_bytes(clip.read_bytes()[:-2000])
    with pytest.raises(SourceError, match=r"a\.mp4: is not a video, or is damaged"):
        read(clip)


@pytest.mark.parametrize("what", [{"sound_s": 4.0}, {"last_duration": 72}])
def test_pictures_that_end_before_the_file_does_are_no_loss(tmp_path, what):
    clip = make_clip(tmp_path / "whole.mp4", sound=("aac",), **what)
    with av.open(str(clip)) as container:
        assert container.duration > 3_000_000
    with said() as warnings:
        assert len(read(clip)) == 24
    assert not warnings


@pytest.mark.parametrize(
    ("options", "first", "count"),
    [
        ({"start": 1.0}, 24, 48),
        ({"duration": 0.5}, 0, 12),
        ({"max_frames": 10}, 0, 10),
        ({"start": 1.0, "duration": 0.5}, 24, 12),
        ({"start": 1.5, "max_frames": 10}, 36, 10),
        ({"duration": 0.25, "max_frames": 10}, 0, 6),
        ({"start": 2.9, "duration": 5.0}, 70, 2),
    ],
)
@pytest.mark.parametrize("sound", [("aac",), ()])
def test_start_duration_and_max_frames_cut_frames_and_sound_alike(
    tmp_path, options, first, count, sound
):
    clip = make_clip(tmp_path / "a.mp4", frames=72, sound=sound,
                     options={"preset": "medium", "g": "20"})  # fmt: skip
    items, _ = items_of(clip, **options)
    frames = [item for item in items if isinstance(item, Frame)]
    expected_s = [(first + n) / 24 - options.get("start", 0.0) for n in range(count)]
    assert [frame.time_s for frame in frames] == pytest.approx(expected_s, abs=1e-4)
    assert max(mean_errors(frames[0].picture, decode(clip)[first])) == 0
    heard = [item.packet for item in items if isinstance(item, AudioPacket)]
    assert bool(heard) == bool(sound)
    if heard:
        sound_s = [float(packet.pts * packet.time_base) for packet in heard]
        packet_s = 1024 / 48_000
        end_s = min(expected_s[-1] + 1 / 24, options.get("duration", 9.0))
        assert -packet_s - 0.001 <= sound_s[0] < packet_s
        assert end_s - 2 * packet_s < sound_s[-1] < end_s


def test_a_slow_clip_loses_no_frame_at_its_cut(tmp_path):
    # A decoder with threads holds the picture of 8 s back until the packet of 10 s comes.
    clip = make_clip(tmp_path / "a.mp4", frames=8, rate=Fraction(1, 2), sound=("aac",))
    items, _ = items_of(clip, duration=8.5)
    assert [i.time_s for i in items if isinstance(i, Frame)] == [0, 2, 4, 6, 8]


@pytest.mark.skipif(not THREADS.exists(), reason="threads are listed on Linux only")
@pytest.mark.parametrize(("cores", "most"), [(1, 2), (3, 4), (64, 8)])
def test_a_decoder_has_a_bounded_number_of_threads_that_end_with_it(
    tmp_path, monkeypatch, cores, most
):
    monkeypatch.setattr("vidcam.sources.file.cores", lambda: cores)
    clip = make_clip(tmp_path / "a.mp4")
    before = len(list(THREADS.iterdir()))
    source = open_source(str(clip), FileOptions())
    assert before < len(list(THREADS.iterdir())) <= before + most
    source.close()
    del source
    assert len(list(THREADS.iterdir())) == before
