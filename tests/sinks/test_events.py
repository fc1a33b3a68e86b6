"""The sink of label changes: records, several sources, several listeners, pictures."""

import json
import logging
import os
import sys
import time
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

import numpy as np
import pytest
from clips import picture_of, read, said
from PIL import Image
from seen import CAT, DOG, MUG, UNKNOWN, picture, seen

from vidcam.compositor import Compositor
from vidcam.errors import OutputError, UsageError
from vidcam.options import FileOptions, LiveOptions
from vidcam.sinks.events import EventSink, LabelLog, event_sinks
from vidcam.sinks.snapshots import Snapshots
from vidcam.types import Prediction, Rect, Result, StreamInfo
from vidcam.yuv import planes

DEADLINE_S = 20
INFO = StreamInfo("cam", "lavfi:x", 64, 48, Fraction(10), Fraction(1, 1000), live=True)


def feed(sink, labels, start_s=0.0, image=None):
    """Ten frames a second, each drawn and then classified; their pictures are drawn on then."""
    for n, label in enumerate(labels):
        result = seen(label, start_s + n / 10, image=image(n, label) if image else None)
        sink.frame(result.frame.picture, result)
        sink.classified(result)
        planes(result.frame.picture)[0][:] = 0


def settle(sink, told, count):
    """Tick as the pipeline does, until so many events have been told."""
    deadline_s = time.monotonic() + DEADLINE_S
    while len(told) < count:
        assert time.monotonic() < deadline_s
        sink.tick()
        time.sleep(0.005)


def records(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_record_holds_every_field(tmp_path):
    path = tmp_path / "events.jsonl"
    with event_sinks(LiveOptions(), str(path), labels_logged=False) as make:
        sink = make("cam 0", 0)
        sink.open(INFO)
        feed(sink, [CAT] * 10 + [MUG] * 10)
        began_s = time.time()
        first, second = records(path)
    when = datetime.fromisoformat(second.pop("time"))
    assert when.tzinfo is not None and when.timestamp() == pytest.approx(began_s, abs=2)
    assert second == {
        "source": "cam 0",
        "time_s": 1.0,
        "confirmed_s": 1.5,
        "before": {"index": 281, "label": "虎斑猫", "label_en": "tabby", "score": 0.83},
        "after": {"index": 504, "label": "咖啡杯", "label_en": "coffee mug", "score": 0.6},
        "frame": 10,
    }
    assert first["before"] is None and "虎斑猫" in path.read_text("utf-8")


def test_two_sources_share_a_file_and_keep_their_own_counts(tmp_path):
    path = tmp_path / "events.jsonl"
    with event_sinks(LiveOptions(confirm=0.3), str(path), labels_logged=False) as make:
        sinks = [make("door", 0), make("yard", 1)]
        for n in range(10):
            for sink, label in zip(sinks, (CAT, (CAT, DOG)[n // 5]), strict=True):
                sink.classified(seen(label, n / 10))
        sinks[0].close()
        feed(sinks[1], [UNKNOWN] * 5, 1.0)
    found = [(r["source"], r["before"] and r["before"]["index"], r["after"]["index"])
             for r in records(path)]  # fmt: skip
    assert found == [
        ("door", None, 281),
        ("yard", None, 281),
        ("yard", 281, 207),
        ("yard", 207, -1),
    ]


def test_with_confirm_0_the_file_has_each_change_at_once(tmp_path):
    path = tmp_path / "events.jsonl"
    with event_sinks(LiveOptions(confirm=0), str(path), labels_logged=False) as make:
        sink = make("cam", 0)
        for n, label in enumerate((CAT, MUG, MUG, CAT)):
            sink.classified(seen(label, n / 10))
            assert len(records(path)) == (1, 2, 2, 3)[n]


def test_a_password_is_in_no_record(tmp_path):
    path = tmp_path / "events.jsonl"
    with event_sinks(LiveOptions(confirm=0), str(path), labels_logged=False) as make:
        make("rtsp://me:secret@door/1", 0).classified(seen(CAT, 0))
    assert records(path)[0]["source"] == "rtsp://***@door/1"


def test_nobody_to_tell_makes_no_sink():
    with event_sinks(LiveOptions(), None, labels_logged=False) as make:
        assert make is None


@pytest.mark.parametrize(
    ("options", "said_of"), [({"on_event": "no-such-program"}, "no program"),
                             ({"event_snapshots": "/dev/null/x"}, "is a file")],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_before_a_file_is_made(tmp_path, options, said_of):
    path = tmp_path / "events.jsonl"
    with (
        pytest.raises(UsageError, match=said_of),
        event_sinks(LiveOptions(**options), str(path), labels_logged=True),
    ):
        pass
    assert not path.exists()


def test_the_log_has_a_line_an_event():
    with said(logging.INFO) as lines, event_sinks(LiveOptions(), None, labels_logged=True) as make:
        feed(make("cam", 0), [CAT] * 10 + [UNKNOWN] * 10 + [MUG] * 10)
    assert lines == ["虎斑猫 83 %", "未知 (was: 虎斑猫)", "咖啡杯 60 % (was: 未知)"]
    with said(logging.INFO) as lines:
        EventSink([LabelLog(with_source=True)], LiveOptions(confirm=0), "door", 0).classified(
            seen(CAT, 0)
        )
    assert lines == ["door: 虎斑猫 83 %"]


def test_a_full_disk_stops_that_file_and_the_others_are_told():
    told = []
    with (
        said() as lines,
        event_sinks(LiveOptions(confirm=0), "/dev/full", labels_logged=True) as make,
    ):
        sink, other = make("cam", 0), make("yard", 1)
        sink._emits.append(told.append)
        for n, label in enumerate((CAT, MUG, CAT)):
            sink.classified(seen(label, n))
            other.classified(seen(label, n))
        other.close()
        with pytest.raises(OutputError, match="/dev/full: no space"):
            sink.close()
    assert len(told) == 3
    assert lines == ["/dev/full: no space left on device"]


def test_a_full_disk_ends_a_sink_that_has_nobody_else_to_tell():
    with event_sinks(LiveOptions(confirm=0), "/dev/full", labels_logged=False) as make:
        sink = make("cam", 0)
        with pytest.raises(OutputError, match="/dev/full: no space"):
            sink.classified(seen(CAT, 0))
        sink.close(OutputError("as the pipeline does"))


def test_a_command_that_hangs_never_delays_a_result(tmp_path):
    options = LiveOptions(confirm=0, on_event="sleep 1000")
    longest_s = 0.0
    with event_sinks(options, None, labels_logged=False) as make:
        sink = make("cam", 0)
        for n in range(200):
            result = seen((CAT, MUG)[n % 2], n / 10)
            start_s = time.perf_counter()
            sink.classified(result)
            longest_s = max(longest_s, time.perf_counter() - start_s)
        start_s = time.monotonic()
    assert longest_s < 0.1
    assert time.monotonic() - start_s < 1.7


def test_the_command_finds_the_pictures_where_it_is_told(tmp_path):
    code = (
        "import os, shutil; e = os.environ;"
        "shutil.copy(e['VIDCAM_EVENT_SNAPSHOT_BEFORE'], 'b.jpg');"
        "shutil.copy(e['VIDCAM_EVENT_SNAPSHOT_AFTER'], 'a.new');"
        "os.rename('a.new', 'a.jpg')"
    )
    script = tmp_path / "copy.py"
    script.write_text(f"import os; os.chdir({str(tmp_path)!r})\n" + code.replace("; e =", "\ne ="))
    options = LiveOptions(
        on_event=f"{sys.executable} {script}", event_snapshots=str(tmp_path / "s")
    )
    deadline_s = time.monotonic() + DEADLINE_S
    with event_sinks(options, None, labels_logged=False) as make:
        sink = make("cam", 0)
        feed(sink, [CAT] * 10 + [MUG] * 10)
        while not (tmp_path / "a.jpg").exists():
            assert time.monotonic() < deadline_s
            sink.tick()
            time.sleep(0.005)
    assert (tmp_path / "b.jpg").exists()


GREYS = {281: 60, 504: 150}


def grey(n, label):
    """A picture whose level tells its label and its number."""
    luma = np.full((48, 64), GREYS[label.index] + 2 * n, float)
    return picture_of((luma, np.full_like(luma, 128), np.full_like(luma, 128)), "yuv420p")


def level_of(path):
    with Image.open(path) as found:
        # Limited range: 16..235 became 0..255.
        return round(np.asarray(found).mean() * 219 / 255 + 16)


@pytest.fixture
def snapshots(tmp_path):
    """Snapshots into a folder of the test's."""
    made = Snapshots(tmp_path / "s")
    yield made
    made.close()


def test_pictures_are_the_last_kept_one_before_and_the_first_one_confirmed(snapshots):
    told = []
    sink = EventSink([told.append], LiveOptions(), "cam", 3, snapshots)
    sink.open(INFO)
    feed(sink, [CAT] * 20 + [MUG] * 10, image=grey)
    settle(sink, told, 2)
    first, second = told
    assert first.snapshots["before"] is None
    assert level_of(first.snapshots["after"]) == pytest.approx(60 + 2 * 6, abs=1)
    # Kept from the confirmation at 0.5 s on, every three frames: the last one is number 18.
    assert level_of(second.snapshots["before"]) == pytest.approx(60 + 2 * 18, abs=1)
    assert level_of(second.snapshots["after"]) == pytest.approx(150 + 2 * 26, abs=1)
    names = [os.path.basename(path) for path in second.snapshots.values()]
    assert names[0].endswith("-cam3-before-虎斑猫.jpg")
    assert names[1].endswith("-cam3-after-咖啡杯.jpg")
    assert names[0][:19] == names[1][:19]
    assert second.as_record()["snapshots"] == second.snapshots


def test_the_picture_after_is_one_that_shows_the_new_label(snapshots):
    told = []
    sink = EventSink([told.append], LiveOptions(confirm=0), "cam", 0, snapshots)
    sink.classified(seen(CAT, 0))
    late = seen(MUG, 0.1, image=grey(1, MUG))
    sink.frame(late.frame.picture, late)
    after = seen(CAT, 0.2, image=grey(2, CAT))
    sink.frame(after.frame.picture, after)
    settle(sink, told, 1)
    assert level_of(told[0].snapshots["after"]) == pytest.approx(60 + 2 * 2, abs=1)


def test_an_event_waits_no_longer_when_the_next_one_has_come(snapshots):
    told = []
    sink = EventSink([told.append], LiveOptions(confirm=0), "cam", 0, snapshots)
    sink.classified(seen(CAT, 0))
    assert told == []
    sink.classified(seen(MUG, 0.1))
    assert [event.after.index for event in told] == [281]


def test_the_picture_before_is_a_copy_in_a_buffer_that_is_used_again(snapshots):
    sink = EventSink([], LiveOptions(confirm=0), "cam", 0, snapshots)
    buffers = set()
    for n in range(50):
        result = seen(CAT, n / 20, image=grey(n, CAT))
        sink.classified(result)
        sink.frame(result.frame.picture, result)
        buffers.add(sink._kept.picture.planes[0].buffer_ptr)
        assert sink._kept.picture.planes[0].buffer_ptr != result.frame.picture.planes[0].buffer_ptr
        assert result.frame.time_s - sink._kept.time_s < 0.25
    assert len(buffers) == 1


def test_another_size_after_a_loss_is_no_trouble(snapshots):
    told = []
    sink = EventSink([told.append], LiveOptions(), "cam", 0, snapshots)
    sink.open(INFO)
    feed(sink, [CAT] * 10)
    sink.lost("timeout")
    sink.changed(replace(INFO, width=128, height=96, sample_aspect_ratio=Fraction(3, 2)))
    feed(sink, [MUG] * 10, 5.0, image=lambda n, label: picture((128, 96)))
    settle(sink, told, 2)
    sizes = []
    for path in told[1].snapshots.values():
        with Image.open(path) as found:
            sizes.append(found.size)
    assert sizes == [(64, 48), (192, 96)]


def test_an_event_whose_picture_never_comes_is_told_in_time(snapshots):
    told = []
    sink = EventSink([told.append], LiveOptions(confirm=0), "cam", 0, snapshots)
    sink.classified(seen(CAT, 0))
    assert told == []
    settle(sink, told, 1)  # of its own, after a second
    sink.classified(seen(MUG, 1))
    sink.lost("timeout")
    assert len(told) == 2
    sink.classified(seen(CAT, 2))
    sink.close()
    assert [event.after.index for event in told] == [281, 504, 281]
    assert all(event.snapshots == {"before": None, "after": None} for event in told)


def test_closing_waits_for_the_pictures_on_their_way(snapshots):
    told = []
    sink = EventSink([told.append], LiveOptions(), "cam", 0, snapshots)
    feed(sink, [CAT] * 20 + [MUG] * 7)
    sink.close()
    assert len(told) == 2
    assert all(os.path.exists(path) for path in told[1].snapshots.values())


def test_pictures_of_a_real_clip_carry_labels_and_heat(snapshots, cat_clip):
    """Compared with the same frames composed again."""
    told, kept = [], {}
    sink = EventSink([told.append], LiveOptions(confirm=0.2), "cat.mp4", 0, snapshots)
    compose = Compositor(FileOptions(lang=("zh", "en")))
    heat = np.zeros((7, 7), np.float32)
    heat[2:5, 3:6] = 1
    for frame in read(cat_clip, max_frames=40):
        score = CAT if frame.index < 20 else MUG
        prediction = Prediction(
            (score, DOG), (score, DOG), Rect(0, 0, 1280, 720), heat, score.index
        )
        result = Result(frame, prediction, 0.01)
        image = compose(result)
        kept[frame.index] = image.to_ndarray(format="rgb24")
        sink.frame(image, result)
        sink.classified(result)
    settle(sink, told, 2)
    for when, index in (("before", 15), ("after", 27)):
        with Image.open(told[1].snapshots[when]) as found:
            assert found.size == (1280, 720)
            difference = np.abs(np.asarray(found).astype(int) - kept[index].astype(int))
        assert difference.mean() < 4, when
