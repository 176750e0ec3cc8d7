"""Opens the published builds, read-only, and hands out rows; what the rows mean is the business of its neighbours.

1. A `Library` knows the builds of one data directory: it looks at the folder's time stamp before each use, and lists
   the folder again only if that changed.
2. It opens the newest build of a model that can be read; a broken or foreign one is passed over and the reason kept.
3. A `Reader` is one open build: no access to anything but its file, settings locked, memory bounded, one cursor per
   thread.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from backend.calls import count_rows
from backend.errors import BadInput, NoBuild, StoreError, StoreVersion, UnknownCode
from backend.store import SCHEMA_VERSION
from backend.store.cache import ByteCache
from backend.types import CodebookInfo, CodeRef

BUILD_FILE = re.compile(r"(?P<model>.+)\.(?P<build>\d{8}T\d{6}-[0-9a-f]{8})\.duckdb")
DATABASE_BYTES = 128 << 20  # DuckDB's own memory per open build
OPEN_BYTES = 256 << 20  # of all open builds together; the least recently used one is closed beyond it
CACHE_BYTES = 128 << 20  # blocks of columns kept in memory, of all builds together
THREADS = 2


@dataclass(frozen=True)
class Site:
    """One codebook as the store numbers it."""

    site_id: int
    info: CodebookInfo
    projection: str


@dataclass(frozen=True)
class ItemTable:
    """Where each item begins; arrays over the items, in order of position."""

    item: np.ndarray  # int32
    first_pos: np.ndarray  # int64
    half: np.ndarray  # int8

    def index_of(self, pos: np.ndarray) -> np.ndarray:
        """Return the row of the item that holds each position."""
        return np.searchsorted(self.first_pos, pos, side="right") - 1


def settings() -> dict[str, str | bool | int | float | list[str]]:
    """Return DuckDB's settings for reading: nothing but the file, bounded memory, and none of it can be changed."""
    return {
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": f"{DATABASE_BYTES >> 20}MiB",
        "threads": str(THREADS),
        "temp_directory": "",
        "allowed_configs": "['enable_progress_bar']",
        "lock_configuration": "true",
    }


class Reader:
    """One open build of one model."""

    def __init__(self, path: Path, model: str, build: str, cache: ByteCache) -> None:
        """Open the file.

        Raises:
            StoreVersion: it was written by another version of the schema.
            StoreError: it cannot be read as a store.
        """
        self.path, self.model, self.build, self.cache = path, model, build, cache
        self._local = threading.local()
        self._lock = threading.Lock()
        try:
            self._connection = duckdb.connect(
                str(path),
                read_only=True,
                config=settings(),
            )
            rows = self._connection.execute("SELECT key, value FROM facts").fetchall()
            self.facts: dict[str, Any] = {key: json.loads(value) for key, value in rows}
        except (duckdb.Error, ValueError, OSError) as error:
            raise StoreError(
                f"The build {path.name} cannot be read: {str(error)[:300]}. Delete the file and build the model again: "
                f"python -m backend build {model}"
            ) from error
        version = self.facts.get("schema_version")
        if version != SCHEMA_VERSION:
            self.close()
            raise StoreVersion(
                f"The build {path.name} has store version {version}; this program reads version {SCHEMA_VERSION}. "
                f"Build the model again: python -m backend build {model}"
            )

    def close(self) -> None:
        """Let go of the file once no thread is using it any more."""
        self._connection.close()

    # ---- rows

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return this thread's own cursor."""
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._new_cursor()
        return cursor

    def _new_cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            cursor = self._connection.cursor()
        cursor.execute("SET enable_progress_bar = false")  # it would be drawn in the server's terminal
        return cursor

    def table(self, sql: str, values: Sequence[Any] = ()) -> pd.DataFrame:
        """Return the rows of a query."""
        rows = self.cursor().execute(sql, list(values)).df()
        count_rows(len(rows))
        return rows

    def arrays(self, sql: str, values: Sequence[Any] = ()) -> dict[str, np.ndarray]:
        """Return the columns of a query without NULLs."""
        columns = {k: np.asarray(v) for k, v in self.cursor().execute(sql, list(values)).fetchnumpy().items()}
        count_rows(len(next(iter(columns.values()))))
        return columns

    def batches(self, sql: str, values: Sequence[Any] = (), rows: int = 1 << 20) -> Iterator[dict[str, np.ndarray]]:
        """Yield the columns of a query, some rows at a time, so that memory stays bounded."""
        cursor = self._new_cursor()  # its own: the thread may ask something else between two batches
        try:
            for batch in cursor.sql(sql, params=list(values)).to_arrow_reader(rows):
                count_rows(batch.num_rows)
                yield {
                    name: batch.column(i).to_numpy(zero_copy_only=False) for i, name in enumerate(batch.schema.names)
                }
        finally:
            cursor.close()

    # ---- what is small and asked for all the time

    @cached_property
    def sites(self) -> dict[str, Site]:
        """All codebooks by name, in the order of the forward pass."""
        sites = {}
        for row in self.table("SELECT * FROM codebooks ORDER BY site_id").to_dict("records"):
            info = CodebookInfo(
                site=row["site"],
                num_codes=int(row["num_codes"]),
                dim=int(row["dim"]),
                slots=int(row["slots"]),
                layer=None if pd.isna(row["layer"]) else int(row["layer"]),
                head=None if pd.isna(row["head"]) else int(row["head"]),
                place=row["place"],
                similarity=row["similarity"],
            )
            sites[row["site"]] = Site(int(row["site_id"]), info, row["projection"])
        return sites

    @cached_property
    def site_names(self) -> dict[int, str]:
        """Site id -> name."""
        return {site.site_id: name for name, site in self.sites.items()}

    @cached_property
    def items(self) -> ItemTable:
        """Where each item begins."""
        rows = self.arrays("SELECT item, first_pos, half FROM items ORDER BY first_pos")
        return ItemTable(rows["item"], rows["first_pos"], rows["half"])

    @cached_property
    def positions(self) -> int:
        """How many positions the build has."""
        return int(self.arrays("SELECT count(*) AS n FROM tokens")["n"][0])

    @cached_property
    def fields(self) -> dict[str, int]:
        """Label field -> its id."""
        rows = self.table("SELECT field, field_id FROM fields ORDER BY field_id")
        return dict(zip(rows["field"], rows["field_id"].astype(int), strict=True))

    # ---- names -> numbers, with an explanation where there is none

    def site(self, name: str) -> Site:
        """Return the codebook of that name; raises `UnknownCode`."""
        if name not in self.sites:
            raise UnknownCode(
                f"The model {self.model!r} has no codebook {str(name)[:80]!r}. "
                f"It has: {', '.join(self.sites) or 'none'}."
            )
        return self.sites[name]

    def site_of(self, ref: CodeRef) -> Site:
        """Return the codebook of a code; raises `UnknownCode` where the codebook or the code does not exist."""
        site = self.site(ref.site)
        if not 0 <= ref.code < site.info.num_codes:
            raise UnknownCode(
                f"The codebook {ref.model}/{ref.site} has no code {ref.code}. "
                f"Give one from 0 to {site.info.num_codes - 1}."
            )
        return site

    def chosen(self, sites: Sequence[str] | None) -> list[Site]:
        """Return the codebooks of those names, in the order of the forward pass; None means all."""
        if sites is None:
            return list(self.sites.values())
        return sorted({self.site(name) for name in sites}, key=lambda site: site.site_id)

    def field(self, name: str) -> int:
        """Return the id of a label field; raises `BadInput`."""
        if name not in self.fields:
            raise BadInput(
                f"There is no label field {str(name)[:80]!r}. The build has: {', '.join(self.fields) or 'no labels'}."
            )
        return self.fields[name]


class Library:
    """All builds of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / "builds"
        self.cache = ByteCache(CACHE_BYTES)
        self._lock = threading.RLock()
        self._open: OrderedDict[str, Reader] = OrderedDict()
        self._listing: dict[str, list[tuple[str, Path]]] = {}
        self._listed: int | None = None
        self._bad: dict[Path, StoreError] = {}

    def builds(self) -> dict[str, list[tuple[str, Path]]]:
        """Return model -> its published builds `(build id, file)`, newest first."""
        with self._lock:
            try:
                changed = self.folder.stat().st_mtime_ns
            except FileNotFoundError:
                return {}
            if changed == self._listed:
                return self._listing
            listing: dict[str, list[tuple[str, Path]]] = {}
            for path in sorted(self.folder.glob("*.duckdb"), reverse=True):
                match = BUILD_FILE.fullmatch(path.name)
                if match:
                    listing.setdefault(match["model"], []).append((match["build"], path))
            for of_model in listing.values():
                of_model.sort(reverse=True)
            self._listing = listing
            self._bad = {path: error for path, error in self._bad.items() if path.exists()}
            # A file system's clock ticks: a build published within the same tick would go unseen.
            self._listed = changed if abs(time.time_ns() - changed) > 1_000_000_000 else None
            return listing

    def newest(self, model: str) -> tuple[str, Path] | None:
        """Return id and file of a model's newest build not known to be unreadable, without opening it; None without any."""
        with self._lock:
            return next((build for build in self.builds().get(model, []) if build[1] not in self._bad), None)

    def problem(self, model: str) -> str:
        """Return why builds newer than the one in use could not be opened; empty where nothing is wrong."""
        with self._lock:
            return " ".join(str(self._bad[path]) for _, path in self.builds().get(model, []) if path in self._bad)

    def reader(self, model: str) -> Reader:
        """Return the newest build of a model that can be read.

        Raises:
            NoBuild: there is none.
            StoreVersion, StoreError: there are some, and none can be read; says why of the newest.
        """
        with self._lock:
            builds = self.builds().get(model, [])
            if not builds:
                raise NoBuild(
                    f"The model {str(model)[:100]!r} has not been built in {self.data_dir}. "
                    f"Build it: python -m backend build {str(model)[:100]}"
                )
            for build, path in builds:
                open_reader = self._open.get(model)
                if open_reader is not None and open_reader.path == path:
                    self._open.move_to_end(model)
                    return open_reader
                if path in self._bad:
                    continue
                try:
                    opened = Reader(path, model, build, self.cache)
                except StoreError as error:
                    self._bad[path] = error
                    continue
                self._keep(model, opened)
                return opened
            raise self._bad[builds[0][1]]

    def _keep(self, model: str, opened: Reader) -> None:
        """Hold a reader open; readers beyond the memory bound are let go (their threads finish what they are doing)."""
        replaced = self._open.pop(model, None)
        if replaced is not None:
            self.cache.drop(replaced.path)
        self._open[model] = opened
        while len(self._open) > 1 and sum(map(_cost, self._open.values())) > OPEN_BYTES:
            _, oldest = self._open.popitem(last=False)
            self.cache.drop(oldest.path)


def _cost(reader: Reader) -> int:
    try:
        return min(reader.path.stat().st_size, DATABASE_BYTES)
    except OSError:
        return DATABASE_BYTES
