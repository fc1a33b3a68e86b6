"""The pipeline with the policy of `vidcam live`: the source's rate, the newest frame, no delay."""

import logging
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from clips import said
from live_sources import Ticking, lost

from vidcam import yuv
from vidcam.classifier import Classifier
from vidcam.compositor import Compositor
from vidcam.drive import drive
from vidcam.errors import OutputError, UsageError
from vidcam.feed import Feed
from vidcam.keeper import Keeper, Patience
from vidcam.options import LiveOptions
from vidcam.pipeline import LIVE_WAITING, TOO_SLOW, Pipeline
from vidcam.policy import Policy
from vidcam.sinks import Sink
from vidcam.station import Group, Station
from vidcam.stats import SourceStats
from vidcam.view import View

OPTIONS = LiveOptions(precision="f32", lang="en")


class Slow:
    """A backend that answers no sooner than after `pause_s`."""

    def __init__(self, backend, pause_s):
        self._backend, self._pause_s = backend, pause_s
        self._never = threading.Event()
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def start(self, *arguments):
        self.calls += 1
        pending = self._backend.start(*arguments)
        self._never.wait(self._pause_s)
        return pending


class Keeping(Sink):
    """Keeps what it is told; `slow_s` delays every frame, `fails_at` raises at that frame."""

    def __init__(self, slow_s=0.0, fails_at=None):
        self.told, self.frames, self.results, self.ages, self.levels = [], [], [], [], []
        self.gaps, self.closed_with, self.explained = [], [], []
        self._slow_s, self._fails_at = slow_s, fails_at
        self._never = threading.Event()

    def open(self, info):
        self.told.append(("open", info.width))

    def frame(self, picture, result):
        if len(self.frames) == self._fails_at:
            raise OutputError("disk.mp4: no space left on device")
        self._never.wait(self._slow_s)
        self.frames.append(result.frame.index)
        self.ages.append(result.age_s)
        self.results.append(result.prediction)
        self.levels.append(int(yuv.planes(picture)[0][-1, -1]))

    def classified(self, result):
        self.told.append(("classified", result.frame.index))
        self.explained.append(result.prediction.cam_fresh)

    def changed(self, info):
        self.told.append(("changed", info.width))

    def lost(self, cause):
        self.told.append(("lost", cause))

    def gap(self, picture):
        self.gaps.append((picture.width, picture.height))

    def close(self, error=None):
        self.closed_with.append(error)

    def of(self, kind):
        return [value for name, value in self.told if name == kind]


@pytest.fixture
def live(session):
    """Runs live sources (functions of the start time); gives (stats of each, sinks of each)."""

    opened = []

    def open_next(script, start_s):
        opened.append(next(script)(start_s))
        return opened[-1]

    def run(*scripts, backend=None, every=1, sinks=None, view=None, tick=None, options=OPTIONS,
            groups=None, no_signal=None, seconds=None, geometry=None, **patience):  # fmt: skip
        classifier = Classifier(session.model, backend or session.backend, options, options)
        start_s = time.monotonic()
        feeds, stations, all_sinks = [], [], sinks or [Keeping() for _ in scripts]
        for number, script in enumerate(scripts):
            rest = iter(script if isinstance(script, list) else [script])
            stats = SourceStats(f"camera {number}")
            given = Patience(**{"timeout_s": 5.0} | patience)
            keeper = Keeper(
                lambda stop, rest=rest: open_next(rest, start_s), stats, given, lambda error: True
            )
            feed = Feed(keeper, stats, geometry or session.geometry, classifier, options)
            own = groups or [Group(Compositor(options), [all_sinks[number]])]
            feeds.append(feed)
            stations.append(Station(feed, own, no_signal, isolate=True))
        policy = Policy(wait_for_result=False, batch=len(feeds), every=every)
        pipeline = Pipeline(feeds, classifier, options, policy, view)
        over_s = None if seconds is None else start_s + seconds

        def ticks():
            late = over_s is not None and time.monotonic() > over_s
            return late or bool(tick and tick(stations))

        drive(pipeline, stations, tick=ticks, join_s=0.5)
        return [feed.stats for feed in feeds], all_sinks

    yield run
    for source in opened:
        source.release()
    for thread in threading.enumerate():
        if thread.name == "vidcam-connection":
            thread.join(10)


def ticking(*arguments, **keywords):
    return lambda start_s: Ticking(start_s, *arguments, **{"ends": True} | keywords)


def test_with_a_quick_network_every_frame_is_drawn_with_its_own_result(live, monkeypatch):
    monkeypatch.setattr("vidcam.pipeline.LIVE_HOLD_S", 5.0)  # quick, whatever else runs here
    (stats,), (sink,) = live(ticking(12, rate=4))
    assert sink.frames == sink.of("classified") == list(range(12)) and not stats.dropped
    assert all(prediction.cam_fresh for prediction in sink.results) and set(sink.ages) == {0.0}
    assert sink.told[0] == ("open", 64) and sink.closed_with == [None]


def test_a_slow_network_takes_the_newest_and_the_picture_keeps_its_rate(live, session):
    slow = Slow(session.backend, 0.2)
    (stats,), (sink,) = live(ticking(60, rate=30), backend=slow)
    assert sink.frames == list(range(60)) and stats.dropped.total() == 0
    assert 8 <= stats.classified <= 15 and stats.classified == len(sink.of("classified"))
    assert stats.latency.percentile_s(95) < 0.3
    carried = [prediction for prediction in sink.results[15:] if not prediction.cam_fresh]
    assert len(carried) > 30 and all(prediction.topk for prediction in carried)
    assert 0.2 < max(sink.ages[15:]) < 0.6


def test_what_is_drawn_never_reaches_the_network(live, session):
    seen = []

    class Looking(Slow):
        def start(self, pixels, *rest):
            seen.append(pixels.copy())
            return super().start(pixels, *rest)

    live(ticking(40, rate=60, size=(320, 240)), backend=Looking(session.backend, 0.05))
    assert len(seen) > 5
    # The pictures are even: a panel or heat in one would show as a spread.
    assert max(float(pixels.std()) for pixels in seen) < 2


def test_slow_outputs_drop_frames_at_the_capture_and_the_delay_stays_bounded(live):
    (stats,), (sink,) = live(ticking(60, rate=60), sinks=[Keeping(slow_s=0.05)])
    dropped = stats.dropped[TOO_SLOW]
    assert dropped > 20 and stats.written + dropped == stats.captured == 60
    assert sink.frames == sorted(sink.frames) and len(sink.frames) == stats.written
    assert stats.latency.max_s < 0.06 * (LIVE_WAITING + 2) + 0.3


def test_every_nth_frame_is_classified_when_asked(live):
    (stats,), (sink,) = live(ticking(20, rate=20), every=5)
    assert sink.of("classified") == [0, 5, 10, 15] and stats.written == 20


def test_one_dead_and_one_slow_camera_delay_no_other(live):
    stats, sinks = live(
        ticking(60, rate=30), ticking(5, rate=30, freezes=True, ends=False), ticking(6, rate=3),
        seconds=3.5,
    )  # fmt: skip
    assert stats[0].written == 60 and stats[0].dropped.total() == 0
    assert stats[1].written == 5 and stats[2].written == 6
    assert stats[0].latency.percentile_s(95) < 0.3
    assert sinks[0].frames == list(range(60))


def test_losses_and_returns_reach_the_sinks_in_order_and_gaps_show_placeholders(live):
    def no_signal(width, height, lost):
        return yuv_picture(width, height)

    script = [ticking(5, rate=30, ends=False, failure=lost("unplugged")),
              ticking(5, rate=30, size=(96, 64))]  # fmt: skip
    _, (sink,) = live(script, no_signal=no_signal)
    assert [value for name, value in sink.told if name != "classified"] == [64, "unplugged", 96]
    assert [name for name, _ in sink.told if name != "classified"] == ["open", "lost", "changed"]
    assert sink.gaps and set(sink.gaps) == {(64, 48)}


def yuv_picture(width, height):
    import av

    return av.VideoFrame(width, height, "yuv420p")


def test_a_sink_that_fails_ends_alone_and_the_others_go_on(live):
    failing, whole = Keeping(fails_at=3), Keeping()
    groups = [Group(Compositor(OPTIONS), [failing, whole])]
    live(ticking(10, rate=30), groups=groups, sinks=[whole])
    assert len(failing.frames) == 3 and isinstance(failing.closed_with[0], OutputError)
    assert len(whole.frames) == 10 and whole.closed_with == [None]


def test_groups_draw_apart_and_the_undrawn_one_gets_the_captured_picture(live):
    plain, drawn, other = Keeping(), Keeping(), Keeping()
    quiet = replace(OPTIONS, cam="none", topk=0)
    beside = replace(OPTIONS, layout="side-by-side")
    groups = [Group(None, [plain]), Group(Compositor(quiet), [drawn]),
              Group(Compositor(beside), [other])]  # fmt: skip
    live(ticking(10, rate=20, size=(320, 240)), groups=groups, sinks=[plain])
    assert plain.levels == [20 + n for n in range(10)] == drawn.levels
    assert other.told[0] == ("open", 640)


def test_the_window_may_ask_for_another_class_and_method(live):
    view = View.of(OPTIONS)
    view.pinned, view.cam = 281, "layercam"
    seen = []

    class Watching(Keeping):
        def frame(self, picture, result):
            super().frame(picture, result)
            seen.append((result.prediction.cam_class, result.window))

    live(ticking(5, rate=5), view=view, sinks=[Watching()])
    own, window = seen[-1]
    assert own != 281 and window.cam_class == 281
    assert window.cam.shape == (7, 7) and np.isfinite(window.cam).all()


def test_a_tick_that_says_so_ends_the_run(live):
    count = []

    def tick(stations):
        count.append(1)
        return len(count) > 3

    start_s = time.monotonic()
    (_,), (sink,) = live(ticking(rate=30, ends=False), tick=tick)
    assert time.monotonic() - start_s < 5 and sink.closed_with == [None]


def test_a_fault_inside_one_output_ends_that_output_alone(live):
    class Faulty(Keeping):
        def frame(self, picture, result):
            raise KeyError("a bug")

    faulty, whole = Faulty(), Keeping()
    with said(logging.ERROR) as lines:
        live(ticking(5, rate=30), groups=[Group(None, [faulty, whole])], sinks=[whole])
    assert len(whole.frames) == 5 and len(faulty.closed_with) == 1
    assert len(lines) == 1 and "Faulty: KeyError" in lines[0]


def test_a_region_that_leaves_nothing_ends_the_run_at_the_start_and_not_later(live, session):
    geometry = session.geometry_of((100, 0, 40, 40))
    with pytest.raises(UsageError, match="--roi"):
        live(ticking(5, rate=30, size=(64, 48)), geometry=geometry)
    script = [ticking(5, rate=30, size=(320, 240), ends=False), ticking(5, rate=30, size=(64, 48))]
    with said() as lines:
        _, (sink,) = live(script, geometry=geometry)
    assert len(sink.frames) == 10 and sum("--roi" in line for line in lines) == 1
    assert sink.results[-1].crop.as_list() == [0, 0, 64, 48]


def test_each_camera_gets_its_own_every_nth_map(live):
    fewer = replace(OPTIONS, cam_every=2)
    _, sinks = live(ticking(12, rate=4), ticking(12, rate=4), options=fewer)
    for sink in sinks:
        assert sink.explained == [n % 2 == 0 for n in range(len(sink.explained))]
        assert len(sink.explained) >= 6


def test_a_class_of_the_window_stays_between_maps(live):
    view, seen = View.of(OPTIONS), []
    view.pinned = 281

    class Watching(Keeping):
        def frame(self, picture, result):
            super().frame(picture, result)
            seen.append(result.window and result.window.cam_class)

    live(ticking(8, rate=4), view=view, sinks=[Watching()], options=replace(OPTIONS, cam_every=3))
    first = next(n for n, one in enumerate(seen) if one is not None)
    assert first <= 2 and set(seen[first:]) == {281}
