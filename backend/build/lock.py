"""One build at a time in a data directory, and one training of a name."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from backend.errors import BuildLocked
from backend.types import Progress

WAITING = "waiting for another build"  # how what is said of it begins
_LOOK_SECONDS = 1.0  # who holds the lock is looked at so often


@contextmanager
def locked(builds: Path, model: str, wait: float | None, tell: Progress) -> Iterator[None]:
    """Hold the lock of a data directory's builds; the system lets go of it when the process ends, however it ends.

    Args:
        builds: the folder of the builds; made where it is missing.
        model: what is to be built, told to those who wait.
        wait: seconds to wait for another build; None: as long as it takes.
        tell: told whose end is waited for.

    Raises:
        BuildLocked: another build did not end in time.
    """
    builds.mkdir(parents=True, exist_ok=True)
    holder = builds / ".lock.holder"
    lock = FileLock(builds / ".lock")
    end = math.inf if wait is None else time.monotonic() + wait
    announced = ""
    while True:
        try:
            lock.acquire(timeout=max(0.0, min(_LOOK_SECONDS, end - time.monotonic())))
            break
        except Timeout:
            who = _describe_holder(holder)
            if time.monotonic() >= end:
                raise BuildLocked(
                    f"{model!r} was not built: {who} in {builds}, and it did not end within {wait:g} s. Wait for it to "
                    f"end, or stop it (what it has done is kept)."
                ) from None
            if who != announced:
                tell(f"{WAITING}: {who}", 0, 0)
                announced = who
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder.write_text(json.dumps({"pid": os.getpid(), "model": model, "since": since}))
        yield
        holder.unlink(missing_ok=True)
    finally:
        lock.release()


@contextmanager
def training_alone(folder: Path, name: str) -> Iterator[None]:
    """Hold a name's training; the system lets go of it when the process ends, however it ends.

    Args:
        folder: where the run keeps what `--resume` needs.
        name: of the model.

    Raises:
        BuildLocked: another process trains it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BuildLocked(
            f"Another process trains {name!r}. Wait for it to end, or give this one another name with --name."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _describe_holder(holder: Path) -> str:
    try:
        held = json.loads(holder.read_text())
        return f"process {held['pid']} builds {held['model']!r} since {held['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process is building"
