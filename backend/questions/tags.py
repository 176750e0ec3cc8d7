"""What is true of whole items: tags, by code and by position. In searches a tag's field is written `item:FIELD`."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from backend.errors import BadInput
from backend.store.numbered import Numbered, labels, numbered
from backend.store.reader import Reader
from backend.types import CodeRef

PREFIX = "item:"


def tags(reader: Reader) -> Mapping[tuple[str, str], np.ndarray]:
    """Return (field, value) -> rows of `reader.items` with that tag, ascending."""

    def load() -> tuple[dict[tuple[str, str], np.ndarray], int]:
        texts = reader.table("SELECT tags FROM items ORDER BY first_pos")["tags"]
        rows: dict[tuple[str, str], list[int]] = {}
        for row, text in enumerate(texts):
            for field, value in json.loads(text or "{}").items():
                if value != "":
                    rows.setdefault((field, str(value)), []).append(row)
        return {key: np.array(rows[key], np.int64) for key in sorted(rows)}, 8 * len(texts) * 10 + 200 * len(rows)

    return reader.cache.get((reader.path, "tags"), load)


def tag_fields(reader: Reader) -> pd.DataFrame:
    """Return what items are tagged with: `field, value, items`. In `search` a tag's field is written `item:FIELD`."""
    rows = [(field, value, len(items)) for (field, value), items in tags(reader).items()]
    table = pd.DataFrame(rows, columns=["field", "value", "items"]).astype({"items": np.int64})
    return table.sort_values(["field", "items", "value"], ascending=[True, False, True], ignore_index=True)


def numbered_tags(reader: Reader, field: str) -> Numbered:
    """Return a tag of every position's item, as `numbered.labels` returns a label.

    Raises:
        BadInput: no item has a tag of that field.
    """
    _check(reader, field)
    values = {value: rows for (name, value), rows in tags(reader).items() if name == field}
    of_item = np.full(len(reader.items.item), -1, np.int32)
    for number, rows in enumerate(values.values()):
        of_item[rows] = number
    sizes = np.diff(np.append(reader.items.first_pos, reader.positions))
    return numbered(reader, tuple(values), np.repeat(of_item, sizes))


def labels_or_tags(reader: Reader, field: str) -> Numbered:
    """Return the value of a field at every position: of a label, or with `item:FIELD` of a tag of its item.

    Raises:
        BadInput: the build has no such field.
    """
    is_tag = field.startswith(PREFIX)
    return numbered_tags(reader, field.removeprefix(PREFIX)) if is_tag else labels(reader, field)


def all_labels(reader: Reader, n: int = 60) -> pd.DataFrame:
    """Return what `search` can be asked for beside a pattern: the n most frequent values of every label field and tag.

    Returns:
        `field` (`item:FIELD` for tags), `value, positions`.
    """
    labels = reader.table(
        "SELECT field, value, count(*) AS positions FROM labels JOIN fields USING (field_id) GROUP BY field_id, field, value "
        "QUALIFY row_number() OVER (PARTITION BY field_id ORDER BY count(*) DESC, value) <= ? "
        "ORDER BY field_id, positions DESC, value",
        [n],
    )
    sizes = np.diff(np.append(reader.items.first_pos, reader.positions))
    of_items = tag_fields(reader).groupby("field", sort=False).head(n)
    pairs = list(zip(of_items["field"], of_items["value"], strict=True))
    tagged = pd.DataFrame(
        {
            "field": [PREFIX + field for field, _ in pairs],
            "value": [value for _, value in pairs],
            "positions": [int(sizes[tags(reader)[pair]].sum()) for pair in pairs],
        }
    )
    return pd.concat([labels, tagged], ignore_index=True).astype({"positions": np.int64})


def tagged_positions(reader: Reader, field: str, value: str) -> np.ndarray:
    """Return all positions of the items with a tag, ascending: int64.

    Raises:
        BadInput: no item has a tag of that field.
    """
    _check(reader, field)
    rows = tags(reader).get((field, value), np.empty(0, np.int64))
    ends = np.append(reader.items.first_pos[1:], reader.positions)
    runs = [np.arange(reader.items.first_pos[row], ends[row]) for row in rows]
    return np.concatenate([np.empty(0, np.int64), *runs])


def _check(reader: Reader, field: str) -> None:
    fields = sorted({name for name, _ in tags(reader)})
    if field not in fields:
        raise BadInput(f"No item has a tag {field[:80]!r}. The build has: {', '.join(fields) or 'no tags'}.")


def tags_of(reader: Reader, ref: CodeRef, n: int = 20) -> pd.DataFrame:
    """Return the tags of the items in which the code fires, most frequent first.

    Returns:
        `field, value, count` (activations in items with that tag), `precision` (count / activations of the code),
        `recall` (count / total), `total` (positions of items with that tag).
    """
    site = reader.site_of(ref)
    pos = reader.arrays("SELECT pos FROM postings WHERE site_id = ? AND code = ?", [site.site_id, ref.code])["pos"]
    fires = np.bincount(reader.items.index_of(pos), minlength=len(reader.items.item))
    sizes = np.diff(np.append(reader.items.first_pos, reader.positions))
    rows = [
        (field, value, int(fires[items].sum()), int(sizes[items].sum()))
        for (field, value), items in tags(reader).items()
    ]
    table = pd.DataFrame(rows, columns=["field", "value", "count", "total"]).astype(
        {"count": np.int64, "total": np.int64}
    )
    table = table[table["count"] > 0].sort_values(["count", "field", "value"], ascending=[False, True, True]).head(n)
    table["precision"], table["recall"] = table["count"] / max(1, len(pos)), table["count"] / table["total"]
    return table[["field", "value", "count", "precision", "recall", "total"]].reset_index(drop=True)
