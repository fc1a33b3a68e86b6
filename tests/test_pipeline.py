"""The one flow: everything in order, the options that thin out the work, and a clean end."""

import threading
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from vidcam.compositor import Compositor
from vidcam.drive import drive
from vidcam.errors import Interrupted, UsageError
from vidcam.feed import Feed, WholeReader
from vidcam.options import FileOptions
from vidcam.pipeline import Pipeline
from vidcam.policy import AUTO_BATCH, Policy
from vidcam.sinks import Sink
from vidcam.sources import open_source
from vidcam.station import Group, Station
from vidcam.stats import SourceStats
from vidcam.types import AudioPacket, Frame, Result

SMALL = "lavfi:testsrc2=size=320x180:rate=25"


class Recorder(Sink):
    """A sink that keeps what it is told."""

    def __init__(self, close=None):
        self.info, self.items, self.sizes, self.closed_with = None, [], [], []
        self._close = close

    def open(self, info):
        self.info = info

    def frame(self, picture, result):
        self.items.append(result)
        self.sizes.append((picture.width, picture.height))

    def audio(self, packet):
        self.items.append(packet)

    def close(self, error=None):
        self.closed_with.append(error)
        if self._close:
            raise self._close


class Endless:
    """Frames without an end, counted; at frame `ends_at` it calls `then` and ends."""

    def __init__(self, ends_at=None, then=lambda: None):
        self._inner = open_source(SMALL, FileOptions(duration=3600.0))
        self._ends_at, self._then = ends_at, then
        self.info, self.corrupt, self.given, self.closed = self._inner.info, 0, 0, False

    def __iter__(self):
        for item in self._inner:
            if self.given == self._ends_at:
                self._then()
                return
            self.given += 1
            yield item

    def close(self):
        self.closed = True
        self._inner.close()


def pipeline_of(session, source, options, classifier=None):
    """A pipeline over one source, with the policy of `vidcam file`."""
    classifier = classifier or session.classifier
    feed = Feed(WholeReader(source), SourceStats("a"), session.geometry, classifier, options)
    policy = Policy(True, options.batch or AUTO_BATCH, options.stride)
    return Pipeline([feed], classifier, options, policy)


def given_by(pipeline):
    """All results and sounds."""
    items = [given[1] for given in pipeline if given is not None]
    return [item for item in items if isinstance(item, Result | AudioPacket)]


@pytest.fixture
def explain(session):
    """Runs a pipeline over a source; gives (results, stats)."""

    def run(uri=SMALL, **options):
        parsed = replace(session.options, **{"max_frames": 12} | options)
        source = open_source(uri, parsed)
        pipeline = pipeline_of(session, source, parsed)
        results = given_by(pipeline)
        pipeline.close()
        return results, pipeline.stats

    return run


def live_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("vidcam")]


def kind_and_time(item):
    if isinstance(item, AudioPacket):
        return "sound", item.packet.pts
    return "picture", (item.frame if isinstance(item, Result) else item).picture.pts


def test_pictures_and_sound_come_out_in_the_order_of_the_source(explain, cat_clip):
    source = open_source(str(cat_clip), FileOptions(max_frames=20))
    expected = [kind_and_time(item) for item in source]
    source.close()
    results, stats = explain(str(cat_clip), max_frames=20)
    assert [kind_and_time(item) for item in results] == expected
    assert {"sound", "picture"} == {kind for kind, _ in expected}
    frames = [item.frame.index for item in results if isinstance(item, Result)]
    assert frames == list(range(20)) and stats.read == 20


@pytest.mark.parametrize("count", [1, AUTO_BATCH, AUTO_BATCH + 1])
def test_every_frame_gets_a_prediction(explain, count):
    results, stats = explain(max_frames=count)
    assert [result.frame.index for result in results] == list(range(count))
    assert all(len(result.prediction.topk) == 5 for result in results)
    assert all(result.prediction.cam_fresh for result in results)
    assert all(result.latency_s >= 0 for result in results)
    assert (stats.read, stats.classified, stats.explained) == (count, count, count)


def test_the_batch_size_changes_no_prediction(explain, tour_clip):
    # Over a cut, so that the predictions differ from frame to frame.
    runs = [explain(str(tour_clip), start=1.8, max_frames=10, batch=n)[0] for n in (1, 3, 8)]
    runs = [[r.prediction for r in results if isinstance(r, Result)] for results in runs]
    first = runs[0]
    assert len(first) == 10 and len({p.topk[0].index for p in first}) > 1
    for other in runs[1:]:
        for one, same in zip(first, other, strict=True):
            assert one.topk[0].index == same.topk[0].index
            assert one.cam_class == same.cam_class
            for field in ("topk", "shown"):
                scores, others = (
                    {score.index: score.score for score in getattr(prediction, field)}
                    for prediction in (one, same)
                )
                common = scores.keys() & others.keys()
                assert len(common) >= 4  # the fifth may tie
                assert all(abs(scores[index] - others[index]) < 1e-4 for index in common)
            np.testing.assert_allclose(one.cam, same.cam, atol=1e-3)


def test_stride_classifies_every_nth_frame_and_carries_the_rest(explain):
    results, stats = explain(stride=3, max_frames=11)
    assert [result.frame.index for result in results] == list(range(11))
    assert (stats.read, stats.classified, stats.explained) == (11, 4, 4)
    assert [r.prediction.cam_fresh for r in results] == [n % 3 == 0 for n in range(11)]
    for n, result in enumerate(results):
        classified = results[n - n % 3].prediction
        assert result.prediction == replace(classified, cam_fresh=n % 3 == 0)
    every, _ = explain(stride=1, max_frames=11)
    one, same = (run[9].prediction.topk for run in (results, every))
    assert [score.index for score in one] == [score.index for score in same]
    assert [score.score for score in one] == pytest.approx([s.score for s in same], rel=1e-5)


@pytest.mark.parametrize(("stride", "fresh"), [(1, {0, 4, 8}), (2, {0, 8})])
def test_cam_every_explains_every_nth_classified_frame(explain, stride, fresh):
    results, stats = explain(cam_every=4, stride=stride, batch=3)
    assert {r.frame.index for r in results if r.prediction.cam_fresh} == fresh
    assert stats.explained == len(fresh) and stats.classified == 12 // stride
    for before, after in pairwise(results):
        carried = after.prediction.cam is before.prediction.cam
        assert carried != after.prediction.cam_fresh
        assert after.prediction.cam_class is not None


def test_without_a_method_nothing_is_explained(session):
    options = replace(session.options, cam="none", max_frames=3)
    classifier = type(session.classifier)(session.model, session.backend, options, options)
    source = open_source(SMALL, options)
    pipeline = pipeline_of(session, source, options, classifier)
    predictions = [result.prediction for result in given_by(pipeline)]
    pipeline.close()
    assert [(p.cam, p.cam_class, p.cam_fresh) for p in predictions] == [(None, None, False)] * 3
    assert pipeline.stats.explained == 0 and pipeline.stats.classified == 3


def test_a_fast_source_waits_for_a_slow_reader(session):
    too_far = threading.Event()
    source = Endless(ends_at=200, then=too_far.set)  # two full channels and two batches are 144
    results = session.results(source)
    assert next(results).frame.index == 0
    assert not too_far.wait(1.0), "the reader has run away"
    results.close()
    assert source.closed and live_threads() == []


def test_drive_hands_all_to_all_sinks_and_counts(session, cat_clip):
    options = replace(session.options, layout="side-by-side", max_frames=10)
    source = open_source(str(cat_clip), options)
    pipeline = pipeline_of(session, source, options)
    sinks, seen = [Recorder(), Recorder()], []
    station = Station(pipeline.feeds[0], [Group(Compositor(options), sinks[:])])
    stats = drive(pipeline, [station], lambda s: seen.append(s.written))
    assert sinks[0].items == sinks[1].items
    assert {type(item) for item in sinks[0].items} == {Result, AudioPacket}
    for sink in sinks:
        assert (sink.info.width, sink.info.height) == (2560, 720)
        assert sink.info.rate == source.info.rate and sink.info.audio is source.info.audio
        assert sink.sizes == [(2560, 720)] * 10
        assert sink.closed_with == [None]
    assert seen == list(range(1, 11))
    assert (stats.read, stats.classified, stats.written, stats.corrupt) == (10, 10, 10, 0)
    assert set(stats.stages_s) == {"decode", "prepare", "network", "draw", "encode", "finish"}
    assert 0 < max(stats.stages_s.values()) < stats.wall_s and stats.fps > 0
    assert live_threads() == []


def test_a_source_that_ends_before_its_time_is_no_error(session):
    sink = Recorder()
    stats = session.run(Endless(ends_at=20), [sink])
    assert stats.written == len(sink.items) == 20
    assert sink.closed_with == [None]


def test_the_corrupt_frames_of_the_source_are_counted(session):
    source = Endless(ends_at=3)
    source.corrupt = 7
    assert session.run(source, [Recorder()]).corrupt == 7


def test_a_sink_whose_close_raises_keeps_no_other_open(session):
    first, second = OSError("first"), OSError("second")
    sinks = [Recorder(first), Recorder(second), Recorder()]
    with pytest.raises(OSError, match="first") as caught:
        session.run(Endless(ends_at=3), sinks)
    assert caught.value is first
    assert [len(sink.closed_with) for sink in sinks] == [1, 1, 1]
    # An output is final only when all went well.
    assert sinks[0].closed_with == [None] and sinks[2].closed_with == [first]


def test_a_region_that_leaves_nothing_closes_source_and_sinks(session, monkeypatch):
    monkeypatch.setattr(session, "geometry", replace(session.geometry, roi=(400, 0, 50, 50)))
    source, sink = Endless(), Recorder()
    with pytest.raises(UsageError, match="--roi") as caught:
        session.run(source, [sink])
    assert sink.closed_with == [caught.value] and source.closed


@pytest.mark.parametrize("error", [Interrupted("interrupted"), None])
def test_a_pipeline_can_be_stopped_from_another_thread(session, error):
    pipelines, source, sink = [], Endless(), Recorder()

    def progress(stats):
        if stats.written == 5:
            helper = threading.Thread(target=pipelines[0].stop, args=(error,))
            helper.start()
            helper.join()

    if error:
        with pytest.raises(Interrupted):
            session.run(source, [sink], progress, pipelines.append)
    else:
        session.run(source, [sink], progress, pipelines.append)
    assert sink.closed_with == [error]
    assert source.closed and live_threads() == []


def test_a_reader_that_hangs_does_not_hold_an_interrupt(session):
    hangs, release, pipelines = threading.Event(), threading.Event(), []

    def hang():
        hangs.set()
        release.wait()

    def interrupt():
        if hangs.wait(60):
            pipelines[0].stop(Interrupted("interrupted"))

    helper, sink = threading.Thread(target=interrupt), Recorder()
    source = Endless(ends_at=20, then=hang)
    helper.start()
    start_s = time.monotonic()
    with pytest.raises(Interrupted):
        session.run(source, [sink], started=pipelines.append)
    assert time.monotonic() - start_s < 15
    # Closing a source of FFmpeg's under its reader would crash the process.
    assert not source.closed
    release.set()
    helper.join()
    assert isinstance(sink.closed_with[0], Interrupted)
    assert all(isinstance(item, Result) and isinstance(item.frame, Frame) for item in sink.items)
