"""Which label changes count: driven by frame times, ten frames a second."""

import time
from dataclasses import replace

import pytest
from seen import CAT, DOG, MUG, UNKNOWN, seen

from vidcam.sinks.changes import Hold


def changes(labels, confirm_s=0.5, start_s=0.0):
    """The events of labels at 10 a second, as (before, after, began, confirmed)."""
    hold = Hold("cam", confirm_s)
    results = (seen(label, start_s + n / 10) for n, label in enumerate(labels))
    events = [event for event in map(hold, results) if event]
    return [
        (e.before and e.before.index, e.after.index, round(e.time_s, 3), round(e.confirmed_s, 3))
        for e in events
    ]


def test_the_first_label_has_nothing_before_it_and_must_hold_too():
    assert changes([CAT] * 5) == []
    assert changes([CAT] * 20) == [(None, 281, 0.0, 0.5)]


def test_a_flicker_shorter_than_confirm_is_no_change():
    assert changes([CAT] * 10 + [MUG] * 5 + [CAT] * 10) == [(None, 281, 0.0, 0.5)]


def test_a_label_that_holds_counts_from_its_beginning():
    found = changes([CAT] * 10 + [MUG] * 6 + [CAT] * 10)
    assert found == [(None, 281, 0, 0.5), (281, 504, 1.0, 1.5), (504, 281, 1.6, 2.1)]


@pytest.mark.parametrize("between", [CAT, DOG, None])
def test_an_interruption_starts_the_count_again(between):
    found = changes([CAT] * 10 + [MUG] * 4 + [between] + [MUG] * 6)
    assert found[1:] == [(281, 504, 1.5, 2.0)]


def test_with_confirm_0_every_change_counts_at_once():
    found = changes([CAT, CAT, MUG, CAT], confirm_s=0)
    assert found == [(None, 281, 0, 0), (281, 504, 0.2, 0.2), (504, 281, 0.3, 0.3)]


def test_unknown_is_a_label_and_nothing_shown_is_none():
    found = changes([CAT] * 10 + [UNKNOWN] * 10 + [None] * 10 + [UNKNOWN] * 10)
    assert found == [(None, 281, 0, 0.5), (281, -1, 1.0, 1.5)]


def test_a_label_of_exactly_confirm_counts_after_weeks_too():
    for start in (0.0, 2_000_000.1, 3_333_333.3):
        (_, change) = changes([CAT] * 10 + [MUG] * 6, start_s=start)
        assert change[3] - change[2] == pytest.approx(0.5)


def test_times_that_are_no_whole_binary_fractions_count_too():
    assert 0.7 - 0.4 < 0.3
    found = changes([CAT] * 4 + [MUG] * 4, confirm_s=0.3)
    assert found == [(None, 281, 0, 0.3), (281, 504, 0.4, 0.7)]


def test_scores_times_and_frame_are_those_of_beginning_and_confirmation():
    hold = Hold("cam", 0.5)
    began_s = time.time()
    labels = [CAT] * 9 + [replace(CAT, score=0.4)]
    labels += [replace(MUG, score=0.5 + n / 100) for n in range(6)]
    now_s = time.monotonic()
    results = [seen(s, n / 10, 100 + n, captured_s=now_s + n / 10) for n, s in enumerate(labels)]
    event = [event for event in map(hold, results) if event][-1]
    assert event.before.score == 0.4 and event.after.score == 0.55
    assert (event.frame, event.source) == (110, "cam")
    assert event.wall_s == pytest.approx(began_s + 1.0, abs=0.2)


@pytest.mark.parametrize(("gap_s", "again"), [(0.4, False), (30.0, True)])
def test_after_a_longer_loss_the_same_label_counts_anew(gap_s, again):
    hold = Hold("cam", 0.5)
    for n in range(10):
        hold(seen(CAT, n / 10))
    hold.lost()
    back_s = 0.9 + gap_s
    events = [hold(seen(CAT, back_s + n / 10)) for n in range(10)]
    found = [(e.before.index, e.after.index, round(e.time_s, 3)) for e in events if e]
    assert found == ([(281, 281, 30.9)] if again else [])


def test_a_label_that_was_coming_when_the_source_went_begins_anew():
    hold = Hold("cam", 0.5)
    for n in range(10):
        hold(seen(CAT, n / 10))
    hold(seen(MUG, 1.0))
    hold.lost()
    events = [hold(seen(MUG, 9.0 + n / 10)) for n in range(10)]
    (event,) = [event for event in events if event]
    assert (event.before.index, event.time_s) == (281, 9.0)
