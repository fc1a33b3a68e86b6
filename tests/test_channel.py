"""The queue between two threads: bounded, and ended or failed from either side."""

import threading
import traceback

import pytest

from vidcam.channel import Channel, Closed

DEADLINE_S = 20
# So long a thread is watched that must not go on. It is only waited out when all is well.
STAYS_BLOCKED_S = 0.1


def channel(items=1000, max_bytes=1_000_000):
    """A channel of byte strings, counted by their length."""
    return Channel(items, max_bytes, len)


class Worker(threading.Thread):
    """Runs `work` beside the test; `outcome` is what it returned or raised."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self._work = work
        self.outcome = None
        self.start()

    def run(self):
        try:
            self.outcome = self._work()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.outcome = error

    def finished(self):
        self.join(DEADLINE_S)
        assert not self.is_alive(), "the thread hangs"
        return self.outcome

    def blocked(self):
        self.join(STAYS_BLOCKED_S)
        return self.is_alive()


class Producer(Worker):
    """Puts items; `sent` counts those that the channel took."""

    def __init__(self, queue, items):
        self._queue, self._items = queue, items
        self.sent = 0
        self.progress = threading.Condition()
        super().__init__(self._put_all)

    def _put_all(self):
        for item in self._items:
            self._queue.put(item)
            with self.progress:
                self.sent += 1
                self.progress.notify_all()

    def has_sent(self, count):
        with self.progress:
            return self.progress.wait_for(lambda: self.sent >= count, DEADLINE_S)


def test_items_come_out_in_order_and_the_end_ends_the_reader():
    queue = channel()
    for item in (b"a", b"bb", b"ccc"):
        queue.put(item)
    queue.close()
    assert list(queue) == [b"a", b"bb", b"ccc"]
    assert list(queue) == []


@pytest.mark.parametrize(
    ("queue", "room"),
    [(channel(items=3), 3), (channel(max_bytes=40), 4), (channel(items=2, max_bytes=99), 2),
     (channel(max_bytes=49), 4), (channel(items=1), 1)],
    ids=["items", "bytes", "items first", "no half item", "one"],
)  # fmt: skip
def test_a_writer_is_never_further_ahead_than_the_bounds(queue, room):
    producer = Producer(queue, [bytes(10)] * 30)
    reader = iter(queue)
    for taken in range(30):
        assert producer.has_sent(min(30, taken + room)), "a place that was free was not used"
        assert producer.sent <= taken + room
        next(reader)
    producer.finished()


def test_a_full_channel_blocks_and_drops_nothing():
    queue = channel(items=2)
    producer = Producer(queue, [b"1", b"2", b"3"])
    assert producer.has_sent(2) and producer.blocked()
    assert producer.sent == 2
    reader = iter(queue)
    assert next(reader) == b"1"
    producer.finished()
    queue.close()
    assert list(reader) == [b"2", b"3"]


def test_an_item_larger_than_the_channel_passes_alone():
    queue = channel(max_bytes=10)
    producer = Producer(queue, [bytes(100), b"x", bytes(100)])
    reader = iter(queue)
    assert producer.has_sent(1) and producer.blocked()
    assert len(next(reader)) == 100
    assert producer.has_sent(2) and producer.blocked(), "a large item waits for an empty channel"
    assert next(reader) == b"x"
    assert len(next(reader)) == 100
    producer.finished()


def test_bytes_are_counted_down_again():
    queue = channel(max_bytes=100)
    reader = iter(queue)
    for _ in range(50):
        queue.put(bytes(60))
        next(reader)
    queue.put(bytes(60))
    queue.put(bytes(40))
    assert Worker(lambda: queue.put(b"x")).blocked()
    queue.close()


def test_a_reader_waits_for_an_item():
    queue = channel()
    reader = Worker(lambda: next(iter(queue)))
    assert reader.blocked()
    queue.put(b"late")
    assert reader.finished() == b"late"


def test_closing_wakes_a_waiting_reader():
    queue = channel()
    reader = Worker(lambda: list(queue))
    assert reader.blocked()
    queue.close()
    assert reader.finished() == []


def test_closing_wakes_a_waiting_writer_with_closed():
    queue = channel(items=1)
    queue.put(b"full")
    writer = Worker(lambda: queue.put(b"more"))
    assert writer.blocked()
    queue.close()
    assert isinstance(writer.finished(), Closed)


def test_closing_wakes_every_thread_on_both_sides():
    full, empty = channel(items=1), channel()
    full.put(b"full")
    threads = [Worker(lambda: full.put(b"more")) for _ in range(3)]
    threads += [Worker(lambda: list(empty)) for _ in range(3)]
    for queue in (full, empty):
        queue.close()
    outcomes = [thread.finished() for thread in threads]
    assert all(isinstance(outcome, Closed) for outcome in outcomes[:3])
    assert outcomes[3:] == [[], [], []]


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_a_put_after_the_end_raises_closed(error):
    queue = channel()
    queue.close(error)
    with pytest.raises(Closed):
        queue.put(b"late")


def test_the_reader_gets_what_is_queued_before_a_regular_end():
    queue = channel()
    producer = Producer(queue, [b"1", b"2"])
    producer.finished()
    queue.close()
    queue.close()
    assert list(queue) == [b"1", b"2"]


def test_an_error_overtakes_what_is_queued():
    queue = channel()
    queue.put(b"1")
    queue.put(b"2")
    reader = iter(queue)
    assert next(reader) == b"1"
    queue.close(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        next(reader)


def test_an_error_wakes_a_waiting_reader():
    queue = channel()
    reader = Worker(lambda: list(queue))
    assert reader.blocked()
    error = ValueError("broken")
    queue.close(error)
    assert reader.finished() is error


def test_an_error_frees_the_memory_of_what_is_queued():
    class Item:
        size_bytes = 1

    import weakref

    queue = Channel(10, 100, lambda item: item.size_bytes)
    item = Item()
    alive = weakref.ref(item)
    queue.put(item)
    del item
    assert alive() is not None
    queue.close(ValueError("broken"))
    assert alive() is None


def failing_source():
    raise OSError("the disk is gone")


def test_the_reader_sees_the_original_error_with_its_traceback():
    queue = channel()

    def work():
        try:
            failing_source()
        except OSError as error:
            queue.close(error)

    Worker(work).finished()
    with pytest.raises(OSError, match="the disk is gone") as caught:
        list(queue)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-2:] == ["work", "failing_source"]


def test_the_first_error_wins():
    queue = channel()
    first = ValueError("first")
    for error in (first, OSError("second"), None):
        queue.close(error)
    with pytest.raises(ValueError, match="first") as caught:
        list(queue)
    assert caught.value is first


def test_an_error_after_a_regular_end_still_reaches_the_reader():
    queue = channel()
    queue.put(b"1")
    queue.close()
    queue.close(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        list(queue)


def test_a_signal_handler_may_close_while_its_thread_holds_the_lock():
    # The lock is taken again on the way through size_of, as in a handler that interrupts put().
    queue = Channel(10, 100, len)

    def work():
        with queue._changed:
            queue.close(KeyboardInterrupt())

    Worker(work).finished()
    with pytest.raises(KeyboardInterrupt):
        list(queue)


def test_many_items_pass_between_threads_without_loss():
    queue = channel(items=7, max_bytes=50)
    sent = [bytes([n % 256]) * (n % 23) for n in range(3000)]
    producer = Producer(queue, sent)
    reader = Worker(lambda: list(queue))
    producer.finished()
    queue.close()
    assert reader.finished() == sent
