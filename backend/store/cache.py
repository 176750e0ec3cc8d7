"""What is kept in memory of builds, shared by all readers of a process.

Large things by their size in bytes, the ones used last; small things that took long, for as long as the process lives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from cachetools import LRUCache

T = TypeVar("T")


class ByteCache:
    """Keeps what was used last, up to `limit` bytes in all; something larger than that is made anew each time."""

    def __init__(self, limit: int) -> None:
        self._entries: LRUCache[Hashable, tuple[Any, int]] = LRUCache(limit, getsizeof=lambda entry: entry[1])
        self._remembered: dict[Hashable, Any] = {}
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.RLock] = {}

    @property
    def used(self) -> int:
        """Bytes that are kept now."""
        return int(self._entries.currsize)

    def get(self, key: Hashable, make: Callable[[], tuple[T, int]]) -> T:
        """Return what is kept under `key`; `make` returns it and its size in bytes if it is not there."""
        entry = self._find(key)
        if entry is not None:
            return entry[0]
        with self._alone(key):
            entry = self._find(key)
            if entry is not None:
                return entry[0]
            value, size = make()
            with self._lock:
                if size <= self._entries.maxsize:
                    self._entries[key] = (value, size)
            return value

    def drop(self, prefix: Hashable) -> None:
        """Forget everything whose key is a tuple starting with `prefix`, but not what is remembered."""
        with self._lock:
            for key in [k for k in self._entries if isinstance(k, tuple) and k[0] == prefix]:
                del self._entries[key]

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under `key` the first time, even if its build was closed since: for what is small."""
        with self._alone(("remembered", key)):
            if key not in self._remembered:
                self._remembered[key] = make()
            value: T = self._remembered[key]
            return value

    def remembered(self, key: Hashable) -> Any:
        """Return what is remembered under `key`; None where nothing is."""
        return self._remembered.get(key)

    @contextmanager
    def _alone(self, key: Hashable) -> Iterator[None]:
        """Let one thread at a time make what stands under a key, and others make other things meanwhile.

        Ten threads must not load the same block ten times; but making may take seconds, in which nobody else should wait.
        """
        with self._lock:
            lock = self._making.setdefault(key, threading.RLock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._making.pop(key, None)  # those who wait for it have it in hand, and look again before they make

    def _find(self, key: Hashable) -> tuple[Any, int] | None:
        with self._lock:
            entry: tuple[Any, int] | None = self._entries.get(key)
            return entry
