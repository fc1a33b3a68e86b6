"""Live recordings: what survives a kill, true gaps, seams, flushing, full disks."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from clips import packets, said, times
from stamped import SOUND_RATE, Sound, give, info_of, number_of, numbers, read_stamps, stamp

from vidcam.errors import OutputError, UsageError
from vidcam.options import LiveOptions
from vidcam.sinks.live_encoder import bounds
from vidcam.sinks.recording import RecordingSink
from vidcam.values import Keep

DEADLINE_S = 20.0
LIVES = """
import sys, time
from stamped import Sound, give, info_of
from vidcam.options import LiveOptions
from vidcam.sinks.recording import RecordingSink
path, claimed, real = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sound, sink = Sound(), RecordingSink(path, LiveOptions(), 0, False)
sink.open(info_of(claimed, sound))
start_s = time.monotonic()
for number in range(100_000):
    time.sleep(max(0.0, start_s + number / real - time.monotonic()))
    give(sink, number, number / real, sound)
    sink.tick()
    print(number, flush=True)
"""


def recording(path, rate=30, sound=None, overwrite=False, **options):
    """A sink that is open."""
    sink = RecordingSink(str(path), LiveOptions(**options), 0, overwrite)
    sink.open(info_of(rate, sound))
    return sink


def eventually(condition):
    """Wait until something holds, in real time, for a bounded time."""
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s, "it never came about"
        time.sleep(0.02)


def tone_of(path):
    """Seconds of sound and its main frequency."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return len(samples) / SOUND_RATE, power.argmax() * SOUND_RATE / len(samples)


KILLED = [("mp4", 30, 30), ("mkv", 30, 30), ("mp4", 10, 10), ("mkv", 10, 10), ("mp4", 30, 5),
          ("mov", 5, 5)]  # fmt: skip


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Recordings whose process was killed; `{case: (path, number of the last picture given)}`."""
    folder, found, children = tmp_path_factory.mktemp("killed"), {}, {}
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, (here, here.parent, here.parents[1])))
    for case in KILLED:
        suffix, claimed, real = case
        path = folder / f"{claimed}-{real}.{suffix}"
        children[case] = path, subprocess.Popen(
            [sys.executable, "-c", LIVES, path, str(claimed), str(real)],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
    for case, (path, child) in children.items():
        wanted, last = round(4.3 * case[2]), -1
        while last < wanted:
            last = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        child.wait(DEADLINE_S)
        child.stdout.close()
        found[case] = path, int(rest[-1]) if rest else last
    return found


@pytest.mark.parametrize("case", KILLED)
def test_a_killed_recording_lacks_one_second_at_most_sound_included(killed, case):
    path, last = killed[case]
    rate = case[2]
    stamps = read_stamps(path)
    # At the very end a picture may be there whose B-frames are not.
    whole = next((n for n, (number, _) in enumerate(stamps) if number != n), len(stamps))
    assert len(stamps) - whole <= 3
    assert [time_s for _, time_s in stamps] == pytest.approx(
        [number / rate for number, _ in stamps], abs=0.002
    )
    assert (last + 1 - whole) / rate <= 1.0
    sound_s, hertz = tone_of(path)
    assert last / rate - sound_s <= 1.0
    assert hertz == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [5, 7, 10, 15, 25, 30, 60, 120])
def test_the_bounds_of_the_encoder_hold_less_than_half_a_second(rate):
    lookahead, b_frames, threads = bounds(rate)
    assert (max(lookahead, b_frames) + threads) / rate <= 0.42


def test_closed_at_once_it_is_an_ordinary_file(tmp_path):
    sound = Sound()
    sink = recording(tmp_path / "a.mp4", sound=sound)
    for number in range(45):
        give(sink, number, 7 + number / 30, sound)
    sink.close()
    assert read_stamps(tmp_path / "a.mp4") == [(n, pytest.approx(n / 30)) for n in range(45)]
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].frames == 45
        assert container.duration == pytest.approx(1.5e6, abs=4e4)
    # The sound begins with the first picture, with the packet that lasts until then.
    heard = packets(tmp_path / "a.mp4", "audio")
    assert -0.022 < heard[0][0] <= 0
    assert [data for _, data in heard] == sound.given_from(7.0)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_gaps_are_true_and_the_same_file_goes_on(tmp_path, suffix):
    sound, path = Sound(), tmp_path / f"a.{suffix}"
    sink = recording(path, sound=sound)
    moments = [*(n / 30 for n in range(40)), *(5 + n / 30 for n in range(40)),
               *(6.9 + n / 12.5 for n in range(20))]  # fmt: skip
    for number, time_s in enumerate(moments):
        if number == 40:
            sink.lost("gone")
            sound.skip(5.0)
            sink.changed(info_of(30, sound))
        give(sink, number, time_s, sound)
    sink.close()
    stamps = read_stamps(path)
    assert [number for number, _ in stamps] == list(range(100))
    assert [time_s for _, time_s in stamps] == pytest.approx(moments, abs=0.001)
    heard = [float(time) for time in times(path, "audio")]
    assert not [time for time in heard if 1.5 < time < 4.9]
    assert sum(time > 4.9 for time in heard) == pytest.approx(3.4 * SOUND_RATE / 1024, abs=3)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("how", ["lost", "silence"])
def test_when_the_source_is_silent_all_is_on_the_disk(tmp_path, suffix, how):
    sound, path = Sound(), tmp_path / f"a.{suffix}"
    sink = recording(path, sound=sound)
    for number in range(50):
        give(sink, number, number / 30, sound)
    sink.tick()
    assert len(numbers(path)) < 50
    if how == "lost":
        sink.lost("unplugged")
    else:
        eventually(lambda: sink.tick() or len(numbers(path)) == 50)
    assert numbers(path) == list(range(50))
    assert [data for _, data in packets(path, "audio")] == sound.given_from(0.0)
    sink.changed(info_of(30, sound))
    for number in range(50, 80):
        give(sink, number, 1 + number / 30, sound)
    sink.close()
    assert numbers(path) == list(range(80))


def segments(tmp_path, suffix, sound, count=12):
    """Twelve seconds in twelve files, from 3 s on; the files, and the longest call in seconds."""
    sink = recording(tmp_path / f"part.{suffix}", sound=sound, segment=1.0)
    sound.shift_s, slowest_s = 3.0, 0.0
    for number in range(count * 30):
        # Not on a grid of their own, but for each segment's first.
        time_s = number / 30 + (0.004 if number % 3 else 0)
        fresh = sound.until(time_s + 0.1 * (number % 4))
        start_s = time.monotonic()
        for packet in fresh:
            sink.audio(packet)
        give(sink, number, 3 + time_s)
        sink.tick()
        slowest_s = max(slowest_s, time.monotonic() - start_s)
    sink.close()
    names = [f"part.{suffix}", *(f"part-{n}.{suffix}" for n in range(2, count + 1))]
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    return [tmp_path / name for name in names], slowest_s


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_at_the_seams_no_picture_and_no_sound_is_lost_or_repeated(tmp_path, suffix):
    sound = Sound()
    paths, slowest_s = segments(tmp_path, suffix, sound)
    for n, path in enumerate(paths):
        stamps = read_stamps(path)
        assert [number for number, _ in stamps] == list(range(30 * n, 30 * n + 30))
        assert stamps[0][1] == 0
        assert stamps[-1][1] == pytest.approx(29 / 30 + 0.004, abs=0.001)
        heard = [float(time) for time, _ in packets(path, "audio")]
        assert -0.022 < heard[0] < 0.022 and 0.95 < heard[-1] < (1.01 if n < 11 else 1.3)
    kept = [data for path in paths for _, data in packets(path, "audio")]
    assert kept == sound.given_from(3.0)
    assert slowest_s < 0.4


def test_sound_that_is_encoded_goes_on_across_the_seams(tmp_path):
    sound = Sound("pcm_s16le")
    with said() as warnings:
        paths, _ = segments(tmp_path, "mp4", sound, count=4)
    assert [tone_of(path)[1] for path in paths] == pytest.approx([440] * 4, abs=2)
    assert sum(tone_of(path)[0] for path in paths) == pytest.approx(4.1, abs=0.3)
    assert sum("becomes AAC" in line for line in warnings) == 1


def test_segments_stay_on_the_grid_of_the_first(tmp_path):
    sink = recording(tmp_path / "a.mp4", rate=10, segment=1.0)
    # Pictures every 0.3 s: the first one at or after each full second begins a file.
    for number in range(14):
        give(sink, number, number * 0.3)
    sink.close()
    names = ["a.mp4", "a-2.mp4", "a-3.mp4", "a-4.mp4"]
    assert [numbers(tmp_path / name) for name in names] == [
        [0, 1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12, 13]
    ]  # fmt: skip


@pytest.mark.parametrize("what", ["size", "sound"])
def test_another_size_or_sound_begins_another_file(tmp_path, what):
    size = (256, 144) if what == "size" else (320, 180)
    one, other = Sound(), Sound("libopus" if what == "sound" else "aac")
    sink = recording(tmp_path / "a.mkv", sound=one)
    for number in range(20):
        give(sink, number, number / 30, one)
    sink.lost("its pictures changed")
    sink.changed(info_of(30, other, size))
    other.skip(2.0)
    for number in range(20, 40):
        # 16 blocks of 20 pixels need 320: the smaller picture shows the lower 12 bits.
        give(sink, number, 2 + number / 30, other, size)
    sink.close()
    assert numbers(tmp_path / "a.mkv") == list(range(20))
    with av.open(str(tmp_path / "a-2.mkv")) as container:
        first = next(container.decode(video=0))
        assert (first.width, first.height) == size and first.time == 0
        codec = container.streams.audio[0].codec_context.codec.canonical_name
    assert codec == ("opus" if what == "sound" else "aac")
    assert len(times(tmp_path / "a-2.mkv")) == 20


def test_a_lower_rate_than_was_claimed_is_still_on_the_disk_in_a_second(tmp_path):
    path = tmp_path / "a.mp4"
    sink = recording(path, rate=30)
    # A webcam in the dark: 30 pictures a second are claimed, 5 come, then 15.
    moments = [*(n / 5 for n in range(40)), *(8 + n / 15 for n in range(60))]
    for number, time_s in enumerate(moments):
        give(sink, number, time_s)
        if time_s > 3:
            assert time_s - read_stamps(path)[-1][1] <= 1.0
    sink.close()
    stamps = read_stamps(path)
    assert [number for number, _ in stamps] == list(range(100))
    assert [time_s for _, time_s in stamps] == pytest.approx(moments, abs=0.001)
    with av.open(str(path)) as container:  # backwards, over the change of the parameter sets
        container.seek(9_000_000)
        assert number_of(next(container.decode(video=0))) >= 40
        container.seek(0)
        assert [number_of(picture) for picture in container.decode(video=0)] == list(range(100))


def test_sound_that_is_announced_and_never_comes_holds_nothing_up(tmp_path):
    sink = recording(tmp_path / "a.mp4", sound=Sound())
    for number in range(45):
        give(sink, number, number / 30)
    assert len(numbers(tmp_path / "a.mp4")) > 15
    sink.close()
    assert numbers(tmp_path / "a.mp4") == list(range(45))


def test_sound_that_comes_late_begins_another_file(tmp_path):
    sound, names = Sound(), ("a.mp4", "a-2.mp4")
    sink = recording(tmp_path / "a.mp4", sound=sound)
    for number in range(90):
        if number == 60:
            sound.skip(2.0)
        give(sink, number, number / 30, sound if number >= 60 else None)
    sink.close()
    one, other = (numbers(tmp_path / name) for name in names)
    assert one + other == list(range(90)) and 60 <= len(one) <= 62
    assert len(packets(tmp_path / "a-2.mp4", "audio")) > 35


def test_sound_that_cannot_be_decoded_holds_nothing_up(tmp_path):
    # QuickTime holds no FLAC, so it would become AAC, were it FLAC.
    sound = Sound("pcm_s16le")
    sound.template = Sound("flac").template
    sink = recording(tmp_path / "a.mov", sound=sound)
    for number in range(60):
        give(sink, number, number / 30, sound)
    assert len(numbers(tmp_path / "a.mov")) > 30
    sink.close()
    assert numbers(tmp_path / "a.mov") == list(range(60))


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder that holds 300 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False).returncode
    except OSError:
        done = 1
    if done:
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_full_disk_is_one_sentence_and_what_is_there_plays(tiny_disk, suffix):
    path = tiny_disk / f"a.{suffix}"
    sink = recording(path, crf=0)
    given = 0
    with pytest.raises(OutputError, match=rf"a\.{suffix}: no space left on device$"):
        for given in range(3000):
            give(sink, given, given / 30)
    sink.close(OutputError("said already"))
    found = numbers(path)
    assert found == list(range(len(found))) and len(found) >= given - 30 > 0


def test_a_disk_that_is_full_at_the_end_leaves_all_that_was_written(tiny_disk):
    path = tiny_disk / "a.mp4"
    sink = recording(path)
    for number in range(400):  # so many that the index is larger than what a full disk has left
        give(sink, number, number / 30)
    sink.lost("gone")
    with (tiny_disk / "full").open("wb", buffering=0) as full, contextlib.suppress(OSError):
        for _ in range(1000):
            full.write(bytes(1000))
    with pytest.raises(OutputError, match="no space left on device"):
        sink.close()
    assert numbers(path) == list(range(400))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_that_was_damaged_meanwhile_fails_its_check(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    sink = recording(path)
    for number in range(90):
        give(sink, number, number / 30)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(OutputError, match=rf"a\.{suffix}: (holds|its last|what was written)"):
        sink.close()


def test_a_started_again_recording_gets_the_next_name_and_says_so(tmp_path):
    for _ in range(3):
        with said() as warnings:
            sink = recording(tmp_path / "night.mp4")
            give(sink, 1, 0.0)
            sink.close()
    assert {path.name for path in tmp_path.iterdir()} == {
        "night.mp4", "night-2.mp4", "night-3.mp4"
    }  # fmt: skip
    assert len(warnings) == 1 and "night-3.mp4" in warnings[0]


def test_keep_deletes_after_each_segment(tmp_path):
    mine = tmp_path / "mine.mp4"
    mine.write_bytes(bytes(10_000))
    sink = recording(tmp_path / "cam.mp4", segment=1.0, keep=Keep(size_bytes=1), rate=10)
    for number in range(45):
        give(sink, number, number / 10)
    eventually(lambda: len(list(tmp_path.iterdir())) == 2)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.mp4", "cam-5.mp4"}
    sink.close()
    assert {path.name for path in tmp_path.iterdir()} == {"mine.mp4"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing/a.mp4", "folder .*missing does not exist"),
        ("%Y/a.mp4", "fields of the time go into the file's name"),
        ("a-%Q.mp4", "%Q is no field"),
        ("a.avi", r"\.avi does not survive a crash"),
        ("a.mp5", "unknown container"),
        ("a", "without an ending"),
        ("a.webm", r"\.webm cannot hold h264"),
        ("folder.mp4", "is a folder"),
    ],
)
def test_what_cannot_be_recorded_to_is_refused_before_anything_is_opened(tmp_path, name, sentence):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match=sentence):
        RecordingSink(str(tmp_path / name), LiveOptions(), 0, False)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


def test_a_picture_is_left_as_it_was(tmp_path):
    sink = recording(tmp_path / "a.mp4")
    picture = stamp(7, 5.0)
    before = picture.pts, picture.time_base, picture.pict_type, bytes(picture.planes[0])
    sink.frame(picture, None)
    assert (picture.pts, picture.time_base, picture.pict_type, bytes(picture.planes[0])) == before
    sink.close()


def test_without_pictures_there_is_no_file(tmp_path):
    sink = recording(tmp_path / "a.mp4", sound=Sound())
    for packet in Sound().until(1.0):
        sink.audio(packet)
    sink.tick()
    sink.lost("gone")
    sink.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "cut"), [("mp4", 24), ("mkv", 28)])
def test_an_mp4_whose_index_grows_in_memory_ends_after_twelve_hours(tmp_path, suffix, cut):
    sink = recording(tmp_path / f"long.{suffix}")
    for number in range(28):
        give(sink, number, number * 1800)
    sink.close()
    found = [numbers(tmp_path / f"long{which}.{suffix}") for which in ("", "-2")[: 1 + (cut < 28)]]
    assert [n for part in found for n in part] == list(range(28)) and len(found[0]) == cut


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_after_an_outage_of_hours_another_file_begins(tmp_path, suffix):
    sink = recording(tmp_path / f"night.{suffix}")
    for number in range(20):
        give(sink, number, number / 10 + 8 * 3600 * (number >= 10))
    sink.close()
    assert numbers(tmp_path / f"night.{suffix}") == list(range(10))
    assert numbers(tmp_path / f"night-2.{suffix}") == list(range(10, 20))
