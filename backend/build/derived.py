"""Writes what is computed from a store's activations: `codes`, `neighbours`, `cooccurrence`, `outputs` and the maps.

Each codebook is read back from `postings` in runs of whole codes of about a million activations, so that memory is
bounded by a run (or by a single code, if that one is larger), not by the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.analysis.neighbours import count_together, nearest_rows
from backend.analysis.projection import pca
from backend.analysis.usage import Usage, count_usage
from backend.build.map_process import MapProcess
from backend.build.shards import Shard, open_neurons
from backend.build.writer import Tick, insert
from backend.errors import BuildError, CheckFailed
from backend.types import CodebookInfo

RUN = 1_000_000
TOGETHER_RUN = 250_000
PARTNERS = 20
MIN_TOGETHER = 5
UMAP_CODES = (16, 10_000)  # live codes of a codebook that gets a UMAP, fewest and most; others show the PCA
MAP_SECONDS = 600.0  # to wait for one map
OUTPUTS = 2000  # sampled vectors of each codebook


@dataclass(frozen=True)
class Counted:
    """What is known of a codebook before its map is drawn.

    Attributes:
        usage: how often each code fires, and where.
        flat: float32 `[num_codes, 2]`, the PCA.
        drawing: the UMAP of its live codes; None where it gets none.
    """

    usage: Usage
    flat: np.ndarray
    drawing: Future[np.ndarray] | None


def count_codes(
    connection: duckdb.DuckDBPyConnection,
    codebooks: Sequence[CodebookInfo],
    tables: Callable[[str], np.ndarray],
    maps: MapProcess | None,
    tick: Tick,
) -> list[Counted]:
    """Count every codebook's usage, ask for its map, and fill `neighbours`.

    Args:
        connection: a store with its postings.
        codebooks: in order.
        tables: site -> float32 `[num_codes, dim]`.
        maps: draws UMAPs meanwhile; None: the maps are PCAs.
        tick: told the codebooks done.

    Raises:
        CheckFailed: the postings are out of order, or a code fills two slots of one position.
    """
    item_of = np.asarray(connection.execute("SELECT item FROM tokens ORDER BY pos").fetchnumpy()["item"])
    symbol_of = _read_symbols(connection, len(item_of))
    counted = []
    for site_id, info in enumerate(codebooks):
        tick("codes", site_id, len(codebooks))
        usage = _count_usage(connection, site_id, info, item_of, symbol_of)
        alive = np.flatnonzero(usage.count)
        drawing = None
        if maps is not None and UMAP_CODES[0] <= len(alive) <= UMAP_CODES[1]:

            def vectors_of(site: str = info.site, alive: np.ndarray = alive) -> np.ndarray:
                return np.asarray(tables(site), np.float32)[alive]

            drawing = maps.draw(vectors_of, cosine=info.similarity != "euclidean")
        vectors = np.asarray(tables(info.site), np.float32)
        near = nearest_rows(vectors[alive], PARTNERS, euclidean=info.similarity == "euclidean")
        rows = {
            "site_id": np.full(len(near.code), site_id, np.int16),
            "code": alive[near.code],
            "rank": near.rank,
            "neighbour": alive[near.neighbour],
            "cosine": near.cosine,
        }
        insert(connection, "neighbours", pa.table(rows))
        counted.append(Counted(usage, pca(vectors, usage.count > 0), drawing))
    tick("codes", len(codebooks), len(codebooks))
    return counted


def write_codes(
    connection: duckdb.DuckDBPyConnection,
    codebooks: Sequence[CodebookInfo],
    tables: Callable[[str], np.ndarray],
    counted: Sequence[Counted],
    tick: Tick,
) -> None:
    """Fill `codes` and set `codebooks.projection`; waits for maps that are not ready.

    Args:
        connection: a store with its tokens.
        codebooks: in order.
        tables: site -> float32 `[num_codes, dim]`.
        counted: of each codebook.
        tick: told the codebooks done, and why one shows the PCA.
    """
    ((positions,),) = connection.execute("SELECT count(*) FROM tokens").fetchall()
    for site_id, (info, codebook) in enumerate(zip(codebooks, counted, strict=True)):
        tick("maps", site_id, len(codebooks))
        alive = np.flatnonzero(codebook.usage.count)
        coordinates = codebook.flat[alive]
        if codebook.drawing is not None:
            try:
                coordinates = codebook.drawing.result(MAP_SECONDS)
                connection.execute("UPDATE codebooks SET projection = 'umap' WHERE site_id = ?", [site_id])
            except (BuildError, TimeoutError) as error:
                tick(f"{info.site} is shown by PCA, not by UMAP: {error or f'no map in {MAP_SECONDS:g} s'}", 0, 0)
        elif len(alive) > UMAP_CODES[1]:
            tick(f"{info.site} is shown by PCA: {len(alive)} live codes are more than {UMAP_CODES[1]}", 0, 0)
        vectors = np.asarray(tables(info.site), np.float32)
        insert(
            connection,
            "codes",
            _make_code_rows(site_id, codebook.usage, positions, vectors, alive, coordinates, codebook.flat),
        )
    tick("maps", len(codebooks), len(codebooks))


def write_together(
    connection: duckdb.DuckDBPyConnection,
    codebooks: Sequence[CodebookInfo],
    cells: np.ndarray,
    counts: np.ndarray,
    tick: Tick,
) -> None:
    """Fill `cooccurrence`.

    Args:
        connection: a store with its postings.
        codebooks: in order.
        cells: int32 `[P, slots of all codebooks]`, see `load_shards`.
        counts: int64 activations of every code, numbered through all codebooks.
        tick: told the codebooks done.
    """
    first_code = np.cumsum([0] + [info.num_codes for info in codebooks])
    for site_id, info in enumerate(codebooks):
        tick("together", site_id, len(codebooks))
        tables = []
        here = counts[first_code[site_id] : first_code[site_id] + info.num_codes]
        for start, codes, positions in _read_runs(connection, site_id, here, TOGETHER_RUN):
            first = int(first_code[site_id]) + start
            codes = codes + int(first_code[site_id])
            bounds = {"first": first, "at_least": MIN_TOGETHER, "keep": PARTNERS}
            tables.append(count_together(codes, positions, cells, counts, **bounds))
        if not tables:
            continue
        code, other, together, pmi = (
            np.concatenate([getattr(part, name) for part in tables]) for name in ("code", "other", "together", "pmi")
        )
        other_site = np.searchsorted(first_code, other, side="right") - 1
        rows = {
            "site_id": np.full(len(code), site_id, np.int16),
            "code": code - first_code[site_id],
            "other_site_id": other_site,
            "other_code": other - first_code[other_site],
            "together": together,
            "pmi": pmi,
        }
        insert(connection, "cooccurrence", pa.table(rows))
    tick("together", len(codebooks), len(codebooks))


def write_outputs(
    connection: duckdb.DuckDBPyConnection,
    shards: Sequence[Shard],
    folder: Path,
    codebooks: Sequence[CodebookInfo],
    tables: Callable[[str], np.ndarray],
) -> None:
    """Fill `outputs`: where a sample of what image codebooks were asked for lies among their codes, by the same PCA.

    An image model's neurons are the vectors that its codebooks are asked for, so they carry their names.

    Args:
        connection: a store with its codes.
        shards: all shards, in the order of their items.
        folder: where their files are.
        codebooks: in order.
        tables: site -> float32 `[num_codes, dim]`.
    """
    with_outputs = [shard for shard in shards if "neurons" in shard.files and "pictures" in shard.files]
    covered = sum(shard.neuron_positions for shard in with_outputs)
    positions: np.ndarray = np.unique(np.linspace(0, max(0, covered - 1), min(OUTPUTS, covered)).astype(np.int64))
    parts = [open_neurons(shard, folder).read(["site", "values"]) for shard in with_outputs]
    for site_id, info in enumerate(codebooks):
        rows = [part.filter(pc.equal(part.column("site"), info.site)).column("values").to_pylist() for part in parts]
        if not rows or len(rows[0]) != info.dim:
            continue
        values = np.concatenate([[np.frombuffer(blob, np.float32) for blob in part] for part in rows], axis=1)
        vectors = np.asarray(tables(info.site), np.float32)
        counts = connection.execute("SELECT count FROM codes WHERE site_id = ? ORDER BY code", [site_id]).fetchnumpy()
        sampled = values[:, positions].T  # [sample, dim]
        alive = np.append(np.asarray(counts["count"]) > 0, np.zeros(len(sampled), bool))
        coordinates = pca(np.concatenate([vectors, sampled]), alive)[len(vectors) :]
        rows_of_site = {
            "site_id": np.full(len(sampled), site_id, np.int16),
            "pos": positions,
            "pca_x": coordinates[:, 0],
            "pca_y": coordinates[:, 1],
        }
        insert(connection, "outputs", pa.table(rows_of_site))


def _read_symbols(connection: duckdb.DuckDBPyConnection, positions: int) -> np.ndarray:
    """Return what a code's entropy is taken over, int32 `[P]`: the token id; without tokens the first label field's value."""
    symbols = np.asarray(connection.execute("SELECT token_id FROM tokens ORDER BY pos").fetchnumpy()["token_id"])
    if (symbols < 0).all():
        rows = connection.execute(
            "SELECT pos, dense_rank() OVER (ORDER BY value) - 1 AS symbol FROM labels WHERE field_id = 0"
        ).fetchnumpy()
        symbols = np.full(positions, -1, np.int32)
        symbols[rows["pos"]] = rows["symbol"]
    return symbols


def _count_usage(
    connection: duckdb.DuckDBPyConnection, site_id: int, info: CodebookInfo, item_of: np.ndarray, symbol_of: np.ndarray
) -> Usage:
    rows = connection.execute(
        "SELECT code, count(*) AS n FROM postings WHERE site_id = ? GROUP BY code", [site_id]
    ).fetchnumpy()
    counts = np.zeros(info.num_codes, np.int64)
    counts[rows["code"]] = rows["n"]
    items, entropy = np.zeros(info.num_codes, np.int64), np.zeros(info.num_codes)
    for start, codes, positions in _read_runs(connection, site_id, counts, RUN):
        stop = int(codes[-1]) + 1
        usage = count_usage(codes - start, positions, stop - start, item_of, symbol_of)
        items[start:stop], entropy[start:stop] = usage.items, usage.entropy
        if usage.repeated:
            raise CheckFailed(
                f"Codebook {info.site!r} has {usage.repeated} activations of a code that fills another slot of the "
                f"same position too. The slots of a position must hold different codes; mend the model's family."
            )
    return Usage(counts, items, entropy, 0)


def _read_runs(
    connection: duckdb.DuckDBPyConnection, site_id: int, counts: np.ndarray, size: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield all activations of a codebook, in runs of whole codes: first code, codes `[n]`, positions `[n]`."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + size, side="right")))
        if ends[stop - 1] > before:
            rows = connection.execute(
                "SELECT code, pos FROM postings WHERE site_id = ? AND code BETWEEN ? AND ?", [site_id, start, stop - 1]
            ).fetchnumpy()
            codes, positions = np.asarray(rows["code"]), np.asarray(rows["pos"])
            step = np.diff(codes)
            if len(codes) != ends[stop - 1] - before or (step < 0).any() or (np.diff(positions)[step == 0] < 0).any():
                raise CheckFailed("The postings are not in order of code and position. Run the build again.")
            yield start, codes, positions
        start = stop


def _make_code_rows(
    site_id: int,
    usage: Usage,
    positions: int,
    vectors: np.ndarray,
    alive: np.ndarray,
    placed: np.ndarray,
    flat: np.ndarray,
) -> pa.Table:
    total, dim = vectors.shape
    map_x, map_y = np.zeros(total, np.float32), np.zeros(total, np.float32)
    map_x[alive], map_y[alive] = placed.T
    dead = usage.count == 0
    offsets = np.arange(0, total * dim + 1, dim, dtype=np.int32)
    return pa.table(
        {
            "site_id": np.full(total, site_id, np.int16),
            "code": np.arange(total, dtype=np.int32),
            "count": usage.count,
            "items": usage.items,
            "share": usage.count / max(positions, 1),
            "entropy": usage.entropy,
            "vector": pa.ListArray.from_arrays(offsets, vectors.ravel()),
            "x": pa.array(map_x, mask=dead),
            "y": pa.array(map_y, mask=dead),
            "pca_x": flat[:, 0],
            "pca_y": flat[:, 1],
        }
    )
