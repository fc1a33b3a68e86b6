"""What a live run counts for each source, in memory that does not grow."""

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Latencies are counted in buckets of a millisecond; the last one holds all that is slower.
LATENCY_BUCKETS = 60_000
RATE_WINDOW_S = 2.0


class Latencies:
    """Latencies of any number of frames, as counts by the millisecond."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(LATENCY_BUCKETS, np.int64)
        self.last_s = 0.0
        self.max_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.last_s = seconds
        self.max_s = max(self.max_s, seconds)
        self._counts[min(LATENCY_BUCKETS - 1, max(0, int(seconds * 1000)))] += 1

    def percentile_s(self, percent: float) -> float:
        """The latency, in seconds, that `percent` of the frames do not exceed; 0 without any."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        rank = max(1, int(np.ceil(total * percent / 100)))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min((bucket + 1) / 1000, self.max_s)


class Rate:
    """Events per second over the last two seconds."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def add(self) -> None:
        """Count one, now."""
        self._times_s.append(time.monotonic())
        self._forget()

    @property
    def per_s(self) -> float:
        """How many a second."""
        self._forget()
        times = list(self._times_s)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def _forget(self) -> None:
        oldest = time.monotonic() - RATE_WINDOW_S
        while self._times_s and self._times_s[0] < oldest:
            self._times_s.popleft()


@dataclass(slots=True)
class SourceStats:
    """Counts of one live source.

    `dropped` counts frames by cause, `undelivered` those that an output could not pass on.
    `latency` is from capture until every sink has the picture; `drawn` is the rate of pictures
    drawn; `recording` says that a file is being written.
    """

    name: str
    captured: int = 0
    written: int = 0
    classified: int = 0
    corrupt: int = 0
    connections: int = 0
    state: str = "connecting"
    recording: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    undelivered: Counter[str] = field(default_factory=Counter)
    latency: Latencies = field(default_factory=Latencies)
    drawn: Rate = field(default_factory=Rate)


def named_stats(names: Sequence[str]) -> list[SourceStats]:
    """Counts for each of these sources; those of one name are told apart by a number."""
    stats = []
    for number, name in enumerate(names):
        before = names[:number].count(name)
        stats.append(SourceStats(f"{name} #{before + 1}" if before else name))
    return stats
