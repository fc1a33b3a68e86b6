"""Time stamps of live sources become times of the run: forwards, never in the future."""

import random
from itertools import pairwise

import pytest

from vidcam.sources.clock import LAG_S, TIME_BASE, ConnectionClock, Pacer, RunClock

START_S = 1000.0
TICK_S = float(TIME_BASE)


@pytest.fixture
def clock():
    """The clock of a connection in a run that began at START_S."""
    return ConnectionClock(RunClock(START_S, 1.7e9))


def times(clock, pictures):
    """The times in seconds that the clock gives to (stamp, arrival after the start) pairs."""
    found = []
    for stamp_s, arrival_s in pictures:
        found.append(clock.frame_pts(stamp_s, START_S + arrival_s) * TICK_S)
    assert all(later > earlier for earlier, later in pairwise(found))
    return found


def steady(first_stamp_s, first_arrival_s, count=60, rate=30):
    """Pictures that arrive exactly as their stamps say."""
    return [(first_stamp_s + n / rate, first_arrival_s + n / rate) for n in range(count)]


@pytest.mark.parametrize("first_stamp_s", [0.0, -3.0, 95_443.7, 1.7e9])
def test_a_steady_stream_keeps_its_time_wherever_it_counts_from(clock, first_stamp_s):
    found = times(clock, steady(first_stamp_s, 2.0))
    assert found == pytest.approx([2.0 + n / 30 for n in range(60)], abs=2 * TICK_S)


def test_what_a_server_sends_at_once_is_not_in_the_future(clock):
    burst = [(n / 30, 5.0 + n / 1000) for n in range(60)]
    last_stamp_s = burst[-1][0]
    rest = [(last_stamp_s + n / 30, burst[-1][1] + n / 30) for n in range(1, 60)]
    found = times(clock, burst + rest)
    for time_s, (_, arrival_s) in zip(found, burst + rest, strict=True):
        assert 5.0 - TICK_S <= time_s <= arrival_s + TICK_S
    assert found[60:] == pytest.approx([arrival_s for _, arrival_s in rest], abs=0.01)


def test_jitter_of_the_network_moves_the_time_little(clock):
    chance = random.Random(1)
    pictures = [(n / 30, 1.0 + n / 30 + chance.uniform(0, 0.03)) for n in range(900)]
    found = times(clock, pictures)
    steps = [later - earlier for earlier, later in pairwise(found[60:])]
    assert max(abs(step - 1 / 30) for step in steps) < 0.01
    assert found[-1] == pytest.approx(1.0 + 899 / 30, abs=0.02)


@pytest.mark.parametrize("speed", [0.999, 1.001])
def test_a_clock_that_runs_slow_or_fast_is_followed(clock, speed):
    pictures = [(speed * n / 30, n / 30) for n in range(30 * 600)]
    found = times(clock, pictures)
    assert found[-1] == pytest.approx(pictures[-1][1], abs=0.02)
    steps = [later - earlier for earlier, later in pairwise(found)]
    assert max(abs(step - 1 / 30) for step in steps) < 0.001


def test_a_stream_that_begins_anew_goes_on_at_its_arrival(clock):
    found = times(clock, steady(500.0, 0.0) + steady(0.0, 2.0))
    assert found[60:] == pytest.approx([2.0 + n / 30 for n in range(60)], abs=2 * TICK_S)


def test_a_stream_that_jumps_ahead_goes_on_at_its_arrival(clock):
    found = times(clock, steady(0.0, 0.0) + steady(9000.0, 2.0))
    assert found[60:] == pytest.approx([2.0 + n / 30 for n in range(60)], abs=2 * TICK_S)


def test_a_stream_that_stood_still_goes_on_at_its_arrival(clock):
    short = steady(2.0, 5.0, count=300)  # three seconds during which its clock stood
    found = times(clock, steady(0.0, 0.0) + short)
    behind = [arrival_s - t for t, (_, arrival_s) in zip(found[60:], short, strict=True)]
    assert behind[-1] == pytest.approx(0.0, abs=0.01)
    long = steady(12.0, 15.0 + 2 * LAG_S)
    found = times(clock, long)
    assert found[0] == pytest.approx(long[0][1], abs=2 * TICK_S)


def test_what_a_network_held_up_keeps_its_times(clock):
    before = steady(0.0, 0.0)
    held = [(2.0 + n / 30, 5.0 + n / 1000) for n in range(90)]  # three seconds of it, in a rush
    after = steady(5.0, 5.1)
    found = times(clock, before + held + after)
    steps = [later - earlier for earlier, later in pairwise(found[60:150])]
    assert all(step == pytest.approx(1 / 30, abs=0.005) for step in steps)


def test_pictures_without_a_time_get_their_arrival(clock):
    pictures = [(None, 1.0), (None, 1.4), (None, 1.4), (7.0, 2.0), (None, 2.5), (7.6, 2.6)]
    found = times(clock, pictures)
    assert found == pytest.approx([1.0, 1.4, 1.4, 2.0, 2.5, 2.6], abs=2 * TICK_S)
    assert found[2] - found[1] == pytest.approx(TICK_S)


def test_stamps_that_go_back_a_little_still_rise(clock):
    found = times(clock, [(1.0, 1.0), (1.1, 1.1), (1.05, 1.15), (1.2, 1.2)])
    assert found[2] - found[1] == pytest.approx(TICK_S)


def test_the_next_connection_is_later_than_the_one_before():
    run = RunClock(START_S)
    first = times(ConnectionClock(run), steady(0.0, 1.0))
    burst = [(n / 30, 3.5 + n / 10_000) for n in range(60)]
    second = times(ConnectionClock(run), burst)
    assert second[0] > first[-1] and second[0] == pytest.approx(3.5, abs=TICK_S)


def test_packets_go_with_their_pictures(clock):
    times(clock, steady(100.0, 1.0))
    assert clock.packet_offset_s(102.0, START_S + 3.0) == pytest.approx(-99.0, abs=TICK_S)
    clock.frame_pts(102.02, START_S + 3.0)  # 20 ms early: too little for a step in the sound
    assert clock.packet_offset_s(102.1, START_S + 3.1) == pytest.approx(-99.0, abs=TICK_S)
    clock.frame_pts(102.2, START_S + 3.1)
    assert clock.packet_offset_s(102.2, START_S + 3.2) == pytest.approx(-99.1, abs=TICK_S)


def test_packets_before_the_first_picture_begin_at_their_arrival(clock):
    assert clock.packet_offset_s(None, START_S + 2.0) == 2.0
    assert clock.packet_offset_s(40.0, START_S + 2.0) == pytest.approx(-38.0)


def test_the_run_knows_the_wall_clock():
    assert RunClock(START_S, 500.0).wall_s(2.5) == 502.5


def test_pictures_are_due_at_their_rate_and_debt_is_forgiven():
    pacer = Pacer()
    assert pacer.due_s(3.0, 50.0) == (50.0, True)
    assert pacer.due_s(3.5, 50.1) == (50.5, False)
    assert pacer.due_s(4.0, 51.9) == (51.0, False)  # 0.9 s late: it catches up
    assert pacer.due_s(4.5, 60.0) == (60.0, True)  # 8.5 s late: it goes on from here
    assert pacer.due_s(4.6, 60.0) == (pytest.approx(60.1), False)
