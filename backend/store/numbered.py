"""Every position's label value or token as a number, so that a count over positions is one look-up and one histogram.

Two bytes a position while there are fewer than 32,768 different values, four otherwise; kept while there is room.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backend.store import corpus
from backend.store.reader import Reader

CELLS = 1 << 22  # of a table or a batch that is counted at once


@dataclass(frozen=True)
class Numbered:
    """What a field says of every position.

    Attributes:
        names: the different values.
        number: integers `[P]`: place in `names` of each position's value; -1 where there is none.
        totals: int64 `[2, names]`: positions with each value, by half.
    """

    names: tuple[str, ...]
    number: np.ndarray
    totals: np.ndarray

    @property
    def nbytes(self) -> int:
        """Memory, about."""
        return self.number.nbytes + self.totals.nbytes + sum(60 + len(name) for name in self.names)

    def count(self, positions: np.ndarray) -> np.ndarray:
        """Return how many of some positions have each value: int64 `[names]`."""
        return histogram(self.number[positions], len(self.names))

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all positions that have a value, by value and then ascending, and where each value's begin: `[names + 1]`."""
        order = np.argsort(self.number, kind="stable")
        return order, np.searchsorted(self.number[order], np.arange(len(self.names) + 1))


def histogram(numbers: np.ndarray, size: int) -> np.ndarray:
    """Return how often each of 0 to `size - 1` occurs, negative numbers left out: int64 `[size]`."""
    return np.bincount(numbers[numbers >= 0], minlength=size)


def crossed(codes: np.ndarray, num_codes: int, values: Numbered, where: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield how often each code of a codebook fires where each value holds, some codes at a time, so that memory stays bounded.

    Args:
        codes: what the codebook chose at every position, as `corpus.codes_of_site` says it.
        num_codes: how many codes it has.
        values: the values of every position.
        where: the positions that count, ascending.

    Yields:
        The first code of some, and int64 `[codes, values]`.
    """
    width = max(1, len(values.names))
    where = where[values.number[where] >= 0]
    at_once = max(1, CELLS // width)
    rows = max(1, CELLS // max(1, codes.shape[1]))
    for first in range(0, num_codes, at_once):
        size = min(at_once, num_codes - first)
        counts = np.zeros(size * width, np.int64)
        for begin in range(0, len(where), rows):
            part = where[begin : begin + rows]
            cell = codes[part].astype(np.int64)
            if size < num_codes:
                inside = (cell >= first) & (cell < first + size)
                cell = np.where(inside, cell - first, size)  # the others behind the last, cut off below
            cell *= width
            cell += values.number[part][:, None]
            counts += np.bincount(cell.ravel(), minlength=len(counts) + width)[: len(counts)]
        yield first, counts.reshape(size, width)


def numbered(reader: Reader, names: tuple[str, ...], number: np.ndarray) -> Numbered:
    """Compact what was numbered and count it by half."""
    compact = number.astype(np.int16 if len(names) < 1 << 15 else np.int32)
    half = corpus.halves(reader, np.arange(len(number)))
    return Numbered(names, compact, np.stack([histogram(compact[half == part], len(names)) for part in (0, 1)]))


def labels(reader: Reader, field: str) -> Numbered:
    """Return a label field of every position; raises `BadInput` where there is none of that name."""
    field_id = reader.field(field)

    def load() -> tuple[Numbered, int]:
        names = reader.table("SELECT DISTINCT value FROM labels WHERE field_id = ? ORDER BY value", [field_id])["value"]
        number = np.full(reader.positions, -1, np.int32)
        sql = (
            "SELECT number, pos FROM labels JOIN (SELECT value, row_number() OVER (ORDER BY value) - 1 AS number FROM "
            "(SELECT DISTINCT value FROM labels WHERE field_id = ?)) USING (value) WHERE field_id = ?"
        )
        for batch in reader.batches(sql, [field_id, field_id]):
            number[batch["pos"]] = batch["number"]
        values = numbered(reader, tuple(names), number)
        return values, values.nbytes

    return reader.cache.get((reader.path, "numbered labels", field_id), load)


def tokens(reader: Reader) -> Numbered:
    """Return the exact text of the token at every position; tokens without text (image cells) have no number."""

    def load() -> tuple[Numbered, int]:
        names = reader.table("SELECT DISTINCT token FROM tokens WHERE token != '' ORDER BY token")["token"]
        number = np.full(reader.positions, -1, np.int32)
        sql = (
            "SELECT number, pos FROM tokens JOIN (SELECT token, row_number() OVER (ORDER BY token) - 1 AS number FROM "
            "(SELECT DISTINCT token FROM tokens WHERE token != '')) USING (token)"
        )
        for batch in reader.batches(sql):
            number[batch["pos"]] = batch["number"]
        values = numbered(reader, tuple(names), number)
        return values, values.nbytes

    return reader.cache.get((reader.path, "numbered tokens"), load)
