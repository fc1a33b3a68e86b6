"""On an engine that works by itself, as a GPU does, the next batch is prepared meanwhile."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vidcam.classifier import Classifier
from vidcam.feed import Feed, WholeReader
from vidcam.options import FileOptions
from vidcam.pipeline import Pipeline
from vidcam.policy import Policy
from vidcam.sources import open_source
from vidcam.stats import SourceStats
from vidcam.types import Result

WAIT_S = 30.0


class Apart:
    """A backend that works in a thread of its own; notes what was begun and what was asked for."""

    overlaps = True

    def __init__(self, backend, fails_at=None):
        self._backend, self._fails_at = backend, fails_at
        self._pool = ThreadPoolExecutor(1)
        self.told, self.most_under_way = [], 0

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def start(self, pixels, *rest):
        number = sum(word == "begun" for word, _ in self.told)
        self.told.append(("begun", number))
        done = self._pool.submit(lambda: self._work(number, pixels, *rest))
        asked = sum(word == "asked" for word, _ in self.told)
        self.most_under_way = max(self.most_under_way, number + 1 - asked)

        def wait():
            self.told.append(("asked", number))
            return done.result(WAIT_S)

        return wait

    def _work(self, number, pixels, *rest):
        if number == self._fails_at:
            raise ArithmeticError("the device is lost")
        return self._backend.start(pixels, *rest)()


@pytest.fixture
def results(session, cat_clip):
    def run(backend, frames=45, wait_for_result=True):
        options = FileOptions(precision="f32", max_frames=frames)
        classifier = Classifier(session.model, backend, options, options)
        source = open_source(str(cat_clip), options, audio=False)
        stats = SourceStats(source.info.name)
        feed = Feed(WholeReader(source), stats, session.geometry, classifier, options)
        pipeline = Pipeline([feed], classifier, options, Policy(wait_for_result))
        try:
            given = [entry[1] for entry in pipeline if entry]
        finally:
            pipeline.close()
        return [item for item in given if isinstance(item, Result)]

    return run


def test_every_frame_gets_the_answer_it_would_get_anyway(results, session):
    apart = Apart(session.backend)
    got, expected = results(apart), results(session.backend)
    assert len(got) == len(expected) == 45
    for one, other in zip(got, expected, strict=True):
        assert one.prediction.cam_fresh and one.frame.index == other.frame.index
        assert [s.index for s in one.prediction.topk] == [s.index for s in other.prediction.topk]
        assert np.allclose(one.prediction.cam, other.prediction.cam, atol=1e-4)


def test_a_batch_is_begun_before_the_one_before_it_is_asked_for(results, session):
    apart = Apart(session.backend)
    results(apart, frames=64)
    assert apart.most_under_way == 2, "one under way and one waiting: there are two buffers"
    asked = [number for word, number in apart.told if word == "asked"]
    assert asked == sorted(asked)


def test_live_an_answer_never_waits_for_the_next_batch(results, session):
    apart = Apart(session.backend)
    results(apart, frames=20, wait_for_result=False)
    assert apart.most_under_way == 1
    assert [word for word, _ in apart.told] == ["begun", "asked"] * (len(apart.told) // 2)


def test_a_failure_of_the_device_reaches_the_caller(results, session):
    with pytest.raises(ArithmeticError, match="the device is lost"):
        results(Apart(session.backend, fails_at=2))
