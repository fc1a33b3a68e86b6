"""Frames that wait for the network: full batches of all, or the newest of each."""

import threading
import time

from live_sources import numbered

from vidcam.inbox import Inbox, Ticket
from vidcam.types import Frame

SIZE = 64 * 48 * 3 // 2
DEADLINE_S = 20


def ticket(index, feed="a"):
    return Ticket(feed, Frame(numbered(index), "a", index, time.monotonic()))


def beside(work):
    """Runs `work` in a thread; gives (thread, list that gets what it returns)."""
    got = []
    thread = threading.Thread(target=lambda: got.append(work()), daemon=True)
    thread.start()
    return thread, got


def test_complete_gives_every_frame_in_full_batches_and_the_rest_at_the_end():
    inbox, tickets = Inbox(3, 10**9, complete=True), [ticket(n) for n in range(7)]
    for one in tickets:
        inbox.put(one)
    inbox.end()
    assert [inbox.take() for _ in range(4)] == [tickets[:3], tickets[3:6], tickets[6:], []]


def test_complete_waits_for_a_full_batch():
    inbox, tickets = Inbox(2, 10**9, complete=True), [ticket(0), ticket(1)]
    inbox.put(tickets[0])
    thread, got = beside(inbox.take)
    thread.join(0.1)
    assert thread.is_alive()
    inbox.put(tickets[1])
    thread.join(DEADLINE_S)
    assert got == [tickets]


def test_a_batch_of_large_pictures_goes_before_it_is_full():
    inbox, tickets = Inbox(8, 2 * SIZE, complete=True), [ticket(n) for n in range(3)]
    for one in tickets:
        inbox.put(one)
    assert inbox.take() == tickets


def test_a_batch_that_cannot_fill_goes_when_both_sides_wait():
    for reader_first in (True, False):
        inbox, first = Inbox(8, 10**9, complete=True), ticket(0)
        inbox.put(first)
        if reader_first:
            inbox.reader_waits(True)
        waiter, _ = beside(lambda i=inbox, t=first: i.wait(t, DEADLINE_S))
        taker, got = beside(inbox.take)
        if not reader_first:
            taker.join(0.05)
            assert taker.is_alive()
            inbox.reader_waits(True)
        taker.join(DEADLINE_S)
        assert got == [[first]]
        inbox.settle([first])
        waiter.join(DEADLINE_S)
        assert not waiter.is_alive()


def test_the_newest_frame_of_each_feed_is_kept_and_the_older_is_settled():
    inbox = Inbox(4, 10**9, complete=False)
    old, new, other = ticket(0), ticket(1), ticket(0, "b")
    for one in (old, other, new):
        inbox.put(one)
    assert inbox.take() == [other, new]
    assert old.settled and old.answer is None and not new.settled


def test_waiting_for_an_answer_ends_with_it_with_the_time_and_with_the_run():
    inbox, one = Inbox(1, 10**9, complete=False), ticket(0)
    assert inbox.wait(one, 0.01) is False
    thread, got = beside(lambda: inbox.wait(one, None))
    inbox.settle([one])
    thread.join(DEADLINE_S)
    assert got == [True]
    another = ticket(1)
    thread, got = beside(lambda: inbox.wait(another, None))
    inbox.close()
    thread.join(DEADLINE_S)
    assert got == [False] and inbox.take() == []
