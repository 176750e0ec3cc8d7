"""Publishing a file under its new name, and the names of builds."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backend.files import sync_folder

_STAMP = "%Y%m%dT%H%M%S"


def sha256(data: bytes | memoryview) -> str:
    """Return the hex digest of some bytes."""
    return hashlib.sha256(data).hexdigest()


def move_atomically(source: Path, target: Path) -> None:
    """Flush `source` to the disk and give it its new name on the same file system, replacing what is there."""
    with open(source, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def builds_of(model: str, builds: Path) -> list[tuple[str, Path]]:
    """Return all published builds of a model as (build id, file), oldest first."""
    pattern = re.compile(re.escape(model) + r"\.(\d{8}T\d{6}-[0-9a-f]{8})\.duckdb")
    published = [(match[1], path) for path in builds.glob("*.duckdb") if (match := pattern.fullmatch(path.name))]
    return sorted(published)


def new_build_id(key: str, newer_than: str = "") -> str:
    """Return a build id `YYYYMMDDTHHMMSS-<8 hex of the key>` (UTC) behind `newer_than` even if the clock ran back."""
    moment = datetime.now(UTC).replace(microsecond=0)
    if newer_than:
        moment = max(moment, datetime.strptime(newer_than[:15], _STAMP).replace(tzinfo=UTC) + timedelta(seconds=1))
    return f"{moment.strftime(_STAMP)}-{key[:8]}"
