"""A live source that is kept open: every way of going away, and what is said and handed on."""

import gc
import threading
import time
import weakref
from contextlib import nullcontext

import av
import pytest
from clips import said
from live_sources import Ticking, lost

from vidcam.channel import Closed
from vidcam.errors import SourceError, UsageError
from vidcam.keeper import Keeper, Patience
from vidcam.stats import SourceStats
from vidcam.types import Changed, Frame, Lost

DEADLINE_S = 20


class Kept:
    """A Keeper that runs through a list of sources or errors, and what it hands on."""

    def __init__(self, *script, refused=lambda error: True, stop_after=None, **patience):
        self.items, self.refused, self.opened = [], [], []
        self.script, self.stop_after = list(script), stop_after
        self.stats = SourceStats("door")
        self.start_s = time.monotonic()
        given = {"timeout_s": 0.5} | patience
        self.keeper = Keeper(self._open, self.stats, Patience(**given), self._refuse)
        self._answer = refused
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _open(self, stop):
        step = self.script.pop(0) if self.script else SourceError("door: refused", cause="refused")
        if isinstance(step, Exception):
            raise step
        source = step(self.start_s) if callable(step) else step
        self.opened.append(source)
        return source

    def _refuse(self, error):
        self.refused.append(error)
        return self._answer(error)

    def _accept(self, item):
        self.items.append(item)
        if self.stop_after is not None and self.stop_after(self):
            raise Closed

    def _run(self):
        try:
            self.keeper.run(self._accept, lambda stage: nullcontext())
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def go(self):
        self.thread.start()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive(), "the keeper hangs"
        for source in self.opened:
            if hasattr(source, "release"):
                source.release()
        return self

    def kinds(self):
        return [type(item) for item in self.items]

    def causes(self):
        return [item.cause for item in self.items if isinstance(item, Lost)]


def frames(*arguments, **keywords):
    return lambda start_s: Ticking(start_s, *arguments, **{"rate": 100} | keywords)


def test_a_source_that_ends_by_itself_is_the_end():
    kept = Kept(frames(3, ends=True)).go()
    assert kept.kinds() == [Changed, Frame, Frame, Frame]
    assert kept.opened[0].closed and kept.error is None and kept.keeper.lost is None


def test_the_end_of_a_live_stream_is_a_loss_and_the_source_is_opened_again():
    kept = Kept(frames(2), frames(2, ends=True)).go()
    assert kept.kinds() == [Changed, Frame, Frame, Lost, Changed, Frame, Frame]
    assert kept.causes() == ["end of stream"] and kept.stats.connections == 2
    assert all(source.closed for source in kept.opened)


def test_a_break_is_said_once_a_cause_and_its_time_stays():
    refused = SourceError("door: connection refused", cause="refused")
    with said() as lines:
        kept = Kept(frames(1, failure=lost("broken off")), refused, refused,
                    frames(1, ends=True)).go()  # fmt: skip
    assert kept.causes() == ["broken off", "refused"]
    losses = [item for item in kept.items if isinstance(item, Lost)]
    assert losses[0].since_s == losses[1].since_s
    assert len([line for line in lines if "trying again" in line]) == 2


def test_a_source_that_broke_off_is_let_go_at_once():
    class Breaking(Ticking):
        def __iter__(self):
            yield from super().__iter__()
            raise lost("broken off")

    gone, left = [], []

    def breaks(start_s):
        source = Breaking(start_s, 1, rate=100)
        gone.append(weakref.ref(source))
        return source

    def looks(start_s):
        kept.opened.clear()
        left.append(gone[0]())
        return Ticking(start_s, 1, rate=100, ends=True)

    kept = Kept(breaks, looks)
    gc.disable()  # with a network in memory it comes by once in an hour
    try:
        kept.go()
    finally:
        gc.enable()
    assert kept.causes() == ["broken off"] and left == [None]


def test_a_silent_source_is_noticed_and_left_behind():
    kept = Kept(frames(2, freezes=True), frames(1, ends=True)).go()
    assert kept.causes() == ["timeout"]
    assert not kept.opened[0].closed  # it hangs: closing it under its reader would crash FFmpeg


def test_a_source_that_hangs_while_it_is_opened_is_left_behind():
    never = threading.Event()
    kept = Kept(lambda start_s: never.wait(60), frames(1, ends=True)).go()
    never.set()
    assert kept.causes() == ["timeout"] and kept.kinds()[-1] is Frame


def test_it_gives_up_after_so_many_tries_in_a_row():
    kept = Kept(frames(2), tries=1).go()
    assert "lost for good after 1 try" in str(kept.keeper.lost)
    assert kept.keeper.lost.exit_code == 4 and kept.stats.state == "lost for good"


def test_a_source_that_cannot_be_opened_at_the_start_is_refused_at_once():
    kept = Kept(SourceError("door: absent", cause="not found"), at_start_s=0.0).go()
    assert [str(error) for error in kept.refused] == ["door: absent"] and kept.items == []


def test_beside_an_open_source_it_is_tried_again():
    absent = SourceError("door: absent", cause="not found")
    kept = Kept(absent, frames(1, ends=True), refused=lambda error: False, at_start_s=0.0).go()
    assert kept.kinds() == [Lost, Changed, Frame]


def test_a_wrong_option_is_no_reason_to_try_again():
    kept = Kept(UsageError("no such graph")).go()
    assert isinstance(kept.error, UsageError)


def test_a_file_that_breaks_is_not_begun_anew():
    kept = Kept(frames(2, ends=True, failure=lost("broken off"))).go()
    assert kept.kinds() == [Changed, Frame, Frame] and kept.keeper.lost is not None


@pytest.mark.parametrize(("patience", "count"), [({"frames": 5}, 5), ({"duration_s": 0.1}, 10)])
def test_it_ends_after_so_many_frames_or_so_long(patience, count):
    kept = Kept(frames(at_once=True), **patience).go()
    assert kept.kinds().count(Frame) == count and kept.error is None
    assert kept.opened[0].closed


def test_it_ends_when_nobody_wants_its_frames():
    kept = Kept(frames(), stop_after=lambda kept: len(kept.items) > 3).go()
    assert kept.error is None and kept.opened[0].closed


def test_two_cameras_of_one_name_are_told_apart():
    kept = Kept(frames(1, ends=True, name="camera")).go()
    assert {item.source for item in kept.items} == {"door"}


def test_the_last_frame_that_is_asked_for_ends_it_at_once():
    kept = Kept(frames(3, freezes=True), frames=3).go()
    assert kept.kinds().count(Frame) == 3 and Lost not in kept.kinds()


def test_any_error_after_the_first_picture_is_a_loss_and_before_it_a_fault():
    odd = frames(2, failure=av.error.ExternalError(1, "odd"))
    kept = Kept(odd, frames(2, failure=ValueError("swscale")), frames(1, ends=True)).go()
    assert kept.error is None and len(kept.causes()) == 2 and kept.kinds().count(Frame) == 5
    assert isinstance(Kept(KeyError("a bug")).go().error, KeyError)


def test_sources_that_hang_for_ever_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("vidcam.keeper.GRACE_S", 0.0)
    never, opened = threading.Event(), []

    def hang(start_s):
        opened.append(1)
        never.wait(60)

    kept = Kept(*[hang] * 10, timeout_s=0.1)
    kept.thread.start()
    deadline_s = time.monotonic() + DEADLINE_S
    while len(opened) < 2 and time.monotonic() < deadline_s:
        kept.thread.join(0.05)
    kept.thread.join(2.0)
    assert len(opened) == 2 and kept.thread.is_alive()
    kept.keeper.stop()
    kept.thread.join(DEADLINE_S)
    never.set()
    assert not kept.thread.is_alive()
