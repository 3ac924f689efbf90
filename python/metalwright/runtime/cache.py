"""A bounded, thread-safe cache of compiled libraries."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class CacheInfo(NamedTuple):
    """How often a compiled library was found, how often it was made, and how many are kept."""

    hits: int
    misses: int
    size: int
    limit: int


class Cache(Generic[Value]):
    """Keeps the ``limit`` most recently used values.

    Threads that ask for the same key at the same time share one computation. A computation that
    raises is not kept: the next one tries again.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._in_progress: dict[Hashable, threading.Event] = {}
        self._hits = 0
        self._misses = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of `key`, computed by `make` if it is not there."""
        while True:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    self._hits += 1
                    return self._values[key]
                done = self._in_progress.get(key)
                if done is None:
                    done = self._in_progress[key] = threading.Event()
                    self._misses += 1
                    break
            # Another thread is at it. If it fails, this one becomes the maker in the next round.
            done.wait()
        try:
            value = make()
            with self._lock:
                self._values[key] = value
                while len(self._values) > self._limit:
                    self._values.popitem(last=False)
            return value
        finally:
            with self._lock:
                del self._in_progress[key]
            done.set()

    def clear(self) -> None:
        """Forgets all values; what is in use stays alive with its users."""
        with self._lock:
            self._values.clear()

    def info(self) -> CacheInfo:
        """Counts since the process started."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._values), self._limit)
