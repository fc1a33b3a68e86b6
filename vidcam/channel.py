"""A bounded queue between two threads that can end, and can fail, on either side."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The other side has closed the channel: stop."""


class Channel(Generic[T]):
    """A queue bounded in items and in bytes: `put` blocks when it is full, `offer` says so.

    `close(error)` from either side wakes both. The reader gets what is queued first when the end
    is regular; an error overtakes it and is raised with its own traceback.
    """

    def __init__(self, items: int, max_bytes: int, size_of: Callable[[T], int]) -> None:
        self._queue: deque[tuple[T, int]] = deque()
        self._items = items
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._bytes = 0
        self._closed = False
        self._error: BaseException | None = None
        # Re-entrant: a signal handler may close the channel while its thread holds the lock.
        self._changed = threading.Condition(threading.RLock())

    def put(self, item: T) -> None:
        """Queue `item`, waiting for room. Raises `Closed` when the channel is closed."""
        size = self._size_of(item)
        with self._changed:
            while not self._closed and self._full(size):
                self._changed.wait()
            if self._closed:
                raise Closed
            self._queue.append((item, size))
            self._bytes += size
            self._changed.notify_all()

    def offer(self, item: T, beyond: bool = False) -> bool:
        """Queue `item` if there is room, or `beyond` the bounds; says whether it was queued.

        Never waits. Raises `Closed` when the channel is closed.
        """
        size = self._size_of(item)
        with self._changed:
            if self._closed:
                raise Closed
            if not beyond and self._full(size):
                return False
            self._queue.append((item, size))
            self._bytes += size
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> T | None:
        """The next item; None when `timeout_s` passes without one.

        Raises `Closed` at the regular end, and the error at the other.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed, timeout_s)
            if self._error is not None:
                raise self._error
            if self._queue:
                item, size = self._queue.popleft()
                self._bytes -= size
                self._changed.notify_all()
                return item
            if self._closed:
                raise Closed
            return None

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self.get()
            except Closed:
                return
            assert item is not None
            yield item

    def __len__(self) -> int:
        return len(self._queue)

    def close(self, error: BaseException | None = None) -> None:
        """End the channel; the first error given is the one that the reader gets."""
        with self._changed:
            self._closed = True
            if error is not None and self._error is None:
                self._error = error
                self._queue.clear()
                self._bytes = 0
            self._changed.notify_all()

    def _full(self, size: int) -> bool:
        # One item always fits, however large, or nothing would ever flow.
        return bool(self._queue) and (
            len(self._queue) >= self._items or self._bytes + size > self._max_bytes
        )
