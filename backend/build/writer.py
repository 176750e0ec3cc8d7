"""Writes a store's tables from shards: what a model said, in the two orders in which it is read.

    1. every shard, in order: Parquet -> Arrow -> `items`, `tokens`, `pictures`, `grid` (already in order of position)
    2. `labels`, sorted by field, value and position
    3. `grid` sorted by codebook and code -> `postings`
    4. `neurons`: ranks of the activations, a group of neurons at a time

No step holds more than one shard, or what DuckDB's memory limit allows. What is computed from these tables is written
by `backend.build.derived`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backend.build.shards import NEURONS_PER_GROUP, Shard, open_neurons, read_table
from backend.errors import ShardError
from backend.store import SCHEMA
from backend.types import CodebookInfo

MEMORY_LIMIT = "512MB"
THREADS = 2
Tick = Callable[[str, int, int], None]


def open_for_writing(path: Path, *, fresh: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a store file of a build under way, with bounded memory; what does not fit is spilled beside it.

    Args:
        path: the file, in the partial folder.
        fresh: delete what is there and lay down the schema's empty tables.
    """
    if fresh:
        for old in (path, path.with_name(path.name + ".wal")):
            old.unlink(missing_ok=True)
    config: dict[str, Any] = {
        "memory_limit": MEMORY_LIMIT,
        "threads": THREADS,
        "temp_directory": str(path.with_name("spill")),
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
    }
    connection = duckdb.connect(str(path), config=config)
    if fresh:
        connection.execute(SCHEMA.read_text(encoding="utf-8"))
    return connection


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append an Arrow table, columns by name, in its order."""
    if len(rows):
        connection.register("arrow_rows", rows)
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM arrow_rows")
        connection.unregister("arrow_rows")


def half_of(items: np.ndarray) -> np.ndarray:
    """Return 0 or 1 for every item number: a fixed hash of the number (splitmix64), so that a longer build splits the same.

    Args:
        items: integers of any shape.
    """
    x = np.asarray(items).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) & np.uint64(1)).astype(np.int8)


def write_codebooks(connection: duckdb.DuckDBPyConnection, codebooks: Sequence[CodebookInfo]) -> None:
    """Fill `codebooks`; `projection` says `pca` until a better one is made."""
    rows = [
        {
            "site_id": number,
            "site": info.site,
            "place": info.place,
            "layer": info.layer,
            "head": info.head,
            "num_codes": info.num_codes,
            "dim": info.dim,
            "slots": info.slots,
            "similarity": info.similarity,
            "projection": "pca",
        }
        for number, info in enumerate(codebooks)
    ]
    integers = dict.fromkeys(("site_id", "layer", "head", "num_codes", "dim", "slots"), pa.int32())
    names = ("site_id", "site", "place", "layer", "head", "num_codes", "dim", "slots", "similarity", "projection")
    schema = pa.schema([(name, integers.get(name, pa.string())) for name in names])
    insert(connection, "codebooks", pa.Table.from_pylist(rows, schema=schema))


def load_shards(
    connection: duckdb.DuckDBPyConnection,
    shards: Sequence[Shard],
    folder: Path,
    codebooks: Sequence[CodebookInfo],
    cells: np.ndarray,
    tick: Tick,
) -> None:
    """Fill `items`, `tokens`, `pictures`, `fields`, `labels` and `grid`.

    Args:
        connection: an empty store.
        shards: all shards, in the order of their items.
        folder: where their files are.
        codebooks: the model's codebooks, in order.
        cells: int32 `[P, slots of all codebooks]`, filled with every position's codes numbered through all codebooks
            (-1 is an empty slot); what co-occurrence is counted on.
        tick: told the shards done.

    Raises:
        ShardError: a file is missing, changed or unreadable.
    """
    fields = list(dict.fromkeys(field for shard in shards for field in shard.fields))
    insert(connection, "fields", pa.table({"field_id": pa.array(range(len(fields)), pa.int16()), "field": fields}))
    connection.execute("CREATE TEMP TABLE label_rows (field VARCHAR, value VARCHAR, pos BIGINT)")
    site_of_slot = np.repeat(np.arange(len(codebooks)), [info.slots for info in codebooks])
    slot_in_site = np.concatenate([np.arange(info.slots) for info in codebooks] or [np.zeros(0, int)])
    first_code = np.cumsum([0] + [info.num_codes for info in codebooks])
    first_pos = 0
    for number, shard in enumerate(shards):
        tick("tables", number, len(shards))
        try:
            _load_texts(connection, shard, folder, first_pos)
            grid = _grid_rows(shard, folder, site_of_slot, slot_in_site, first_pos)
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise ShardError(
                f"The shard of items {shard.start} to {shard.stop - 1} in {folder} matches its hash but cannot be "
                f"read: {error}. Delete that folder and build again."
            ) from error
        codes = grid.column("code").to_numpy().reshape(shard.positions, len(site_of_slot))
        part = codes + first_code[site_of_slot].astype(np.int32)
        cells[first_pos : first_pos + shard.positions] = np.where(codes >= 0, part, np.int32(-1))
        if shard.activations < len(grid):
            grid = grid.filter(pa.array(codes.ravel() >= 0))
        insert(connection, "grid", grid)
        first_pos += shard.positions
    connection.execute(
        "INSERT INTO labels SELECT field_id, value, pos FROM label_rows JOIN fields USING (field) ORDER BY ALL"
    )
    connection.execute("DROP TABLE label_rows")
    tick("tables", len(shards), len(shards))


def _load_texts(connection: duckdb.DuckDBPyConnection, shard: Shard, folder: Path, first_pos: int) -> None:
    items = read_table(shard, "items", folder)
    counts = items.column("positions").to_numpy().astype(np.int64)
    items = items.append_column("first_pos", pa.array(first_pos + np.cumsum(counts) - counts))
    insert(connection, "items", items.append_column("half", pa.array(half_of(items.column("item").to_numpy()))))
    tokens = read_table(shard, "tokens", folder)
    insert(connection, "tokens", tokens.append_column("pos", pa.array(np.arange(first_pos, first_pos + len(tokens)))))
    if "pictures" in shard.files:
        insert(connection, "pictures", read_table(shard, "pictures", folder))
    labels = read_table(shard, "labels", folder)
    shifted = pa.array(labels.column("pos").to_numpy() + first_pos)
    insert(connection, "label_rows", labels.set_column(labels.column_names.index("pos"), "pos", shifted))


def _grid_rows(
    shard: Shard, folder: Path, site_of_slot: np.ndarray, slot_in_site: np.ndarray, first_pos: int
) -> pa.Table:
    """Return the shard's rows of `grid`, empty slots (code -1) included."""
    grid = read_table(shard, "grid", folder)
    runners = read_table(shard, "runners", folder)
    sites = int(site_of_slot.max(initial=-1)) + 1
    scores = grid.column("score").to_numpy().reshape(shard.positions, len(site_of_slot))
    runner_up = runners.column("runner_up").to_numpy().reshape(shard.positions, sites)[:, site_of_slot]
    runner_score = runners.column("runner_up_score").to_numpy().reshape(shard.positions, sites)[:, site_of_slot]
    return pa.table(
        {
            "pos": np.repeat(np.arange(first_pos, first_pos + shard.positions), len(site_of_slot)),
            "site_id": np.tile(site_of_slot.astype(np.int16), shard.positions),
            "slot": np.tile(slot_in_site.astype(np.int16), shard.positions),
            "code": grid.column("code"),
            "score": grid.column("score"),
            "margin": (scores - runner_score).ravel(),
            "runner_up": runner_up.ravel(),
        }
    )


def sort_postings(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill `postings` from `grid`, in order of codebook, code, position and slot."""
    connection.execute(
        "INSERT INTO postings "
        "SELECT site_id, code, pos, slot, score, margin FROM grid ORDER BY site_id, code, pos, slot"
    )


def write_neurons(
    connection: duckdb.DuckDBPyConnection, shards: Sequence[Shard], folder: Path, limit: int, tick: Tick
) -> int:
    """Fill `neurons` with the ranks of each neuron's activations at the first positions.

    Args:
        connection: the store.
        shards: all shards, in the order of their items.
        folder: where their files are.
        limit: most positions that are kept, at most 65,536.
        tick: told the groups of neurons done.

    Returns:
        Positions that were ranked; 0 where the model has no neurons.

    Raises:
        ShardError: a file is missing, changed or unreadable.
    """
    files: list[pq.ParquetFile] = [open_neurons(shard, folder) for shard in shards if "neurons" in shard.files]
    if not files:
        return 0
    positions = min(limit, sum(shard.neuron_positions for shard in shards))
    groups = files[0].num_row_groups
    ranks = np.empty((NEURONS_PER_GROUP, positions), np.uint16)
    places = np.arange(positions, dtype=np.uint16)
    for group in range(groups):
        tick("neurons", group, groups)
        parts = [file.read_row_group(group) for file in files]
        columns = [part.column("values").to_pylist() for part in parts]
        for row, blobs in enumerate(zip(*columns, strict=True)):
            values = np.frombuffer(b"".join(blobs), np.float32)[:positions]
            ranks[row, np.argsort(values, kind="stable")] = places
        rows = len(columns[0])
        blob = pa.array([ranks[row].astype("<u2").tobytes() for row in range(rows)], pa.binary())
        insert(connection, "neurons", parts[0].select(["site", "neuron"]).append_column("ranks", blob))
    tick("neurons", groups, groups)
    return positions


def write_metrics(connection: duckdb.DuckDBPyConnection, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Fill `metrics` from a model card: name -> value, low, high, n, seeds, definition."""
    kinds = {
        "name": pa.string(),
        "value": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "n": pa.int64(),
        "seeds": pa.int32(),
        "definition": pa.string(),
    }
    rows = [{"name": name} | {key: metric[key] for key in kinds if key != "name"} for name, metric in metrics.items()]
    insert(connection, "metrics", pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items()))))


def write_facts(connection: duckdb.DuckDBPyConnection, facts: Mapping[str, Any]) -> None:
    """Fill `facts`; values become JSON."""
    keys = sorted(facts)
    insert(connection, "facts", pa.table({"key": keys, "value": [json.dumps(facts[key]) for key in keys]}))
