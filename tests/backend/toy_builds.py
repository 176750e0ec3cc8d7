"""Builds of the toy family, and every row of what they published."""

from __future__ import annotations

from pathlib import Path

import duckdb

from backend.build.precompute import build
from tests.backend.toy_family import LIMITS, open_toy

VARYING = ("started", "finished", "seconds", "build", "code_version")


def build_toy(data_dir: Path, **options):
    """Build the toy with small shards, and without waiting for UMAP."""
    return build("toy", data_dir, **({"limits": LIMITS, "open_family": open_toy, "projection": "pca"} | options))


def answers(store: Path) -> dict[str, list[tuple]]:
    """Every row of every table in stored order, without the times of the build."""
    with duckdb.connect(str(store), read_only=True) as connection:
        tables = sorted(name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall())
        found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    found["facts"] = [row for row in found["facts"] if row[0] not in VARYING]
    return found
