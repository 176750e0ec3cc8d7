"""Taking turns on one model, first come, first served.

A plain lock lets whoever gives it up take it again before those who wait have woken; then one person who asks for many
forward passes keeps everybody else out.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """At most one thread at a time is inside `with turns.taken():`; those who wait come in in order of arrival."""

    def __init__(self) -> None:
        """Start with the turn free."""
        self._guard = threading.Lock()
        self._owner: int | None = None
        self._waiting: deque[tuple[int, threading.Event]] = deque()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, have it inside the `with`, and hand it on.

        Raises:
            RuntimeError: this thread has the turn already.
        """
        thread, woken = threading.get_ident(), threading.Event()
        with self._guard:
            if self._owner == thread:
                raise RuntimeError("This thread has the turn already: turns do not nest.")
            if self._owner is None:
                self._owner = thread
            else:
                self._waiting.append((thread, woken))
        try:
            if self._owner != thread:
                woken.wait()
            yield
        finally:
            self._leave(thread, woken)

    def _leave(self, thread: int, woken: threading.Event) -> None:
        """Hand the turn on, or stop waiting for it where the wait was broken off."""
        with self._guard:
            if self._owner != thread:
                self._waiting.remove((thread, woken))
            elif self._waiting:
                self._owner, following = self._waiting.popleft()
                following.set()
            else:
                self._owner = None
