"""The caller's loop: everything that a pipeline gives goes to the station of its source."""

import threading
import time
from collections.abc import Callable, Sequence

from vidcam.pipeline import JOIN_S, TICK_S, Pipeline
from vidcam.station import CLOSE_S, Station
from vidcam.types import Result, RunStats


def drive(
    pipeline: Pipeline,
    stations: Sequence[Station],
    progress: Callable[[RunStats], None] | None = None,
    tick: Callable[[], bool] | None = None,
    join_s: float = JOIN_S,
) -> RunStats:
    """Run a pipeline to its end; the sinks are always closed.

    `progress` is called for every picture, `tick` several times a second: True ends the run.
    Raises what any part raised, after the sinks have been closed with it.
    """
    start_s = time.perf_counter()
    stats = pipeline.stats
    by_feed = {id(station.feed): station for station in stations}
    failure: BaseException | None = None
    try:
        next_s = time.monotonic()
        for given in pipeline:
            if given is not None:
                feed, item = given
                by_feed[id(feed)].take(item, pipeline)
                if isinstance(item, Result):
                    stats.written += 1
                    if progress:
                        progress(stats)
            if tick and time.monotonic() >= next_s:
                next_s = time.monotonic() + TICK_S
                for station in stations:
                    station.tick()
                if tick():
                    tick = None
                    pipeline.stop()  # what has been captured is still drawn
    except BaseException as error:
        failure = error
        raise
    finally:
        pipeline.stop()
        try:
            with pipeline.timed("finish"):
                raised = _close(stations, failure)
        finally:
            pipeline.close(join_s)
            stats.wall_s = time.perf_counter() - start_s
        first = next((error for error in raised if error is not None), None)
        if first is not None and failure is None:
            raise first
    return stats


def _close(stations: Sequence[Station], error: BaseException | None) -> list[BaseException | None]:
    """Close the sinks of all stations, beside each other; what each raised."""
    raised: list[BaseException | None] = [None] * len(stations)

    def close(number: int) -> None:
        raised[number] = stations[number].close(error)

    beside = [
        threading.Thread(target=close, args=(number,), daemon=True)
        for number in range(1, len(stations))
    ]
    for thread in beside:
        thread.start()
    if stations:
        close(0)
    for thread in beside:
        thread.join(CLOSE_S + 1)
    return raised
