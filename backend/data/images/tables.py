"""Pictures in Parquet files: a column of bytes, or of `{bytes, path}` as Hugging Face data sets have it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from backend.errors import BadInput

TABLE_ENDING = ".parquet"
_ROWS = 16  # read together


def table_rows(file: Path, image_column: str, label_column: str) -> Iterator[tuple[int, bytes | None, str]]:
    """The rows of a table, in order.

    Args:
        file: the Parquet file.
        image_column: of bytes, or a struct with a field `bytes`. Paths in it are never followed.
        label_column: the class, may be missing; numbers are named where the file's notes for Hugging Face name them.

    Yields:
        Row number from 0, the picture's bytes (None: the row has none), its class (empty: unknown).

    Raises:
        BadInput: no readable Parquet file, or it lacks a column of pictures.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            schema = table.schema_arrow
            if image_column not in schema.names:
                raise BadInput(
                    f"It has no column {image_column!r}, but {', '.join(map(repr, schema.names[:20]))}. Name the right one "
                    "with image_column."
                )
            kind = schema.field(image_column).type
            packed = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
            if not packed and not pa.types.is_binary(kind) and not pa.types.is_large_binary(kind):
                raise BadInput(
                    f"Its column {image_column!r} holds {kind}, where bytes or {{bytes, path}} are expected."
                )
            labelled = label_column in schema.names
            names = _class_names(schema.metadata or {}, label_column)
            row = 0
            for batch in table.iter_batches(_ROWS, columns=[image_column, *([label_column] if labelled else [])]):
                pictures = batch.column(image_column).to_pylist()
                labels = batch.column(label_column).to_pylist() if labelled else [None] * len(pictures)
                for picture, label in zip(pictures, labels, strict=True):
                    yield row, (picture or {}).get("bytes") if packed else picture, _class_name(label, names)
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"It is no Parquet file that can be read ({str(error).splitlines()[0][:200]}).") from None


def _class_names(notes: dict[bytes, bytes], column: str) -> Sequence[str]:
    """The names of a column's classes, from what Hugging Face's data sets note in a file; empty where they do not."""
    try:
        names = json.loads(notes[b"huggingface"])["info"]["features"][column]["names"]
        return [str(name) for name in names]
    except (KeyError, TypeError, ValueError):
        return []


def _class_name(label: Any, names: Sequence[str]) -> str:
    if isinstance(label, int) and 0 <= label < len(names):
        return names[label]
    return "" if label is None else str(label)[:200]
