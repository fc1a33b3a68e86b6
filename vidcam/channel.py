"""A bounded queue between two threads that can end, and can fail, on either side."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The other side has closed the channel: stop."""


class Channel(Generic[T]):
    """A queue bounded in items and in bytes; blocks when full, drops nothing.

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

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if self._error is not None:
                    raise self._error
                if not self._queue:
                    return
                item, size = self._queue.popleft()
                self._bytes -= size
                self._changed.notify_all()
            yield item

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
