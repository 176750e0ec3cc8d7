"""A large store for measuring: 1 M tokens in 24 codebooks of 10,000 codes, 24 M postings, made in SQL.

Words follow Zipf's law over a vocabulary of 20,000 syllable words, so that one word occurs about 70,000 times and
others a few thousand or a handful of times. In each codebook a position's code is, in 7 of 10 cases, one that belongs
to its word. Everything follows from the position by hashing: the same store every time.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from backend.store import SCHEMA, SCHEMA_VERSION

MODEL = "synthetic"
BUILD = "20260101T000000-00000000"
VOCABULARY = 20_000
ITEM_TOKENS = 125
CHUNK = 1 << 17  # positions written at a time
NEURON_POSITIONS = 16_384
NEURON_SITES = {"L0.mlp": 512, "L1.mlp": 512}


def data_dir(folder: Path, tokens: int = 1_000_000, codebooks: int = 24, codes: int = 10_000) -> Path:
    """A data directory with the store in it, made below `folder` if it is not there yet."""
    where = folder / f"synthetic-{tokens}-{codebooks}-{codes}-v{SCHEMA_VERSION}"
    path = where / "builds" / f"{MODEL}.{BUILD}.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".partial.{os.getpid()}")
        _write(partial, tokens, codebooks, codes)
        os.replace(partial, path)
    return where


def word(rank: int) -> str:
    """The word of a rank, 0 the most frequent."""
    db = duckdb.connect()
    return db.execute(f"SELECT {_word('r')} FROM (SELECT ? AS r)", [rank]).fetchall()[0][0]


def _word(rank: str) -> str:
    """SQL: one syllable per digit of the rank to base 100."""

    def syllable(digit: str) -> str:
        consonant = f"substr('bcdfghjklmnprstvwxyz', (({digit}) // 5 % 20 + 1)::INTEGER, 1)"
        return f"{consonant} || substr('aeiou', (({digit}) % 5 + 1)::INTEGER, 1)"

    return (
        f"CASE WHEN {rank} >= 10000 THEN {syllable(f'{rank} // 10000')} ELSE '' END || "
        f"CASE WHEN {rank} >= 100 THEN {syllable(f'{rank} // 100')} ELSE '' END || {syllable(rank)}"
    )


def _write(path: Path, tokens: int, codebooks: int, codes: int) -> None:
    db = duckdb.connect(str(path), config={"memory_limit": "2GiB", "threads": "2"})
    db.execute("SET enable_progress_bar = false")
    db.execute(SCHEMA.read_text())
    _write_text(db, tokens)
    _write_codes(db, tokens, codebooks, codes)
    rng = np.random.default_rng(0)
    covered = min(NEURON_POSITIONS, tokens)
    for site, width in NEURON_SITES.items():
        ranks = [rng.permutation(covered).astype("<u2").tobytes() for _ in range(width)]
        table = pa.table({"neuron": np.arange(width, dtype=np.int32), "ranks": pa.array(ranks, pa.binary())})
        db.register("given", table)
        db.execute("INSERT INTO neurons SELECT ?, neuron, ranks FROM given", [site])
        db.unregister("given")
    facts = {
        "schema_version": SCHEMA_VERSION,
        "model": MODEL,
        "family": "synthetic",
        "kind": "text",
        "title": "Synthetic store for benchmarks",
        "capabilities": [],
        "dataset": {"name": "synthetic"},
        "finished": "2026-01-01T00:00:00+00:00",
        "neuron_positions": covered,
    }
    db.executemany("INSERT INTO facts VALUES (?, ?)", [(k, json.dumps(v)) for k, v in facts.items()])
    db.execute("CHECKPOINT")
    db.close()


def _write_text(db: duckdb.DuckDBPyConnection, tokens: int) -> None:
    # A uniform u in [0, 1) from the position's hash; exp(u ln V) has density 1 / rank.
    db.execute(
        f"CREATE TEMP TABLE words AS SELECT pos, pos // {ITEM_TOKENS} AS item, r, {_word('r')} AS token FROM "
        f"(SELECT range AS pos, floor(exp((hash(range) % 1000003) / 1000003.0 * ln({VOCABULARY})) - 1)::BIGINT AS r "
        "FROM range(?)) ORDER BY pos",
        [tokens],
    )
    db.execute(
        f"INSERT INTO tokens SELECT pos, item, pos % {ITEM_TOKENS}, r, stop - len(token), stop, token FROM "
        "(SELECT *, sum(len(token) + 1) OVER (PARTITION BY item ORDER BY pos) - 1 AS stop FROM words) ORDER BY pos"
    )
    db.execute(
        "INSERT INTO items SELECT item, min(pos), count(*), [count(*)], hash(item) % 2, "
        "string_agg(token, ' ' ORDER BY pos), '{}' FROM words GROUP BY item ORDER BY item"
    )
    db.execute("INSERT INTO fields VALUES (0, 'initial')")
    db.execute("INSERT INTO labels SELECT 0, token[1], pos FROM words ORDER BY 2, 3")


def _write_codes(db: duckdb.DuckDBPyConnection, tokens: int, codebooks: int, codes: int) -> None:
    db.execute(
        "INSERT INTO codebooks SELECT s, 'L' || (s // 4) || CASE WHEN s % 4 = 3 THEN '.mlp' ELSE '.attn.h' || (s % 4) "
        "END, CASE WHEN s % 4 = 3 THEN 'mlp' ELSE 'attn' END, s // 4, CASE WHEN s % 4 < 3 THEN s % 4 END, ?, 2, 1, "
        "'cosine', 'pca' "
        "FROM range(?) t(s)",
        [codes, codebooks],
    )
    for start in range(0, tokens, CHUNK):
        db.execute(
            "INSERT INTO grid SELECT pos, s, 0, code, (hash(pos, s, 3) % 10007) / 10007.0, "
            "(hash(pos, s, 4) % 10007) / 50035.0, (code + 1) % ? FROM (SELECT pos, s, CASE "
            "WHEN hash(pos, s, 1) % 10 < 7 THEN hash(r, s) % ? ELSE hash(pos, s, 2) % (1 + hash(pos, s, 5) % ?) END "
            "AS code FROM words, range(?) t(s) WHERE pos >= ? AND pos < ?) ORDER BY pos, s",
            [codes, codes, codes, codebooks, start, start + CHUNK],
        )
    for site in range(codebooks):
        db.execute(
            "INSERT INTO postings SELECT site_id, code, pos, slot, score, margin FROM grid WHERE site_id = ? "
            "ORDER BY code, pos",
            [site],
        )
    db.execute(
        f"CREATE TEMP TABLE used AS SELECT site_id, code, count(*) AS n, count(DISTINCT pos // {ITEM_TOKENS}) AS items "
        "FROM postings GROUP BY ALL"
    )
    db.execute(
        "INSERT INTO codes SELECT s.site_id, c.range, coalesce(n, 0), coalesce(u.items, 0), coalesce(n, 0) / ?, 0, "
        "[0, 1], CASE WHEN n > 0 THEN 0 END, CASE WHEN n > 0 THEN 0 END, 0, 0 FROM codebooks s CROSS JOIN range(?) c "
        "LEFT JOIN used u ON u.site_id = s.site_id AND u.code = c.range ORDER BY s.site_id, c.range",
        [tokens, codes],
    )
