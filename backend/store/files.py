"""Publishing a file under its new name, telling that the disk is full, and the names of builds."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from backend.errors import DiskFull
from backend.files import sync_folder

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_WORDS = re.compile(
    r"no space left|file too large|disk quota|max_temp_directory_size|could not write all bytes", re.IGNORECASE
)
_STAMP = "%Y%m%dT%H%M%S"


def sha256(data: bytes | memoryview) -> str:
    """Hex digest of some bytes."""
    return hashlib.sha256(data).hexdigest()


def move_atomically(source: Path, target: Path) -> None:
    """Flush `source` to the disk and give it its new name on the same file system, replacing what is there."""
    with open(source, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of the operating system, Arrow or DuckDB means that no more could be written."""
    if isinstance(error, DiskFull):
        return True
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return isinstance(error, OSError | duckdb.Error) and _FULL_WORDS.search(str(error)) is not None


def builds_of(model: str, builds: Path) -> list[tuple[str, Path]]:
    """All published builds of a model as (build id, file), oldest first."""
    pattern = re.compile(re.escape(model) + r"\.(\d{8}T\d{6}-[0-9a-f]{8})\.duckdb")
    found = [(match[1], path) for path in builds.glob("*.duckdb") if (match := pattern.fullmatch(path.name))]
    return sorted(found)


def new_build_id(key: str, newer_than: str = "") -> str:
    """A build id `YYYYMMDDTHHMMSS-<8 hex of the key>` (UTC) behind `newer_than` even if the clock ran back."""
    moment = datetime.now(UTC).replace(microsecond=0)
    if newer_than:
        moment = max(moment, datetime.strptime(newer_than[:15], _STAMP).replace(tzinfo=UTC) + timedelta(seconds=1))
    return f"{moment.strftime(_STAMP)}-{key[:8]}"
