"""What a video becomes on its way through source and sink: times, sound, colours, containers."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import (
    BT601,
    BT709,
    SOUND_RATE,
    blank,
    convert,
    decode,
    make_clip,
    mean_errors,
    packets,
    planes_of,
    quadrants,
    quadrants_of,
    said,
    times,
)

from vidcam.errors import UnknownName, UsageError
from vidcam.options import FileOptions
from vidcam.sinks.file import VideoFileSink
from vidcam.sources import open_source

BT2020, PQ = 9, 16
MILLISECOND = Fraction(1, 1000)
QUIET = {"libx265": (("x265-params", "log-level=none"),)}


def sound_of(path):
    """Name, samples (one channel, float) and rate of a file's sound."""
    with av.open(str(path)) as container:
        name = container.streams.audio[0].codec_context.codec.canonical_name
        frames = list(container.decode(audio=0))
    resampler = av.AudioResampler("flt", "mono")
    pieces = [piece.to_ndarray()[0] for frame in frames for piece in resampler.resample(frame)]
    return name, np.concatenate(pieces), frames[0].sample_rate


@pytest.mark.parametrize(
    ("name", "pts", "time_base"),
    [
        ("a.mp4", [0, 3003, 6006, 6500, 20000, 20001, 90000, 90001], Fraction(1, 90_000)),
        ("a.mp4", range(0, 24 * 1001, 1001), Fraction(1, 24_000)),
        ("a.mkv", [0, 7, 40, 41, 500, 1000, 1001], MILLISECOND),
    ],
)
@pytest.mark.parametrize("preset", ["ultrafast", "medium"])  # without and with B-frames
def test_a_variable_frame_rate_keeps_its_times_exactly(tmp_path, name, pts, time_base, preset):
    clip = make_clip(tmp_path / name, pts=pts, time_base=time_base)
    convert(clip, tmp_path / "out.mp4", preset=preset)
    assert times(tmp_path / "out.mp4") == [time * time_base for time in pts]


def test_the_last_frame_stays_as_long_as_it_did(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", last_duration=12)
    convert(clip, tmp_path / "out.mp4")
    with av.open(str(clip)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert before.duration == pytest.approx(35 / 24 * 1e6, abs=1)
        assert after.duration == pytest.approx(before.duration, abs=1e6 / 24 + 1)


def test_two_outputs_of_one_run_do_not_spoil_each_others_times(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", rate=30)
    source = open_source(str(clip), FileOptions(), audio=False)
    sinks = [
        VideoFileSink(tmp_path / name, FileOptions(encoder=encoder))
        for name, encoder in (("coarse.gif", "gif"), ("fine.mp4", "libx264"))
    ]
    for sink in sinks:
        sink.open(source.info)
    for frame in source:
        for sink in sinks:
            sink.frame(frame.picture, blank(frame))
    for sink in sinks:
        sink.close()
    source.close()
    assert times(tmp_path / "fine.mp4") == [Fraction(n, 30) for n in range(24)]


@pytest.mark.parametrize("codec", ["aac", "libopus", "libmp3lame"])
@pytest.mark.parametrize("origin", ["in.mp4", "in.mkv"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_sound_packets_are_copied_byte_for_byte(tmp_path, codec, origin, name):
    clip = make_clip(tmp_path / origin, sound=(codec,))
    with said() as warnings:
        convert(clip, tmp_path / name)
    before, after = packets(clip, "audio"), packets(tmp_path / name, "audio")
    assert len(before) > 20
    assert [data for _, data in after] == [data for _, data in before]
    offset = times(tmp_path / name)[0] - times(clip)[0]
    late = [abs(b - a - offset) for (a, _), (b, _) in zip(before, after, strict=True)]
    assert max(late) <= (0 if origin == name.replace("out", "in") else MILLISECOND)
    assert not warnings


def test_sound_of_a_transport_stream_is_copied_without_its_headers(tmp_path):
    clip = make_clip(tmp_path / "a.ts", sound=("aac",))
    with said() as warnings:
        convert(clip, tmp_path / "out.mp4")
    header_bytes = 7
    before, after = packets(clip, "audio"), packets(tmp_path / "out.mp4", "audio")
    assert [data for _, data in after] == [data[header_bytes:] for _, data in before]
    assert not warnings


@pytest.mark.parametrize(
    ("codec", "origin", "name", "becomes"),
    [
        ("pcm_s16le", "in.mkv", "out.mp4", "aac"),
        ("vorbis", "in.mkv", "out.mp4", "aac"),
        ("pcm_alaw", "in.mov", "out.mp4", "aac"),
        ("pcm_mulaw", "in.avi", "out.mp4", "aac"),
        ("pcm_mulaw", "in.avi", "out.mkv", "aac"),
        ("pcm_s16le", "in.mkv", "out.mov", "aac"),
        ("aac", "in.mp4", "out.webm", "opus"),
        ("libopus", "in.mkv", "out.mov", "aac"),
        ("flac", "in.mkv", "out.mov", "aac"),
    ],
)
@pytest.mark.parametrize("rate", [48_000, 44_100, 8_000])
def test_other_sound_is_encoded_and_that_is_said_once(tmp_path, codec, origin, name, becomes, rate):
    if codec in ("libopus", "vorbis") and rate != SOUND_RATE:
        pytest.skip("FFmpeg's encoder takes this codec at 48 kHz only")
    clip = make_clip(tmp_path / origin, frames=36, sound=(codec,), sound_rate=rate)
    with said() as warnings:
        convert(clip, tmp_path / name, encoder="libvpx-vp9" if "webm" in name else "libx264")
    assert len(warnings) == 1 and becomes in warnings[0].lower()
    found, samples, found_rate = sound_of(tmp_path / name)
    assert found == becomes
    assert len(samples) / found_rate == pytest.approx(36 / 24, abs=0.1)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert power.argmax() * found_rate / len(samples) == pytest.approx(330, abs=2)


def test_a_container_without_sound_loses_it_and_says_so(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", rate=25, sound=("aac",))
    with said() as warnings:
        convert(clip, tmp_path / "a.gif", encoder="gif")
    assert len(times(tmp_path / "a.gif")) == 24
    assert len(warnings) == 1 and "sound" in warnings[0]


def test_no_audio_leaves_the_sound_out(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", sound=("aac",))
    convert(clip, tmp_path / "out.mp4", audio=False)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize(
    ("origin", "encoder", "pix_fmt", "matrix", "primaries", "transfer"),
    [
        ("a.mp4", "libx264", "yuv420p", BT709, BT709, BT709),
        ("a.mp4", "libx264", "yuv420p", BT601, BT601, BT601),
        ("a.mp4", "libx264", "yuvj420p", BT709, BT709, BT709),
        ("a.mp4", "libx264", "yuvj420p", BT601, BT601, BT601),
        ("a.avi", "mjpeg", "yuvj420p", 5, 2, 2),
        ("a.mkv", "mjpeg", "yuvj422p", 5, 2, 2),
        ("a.mp4", "libx264", "yuv420p10le", BT709, BT709, BT709),
        ("a.mp4", "libx265", "yuv420p10le", BT2020, BT2020, PQ),
        ("a.mp4", "libx264", "yuv444p", BT601, BT601, BT601),
        ("a.webm", "libvpx-vp9", "yuv420p", BT709, BT709, BT709),
        ("a.mp4", "libx264", "yuv420p", 2, 2, 2),
    ],
)
def test_colours_keep_their_tags_and_their_levels(
    tmp_path, origin, encoder, pix_fmt, matrix, primaries, transfer
):
    full = pix_fmt.startswith("yuvj")
    clip = make_clip(tmp_path / origin, frames=8, size=(320, 180), encoder=encoder,
                     pix_fmt=pix_fmt, matrix=matrix, full=full, primaries=primaries,
                     transfer=transfer)  # fmt: skip
    convert(clip, tmp_path / "out.mp4", crf=18)
    before, after = decode(clip), decode(tmp_path / "out.mp4")
    for one, other in zip(before, after, strict=True):
        assert max(mean_errors(one, other)) < 2
        assert other.format.name == ("yuvj420p" if full else "yuv420p")
        tags = other.colorspace, other.color_primaries, other.color_trc
        assert tags == (matrix, primaries, transfer)
        assert other.color_range == (2 if full else 0 if matrix == 2 else 1)


def test_a_sample_aspect_ratio_is_kept(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", aspect=Fraction(16, 15))
    convert(clip, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


@pytest.mark.parametrize(
    ("encoder", "name", "codec"),
    [
        ("libx264", "out.mov", "h264"), ("libx264", "out.avi", "h264"),
        ("libx264", "out.ts", "h264"), ("libx264", "out.flv", "h264"),
        ("libx265", "out.mp4", "hevc"), ("libx265", "out.mkv", "hevc"),
        ("libvpx-vp9", "out.webm", "vp9"), ("libvpx-vp9", "out.mp4", "vp9"),
        ("libsvtav1", "out.mp4", "av1"), ("libsvtav1", "out.webm", "av1"),
        ("mpeg4", "out.mp4", "mpeg4"), ("mpeg4", "out.avi", "mpeg4"),
        ("mjpeg", "out.avi", "mjpeg"), ("mjpeg", "out.mkv", "mjpeg"),
        ("gif", "out.gif", "gif"), ("ffv1", "out.mkv", "ffv1"),
    ],
)  # fmt: skip
def test_other_encoders_and_containers_work(tmp_path, encoder, name, codec):
    # GIF has no sound; AVI cannot say that AAC begins 21 ms before the pictures.
    sound = () if name.endswith(("gif", "avi")) else ("aac",)
    clip = make_clip(tmp_path / "a.mp4", rate=25, picture=quadrants, sound=sound)
    convert(clip, tmp_path / name, encoder=encoder, encoder_option=QUIET.get(encoder, ()))
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == codec
    seconds = [float(time - times(tmp_path / name)[0]) for time in times(tmp_path / name)]
    assert seconds == pytest.approx([n / 25 for n in range(24)], abs=0.001)
    for picture in decode(tmp_path / name):
        if picture.format.is_rgb:
            picture = picture.reformat(format="yuv420p")
        luma = planes_of(picture)[0]
        if encoder == "mjpeg":  # full range: 16..235 becomes 0..255
            luma = luma * 219 / 255 + 16
        assert quadrants_of(luma) == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("name", "options", "error", "sentence"),
    [
        ("out.mp5", {}, UnknownName, r"unknown container '\.mp5'; nearest: .*\.mp4"),
        ("out", {}, UsageError, r"without an ending; write .*out\.mp4"),
        ("out.mp4", {"encoder": "libx624"}, UnknownName, "unknown encoder .*libx264"),
        ("out.mp4", {"encoder": "aac"}, UnknownName, "unknown video encoder 'aac'"),
        ("out.webm", {}, UsageError, r"\.webm cannot hold h264; .*libvpx-vp9"),
        ("out.mp4", {"encoder_option": (("tun", "film"),)}, UnknownName, "'tun'; nearest: tune"),
        ("out.mp4", {"encoder_option": (("tune", "noir"),)}, UsageError, "tune=noir"),
        ("out.mp4", {"preset": "quick"}, UsageError, "preset '?quick"),
        ("out.mp4", {"encoder": "libsvtav1", "preset": "slow"}, UsageError, "--preset slow"),
        ("out.mp4", {"encoder": "libx265", "crf": 60, "encoder_option": QUIET["libx265"]},
         UsageError, "--crf 60"),
        ("missing/out.mp4", {}, UsageError, "folder .*missing does not exist"),
        ("folder.mp4", {}, UsageError, "is a folder"),
        ("there.mp4", {}, UsageError, "exists already; -y replaces it"),
    ],
)  # fmt: skip
def test_an_output_that_cannot_be_is_refused_before_any_work(
    tmp_path, name, options, error, sentence
):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "there.mp4").write_text("mine")
    with pytest.raises(error, match=sentence):
        VideoFileSink(tmp_path / name, FileOptions(**options))
    assert {entry.name for entry in tmp_path.iterdir()} == {"folder.mp4", "there.mp4"}
    assert (tmp_path / "there.mp4").read_text() == "mine"


def test_the_index_is_in_front(tmp_path):
    convert(make_clip(tmp_path / "a.mp4"), tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_the_command_keeps_times_and_sound_and_counts_what_is_corrupt(tmp_path, vidcam):
    pts = [0, 40, 47, 90, *range(200, 3000, 40)]
    clip = make_clip(tmp_path / "a.mkv", pts=pts, time_base=MILLISECOND, sound=("pcm_s16le",),
                     options={"g": "20"})  # fmt: skip
    broken = packets(clip)[30][1]
    data = clip.read_bytes()
    assert data.count(broken) == 1
    clip.write_bytes(data.replace(broken, bytes(reversed(broken))))
    out, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    done = vidcam("file", clip, "-o", out, "--jsonl", lines, "--cam", "none", "--topk", "0")
    assert done.returncode == 0, done.stderr
    kept = [round(time * 1000) for time in times(out)]
    assert kept == [time for time in pts if time in kept] and len(kept) >= len(pts) - 1
    assert sound_of(out)[0] == "aac"
    assert len(lines.read_text().splitlines()) == len(kept)
    assert done.stderr.count("becomes AAC") == 1
    assert "warning: a.mkv: 1 corrupt packet" in done.stderr
