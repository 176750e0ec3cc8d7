"""Files that are there whole or not at all.

A file is written under a temporary name in the same folder, flushed to the disk, and renamed: a reader, or the next
run after a power cut, sees the old file or the new one and never half of one.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_WORDS = re.compile(  # of Arrow, DuckDB and safetensors, whose errors have no number
    r"no space left|file too large|disk quota|max_temp_directory_size|could not write all bytes", re.IGNORECASE
)


def is_disk_full(error: BaseException | None) -> bool:
    """Say whether an error, or one that led to it, means that no more could be written."""
    while error is not None:
        if (isinstance(error, OSError) and error.errno in _FULL) or _FULL_WORDS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_out_of_memory(error: BaseException | None) -> bool:
    """Say whether an error, or one that led to it, means that there is not enough memory."""
    while error is not None:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` at the end of the `with`; after an error it is removed."""
    # in the same folder, because a rename is atomic within one file system only; process and thread make the name unique
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Make a new folder that takes the place of `folder` at the end of the `with`; after an error it is removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (folder.with_name(f".{folder.name}.{kind}") for kind in (os.getpid(), "old"))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():  # a folder that is not empty cannot be replaced in one step
            os.replace(folder, old)
        os.replace(temporary, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_atomically(path: Path, data: bytes | memoryview | str) -> None:
    """Put bytes, or a text as UTF-8, at `path`, replacing what is there; it is on the disk when this returns."""
    with replacing(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
