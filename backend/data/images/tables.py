"""Pictures in Parquet files: a column of bytes, or of `{bytes, path}` as Hugging Face data sets have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.data.tags import TagCount, class_name, class_names
from backend.errors import BadInput

TABLE_ENDING = ".parquet"
_ROWS = 16  # read together: pictures are large, so more would not fit into little memory


@dataclass(frozen=True)
class Columns:
    """What is read of a table.

    Attributes:
        image: of bytes, or a struct with a field `bytes`. Paths in it are never followed.
        label: the class, may be missing; numbers are named where the file's notes for Hugging Face name them.
        tags: what becomes a tag, and what has been seen of it.
    """

    image: str = "image"
    label: str = "label"
    tags: TagCount = field(default_factory=TagCount)


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        number: from 0.
        picture: its bytes; None where the row has none.
        label: its class; empty where it is not known.
        fields: the columns that become tags.
    """

    number: int
    picture: bytes | None
    label: str
    fields: dict[str, Any]


def table_rows(file: Path, columns: Columns) -> Iterator[TableRow]:
    """Read the rows of a Parquet file, in order.

    Raises:
        BadInput: it is not a readable Parquet file, or it lacks a column of pictures, or one that was chosen cannot be a tag.
    """
    image_column, label_column = columns.image, columns.label
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
            item = [image_column, *([label_column] if label_column in schema.names else [])]
            columns.tags.see(name for name in schema.names if name not in item)
            more = columns.tags.rules.columns_of(schema, item, "Its")
            classes = {name: class_names(schema.metadata or {}, name) for name in (*item[1:], *more)}
            row = 0
            for batch in table.iter_batches(_ROWS, columns=[*item, *more]):
                values = {name: batch.column(name).to_pylist() for name in classes}
                for at, picture in enumerate(batch.column(image_column).to_pylist()):
                    fields = {name: class_name(values[name][at], names) for name, names in classes.items()}
                    label = fields.pop(label_column, None)
                    data = (picture or {}).get("bytes") if packed else picture
                    yield TableRow(row, data, "" if label is None else str(label)[:200], fields)
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"It is not a readable Parquet file ({str(error).splitlines()[0][:200]}).") from None
