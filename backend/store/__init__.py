"""The store: one DuckDB file per model and build, and one SQLite file for what people write."""

from pathlib import Path

SCHEMA = Path(__file__).with_name("schema.sql")
SCHEMA_VERSION = 2  # of schema.sql; a reader refuses any other
