"""A cache with a fixed number of bytes, shared by all readers of a process: the oldest use goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class ByteCache:
    """Keeps what was used last, up to `limit` bytes in all; something larger than that is made anew each time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.RLock()  # one at a time: ten threads must not load the same block ten times

    def get(self, key: Hashable, make: Callable[[], tuple[T, int]]) -> T:
        """What is kept under `key`; `make` returns it and its size in bytes if it is not there."""
        found = self._find(key)
        if found is not None:
            return found[0]
        with self._making:
            found = self._find(key)
            if found is not None:
                return found[0]
            value, size = make()
            with self._lock:
                if size <= self.limit:
                    self._kept[key] = (value, size)
                    self.used += size
                while self.used > self.limit:
                    _, (_, oldest) = self._kept.popitem(last=False)
                    self.used -= oldest
            return value

    def drop(self, prefix: Hashable) -> None:
        """Forget everything whose key is a tuple starting with `prefix`."""
        with self._lock:
            for key in [k for k in self._kept if isinstance(k, tuple) and k[0] == prefix]:
                self.used -= self._kept.pop(key)[1]

    def _find(self, key: Hashable) -> tuple[Any, int] | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found
