"""One build at a time in a data directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from backend.errors import BuildLocked


@contextmanager
def locked(builds: Path, model: str, wait: float) -> Iterator[None]:
    """Hold the lock of a data directory's builds; the system lets go of it when the process ends, however it ends.

    Args:
        builds: the folder of the builds; made where it is missing.
        model: what is to be built, told to those who wait.
        wait: seconds to wait for another build.

    Raises:
        BuildLocked: another build did not end in time.
    """
    builds.mkdir(parents=True, exist_ok=True)
    holder = builds / ".lock.holder"
    lock = FileLock(builds / ".lock")
    try:
        lock.acquire(timeout=max(wait, 0))
    except Timeout:
        try:
            held = json.loads(holder.read_text())
            who = f"process {held['pid']} builds {held['model']!r} since {held['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            who = "another process is building"
        raise BuildLocked(
            f"{model!r} was not built: {who} in {builds}, and it did not end within {wait:g} s. Wait for it to end, "
            f"or stop it (what it has done is kept)."
        ) from None
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder.write_text(json.dumps({"pid": os.getpid(), "model": model, "since": since}))
        yield
        holder.unlink(missing_ok=True)
    finally:
        lock.release()
