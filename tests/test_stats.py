"""Counts of a live run, in memory that does not grow."""

import time

from vidcam.stats import Latencies, Rate, named_stats


def test_percentiles_are_those_of_all_latencies_to_a_millisecond():
    latencies = Latencies()
    for n in range(1000):
        latencies.add(n / 1000 + 0.0005)
    assert abs(latencies.percentile_s(50) - 0.5) <= 0.001
    assert abs(latencies.percentile_s(95) - 0.95) <= 0.001
    assert latencies.max_s == latencies.last_s == 999 / 1000 + 0.0005
    assert latencies.percentile_s(100) == latencies.max_s


def test_no_latency_is_zero_and_a_huge_one_is_the_maximum():
    latencies = Latencies()
    assert latencies.percentile_s(95) == 0.0
    latencies.add(3600.0)
    latencies.add(0.001)
    assert latencies.max_s == 3600.0 and latencies.percentile_s(50) <= 0.002


def test_the_rate_is_of_the_last_two_seconds(monkeypatch):
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    rate = Rate()
    assert rate.per_s == 0.0
    for _ in range(100):
        rate.add()
        now_s += 0.1
    assert abs(rate.per_s - 10) < 0.5
    now_s += 5
    assert rate.per_s == 0.0


def test_sources_of_one_name_are_numbered():
    assert [one.name for one in named_stats(["a", "b", "a", "a"])] == ["a", "b", "a #2", "a #3"]
