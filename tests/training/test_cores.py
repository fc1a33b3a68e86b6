"""Pictures are read on as many cores as there are."""

import threading

from vidcam.training import cores
from vidcam.training.cores import on_all_cores


def test_as_many_at_once_as_there_are_cores_and_in_order(monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: 5)
    meeting = threading.Barrier(5, timeout=30)

    def met(number):
        meeting.wait()
        return number * number

    assert list(on_all_cores(met, range(10))) == [n * n for n in range(10)]


def test_what_waits_is_given_up_when_the_reader_ends(monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: 2)
    gate, done = threading.Event(), []

    def read(number):
        if number:
            gate.wait(30)
        done.append(number)
        return number

    results = on_all_cores(read, range(1000))
    assert next(results) == 0
    threading.Timer(0.05, gate.set).start()
    results.close()
    assert len(done) < 10
