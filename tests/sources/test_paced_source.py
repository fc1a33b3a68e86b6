"""Files, progressive URLs and test patterns, played in real time."""

import threading
import time
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from clips import decode, make_clip, quadrants, quadrants_of
from live_run import LiveRun, Taken

from vidcam.errors import SourceError, UsageError
from vidcam.yuv import planes

TICK_S = 1 / 90_000


@pytest.fixture
def run():
    return LiveRun()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Half a second with sound: 12 different frames at 24 fps."""
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=12, sound=("aac",))


def luma_of(picture):
    return planes(picture)[0].astype(int)


def number_in(pictures, frame):
    """Which of `pictures` a frame shows."""
    return int(
        np.argmin([np.abs(luma_of(one) - luma_of(frame.picture)).mean() for one in pictures])
    )


def test_a_test_pattern_comes_at_its_rate(run):
    taken = run.take("lavfi:testsrc2=size=64x48:rate=25", 26)
    assert taken.steps_s == pytest.approx([0.04] * 25, abs=2 * TICK_S)
    captured = [frame.captured_s for frame in taken.frames]
    assert 0.95 < captured[-1] - captured[0] < 1.5
    for frame in taken.frames:
        assert frame.time_s <= frame.captured_s - run.clock.start_s + TICK_S
    assert [frame.index for frame in taken.frames] == list(range(26))
    info = taken.info
    assert info.live and (info.width, info.height, info.rate) == (64, 48, 25)
    assert taken.frames[0].picture.time_base == info.time_base == Fraction(1, 90_000)
    assert {frame.picture.duration for frame in taken.frames} == {3600}


def test_the_end_of_a_pattern_is_its_end(run):
    with run.source("lavfi:testsrc2=size=64x48:rate=25:duration=0.2", coded=True) as source:
        taken = Taken(source)
        assert source.ends and taken.ended and len(taken.frames) == 5
    assert taken.info.coded is None and not taken.coded


def test_a_file_is_played_in_real_time_with_its_sound(run, clip):
    began_s = time.monotonic()
    taken = run.take(clip, 12, coded=True)
    assert 0.4 < time.monotonic() - began_s < 1.5
    assert taken.steps_s == pytest.approx([1 / 24] * 11, abs=2 * TICK_S)
    assert [number_in(decode(clip), frame) for frame in taken.frames] == list(range(12))
    assert len(taken.coded) == 12 and taken.coded[0].packet.is_keyframe
    assert min(p.packet.pts * p.packet.time_base for p in taken.coded) == pytest.approx(
        taken.times_s[0], abs=0.001
    )
    first = taken.sounds[0].packet
    assert float(first.pts * first.time_base) == pytest.approx(taken.times_s[0], abs=0.05)


def test_a_file_in_a_loop_has_no_gap(run, clip):
    with run.source(clip, loop=True) as source:
        assert not source.ends
    taken = run.take(clip, 40, loop=True)
    assert taken.steps_s == pytest.approx([1 / 24] * 39, abs=2 * TICK_S)
    shown = [number_in(decode(clip), frame) for frame in taken.frames]
    assert shown == [n % 12 for n in range(40)]
    stamps = [sound.packet.dts for sound in taken.sounds]
    assert all(later > one for one, later in pairwise(stamps))
    assert stamps[-1] - stamps[0] > 48_000  # three rounds of half a second


def test_templates_and_packets_outlive_the_file(run, clip, tmp_path):
    taken = run.take(clip, 12, coded=True)
    copy = tmp_path / "copy.mkv"
    with av.open(str(copy), "w") as container:
        video = container.add_stream_from_template(taken.info.coded, opaque=True)
        sound = container.add_stream_from_template(taken.info.audio)
        for stream, items in ((video, taken.coded), (sound, taken.sounds)):
            for item in items:
                item.packet.stream = stream
                container.mux(item.packet)
    assert [luma_of(one).tolist() for one in decode(copy)] == [
        luma_of(one).tolist() for one in decode(clip)
    ]
    with av.open(str(copy)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 20_000


def test_without_sound_none_is_read(run, clip):
    taken = run.take(clip, 12, audio=False)
    assert taken.info.audio is None and not taken.sounds and not taken.coded


def test_a_slow_taker_gets_every_picture_and_no_debt_grows(run):
    with run.source("lavfi:testsrc2=size=64x48:rate=25") as source:
        frames = []
        for frame in source:
            frames.append(frame)
            if len(frames) == 5:
                threading.Event().wait(1.2)  # nobody takes for so long
            if len(frames) == 15:
                break
    assert [frame.index for frame in frames] == list(range(15))
    times = [frame.time_s for frame in frames]
    assert times[5] - times[4] == pytest.approx(1.2, abs=0.3)
    late = [frame.captured_s - run.clock.start_s - frame.time_s for frame in frames[5:]]
    assert max(late) < 0.3


def test_waiting_for_a_picture_ends_when_the_run_stops(run):
    with run.source("lavfi:testsrc2=size=64x48:rate=1/50") as source:
        threading.Timer(0.2, run.stop.set).start()
        began_s = time.monotonic()
        assert len(list(source)) == 1
        assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    ("flip", "order"),
    [("none", [0, 1, 2, 3]), ("horizontal", [1, 0, 3, 2]), ("vertical", [2, 3, 0, 1]),
     ("both", [3, 2, 1, 0])],
)  # fmt: skip
def test_pictures_are_flipped(run, tmp_path, flip, order):
    path = make_clip(tmp_path / "q.mp4", frames=2, picture=quadrants)
    levels = quadrants_of(luma_of(run.take(path, 1).frames[0].picture))
    flipped = quadrants_of(luma_of(run.take(path, 1, flip=flip).frames[0].picture))
    assert flipped == [levels[place] for place in order] and len(set(levels)) == 4


@pytest.mark.parametrize(
    ("uri", "kind", "cause", "words"),
    [
        ("gone.mp4", SourceError, "not found", "neither a file nor a camera"),
        ("lavfi:nonsense", SourceError, "filter not found", "lavfi:nonsense"),
        ("srt://u:secret@host:1", UsageError, None, r"srt://\*\*\*@host:1: no srt sources here"),
    ],
)
def test_what_cannot_be_opened_says_why(run, uri, kind, cause, words):
    with pytest.raises(kind, match=words) as caught:
        run.take(uri, 1)
    assert getattr(caught.value, "cause", None) == cause


def test_what_is_no_video_says_so(run, tmp_path):
    (tmp_path / "a.mp4").write_text("just some text\n" * 200)
    with pytest.raises(SourceError, match=r"a\.mp4: is not a video") as caught:
        run.take(tmp_path / "a.mp4", 1)
    assert caught.value.cause == "invalid data"
