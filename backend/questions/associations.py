"""What goes with a code: tokens, labels, neighbours, codes that fire with it or like it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from backend.calls import count_rows
from backend.errors import BadInput
from backend.store import corpus
from backend.store.reader import Reader
from backend.types import CodeRef

MAX_STEP = 64
_POSITIONS = "SELECT pos FROM postings WHERE site_id = ? AND code = ?"


def tokens_of(reader: Reader, ref: CodeRef, n: int = 20) -> pd.DataFrame:
    """Return the tokens under the code, most frequent first: `token, count, share` (of the code's activations)."""
    site = reader.site_of(ref)
    return reader.table(
        f"SELECT token, count(*) AS count, count(*) / sum(count(*)) OVER () AS share FROM ({_POSITIONS}) "
        "JOIN tokens USING (pos) GROUP BY token ORDER BY count DESC, token LIMIT ?",
        [site.site_id, ref.code, n],
    )


def labels_of(reader: Reader, ref: CodeRef, n: int = 20) -> pd.DataFrame:
    """Return the label values under the code, most frequent first.

    Returns:
        `field, value, count` (activations at positions with that label), `precision` (count / activations of the
        code), `recall` (count / total), `total` (positions with that label).
    """
    site = reader.site_of(ref)
    table = reader.table(
        f"WITH here AS MATERIALIZED ({_POSITIONS}), hit AS (SELECT field_id, value, count(*) AS count FROM labels "
        "JOIN here USING (pos) GROUP BY ALL) "
        "SELECT field, value, hit.count, hit.count / (SELECT count(*) FROM here) AS precision FROM hit "
        "JOIN fields USING (field_id) ORDER BY hit.count DESC, field, value LIMIT ?",
        [site.site_id, ref.code, n],
    )
    totals = _label_totals(reader)
    table["total"] = [totals[pair] for pair in zip(table["field"], table["value"], strict=True)]
    table["total"] = table["total"].astype(np.int64)
    table["recall"] = table["count"] / table["total"]
    return table[["field", "value", "count", "precision", "recall", "total"]]


def _label_totals(reader: Reader) -> dict[tuple[str, str], int]:
    """Return (field, value) -> positions that have it."""

    def count() -> tuple[dict[tuple[str, str], int], int]:
        table = reader.table(
            "SELECT field, value, count(*) AS n FROM labels JOIN fields USING (field_id) GROUP BY field, value"
        )
        keys = zip(table["field"], table["value"], strict=True)
        return dict(zip(keys, table["n"].tolist(), strict=True)), 200 * len(table)

    return reader.cache.get((reader.path, "label totals"), count)


def neighbours(reader: Reader, ref: CodeRef, n: int = 20) -> pd.DataFrame:
    """Return live codes of the same codebook with the nearest vectors, by its own similarity.

    Returns:
        `ref, cosine, distance` (Euclidean), `count`.
    """
    site = reader.site_of(ref)
    table = reader.table(
        "SELECT neighbour AS ref, cosine, list_distance(c.vector, "
        "(SELECT vector FROM codes WHERE site_id = ? AND code = ?))::DOUBLE AS distance, c.count FROM neighbours "
        "JOIN codes c ON c.site_id = neighbours.site_id AND c.code = neighbour "
        "WHERE neighbours.site_id = ? AND neighbours.code = ? ORDER BY neighbours.rank LIMIT ?",
        [site.site_id, ref.code, site.site_id, ref.code, n],
    )
    table["ref"] = _refs(CodeRef(reader.model, ref.site, int(code)) for code in table["ref"])
    return table


def together(reader: Reader, ref: CodeRef, n: int = 20) -> pd.DataFrame:
    """Return codes of any codebook that fire at the same positions, by PMI (bits): `ref, together, pmi, count`."""
    site = reader.site_of(ref)
    table = reader.table(
        "SELECT o.other_site_id, o.other_code, o.together, o.pmi, c.count FROM cooccurrence o JOIN codes c "
        "ON c.site_id = o.other_site_id AND c.code = o.other_code WHERE o.site_id = ? AND o.code = ? "
        "ORDER BY o.pmi DESC, o.together DESC, o.other_site_id, o.other_code LIMIT ?",
        [site.site_id, ref.code, n],
    )
    pairs = zip(table.pop("other_site_id"), table.pop("other_code"), strict=True)
    table.insert(0, "ref", _refs(CodeRef(reader.model, reader.site_names[s], int(c)) for s, c in pairs))
    return table


def beside(reader: Reader, ref: CodeRef, step: int, n: int = 20, min_together: int = 5) -> pd.DataFrame:
    """Return codes of any codebook that fire `step` positions later (negative: earlier) in the same item, by PMI.

    Returns:
        `ref, together` (how often, at least `min_together`), `pmi` (bits: how much more often than anywhere), `count`.
    """
    if not 1 <= abs(step) <= MAX_STEP or min_together < 1:
        raise BadInput(
            f"Give a step of 1 to {MAX_STEP} positions, forwards or (negative) backwards, and a support of 1 or more, "
            f"not {step} and {min_together}."
        )
    site = reader.site_of(ref)
    positions = np.unique(reader.arrays(_POSITIONS, [site.site_id, ref.code])["pos"])
    there = positions + step
    inside = (there >= 0) & (there < reader.positions)
    inside[inside] = reader.items.index_of(there[inside]) == reader.items.index_of(positions[inside])
    both, _ = corpus.count_codes(reader, there[inside])
    count_rows(int(inside.sum()) * len(corpus.columns(reader).offset))
    count = corpus.totals(reader, None)
    which = np.flatnonzero(both >= min_together)
    pmi = np.log2(both[which] / max(1, int(inside.sum())) / (count[which] / reader.positions))
    order = np.lexsort((which, -both[which], -pmi))[: max(0, n)]
    best = which[order]
    return pd.DataFrame(
        {"ref": _refs(corpus.refs(reader, best)), "together": both[best], "pmi": pmi[order], "count": count[best]}
    )


def alike(reader: Reader, ref: CodeRef, n: int = 10) -> pd.DataFrame:
    """Return codes of *other* codebooks that fire at the most similar positions: `ref, jaccard, together, count`."""
    site = reader.site_of(ref)
    positions = np.unique(reader.arrays(_POSITIONS, [site.site_id, ref.code])["pos"])
    layout = corpus.columns(reader)
    both, _ = corpus.count_codes(reader, positions)
    count_rows(len(positions) * len(layout.offset))
    count = corpus.totals(reader, None)
    begin = layout.code_offset[site.site_id]
    both[begin : begin + site.info.num_codes] = 0
    which = np.flatnonzero(both)
    jaccard = both[which] / (count[which] + len(positions) - both[which])
    order = np.lexsort((which, -both[which], -jaccard))[: max(0, n)]
    return pd.DataFrame(
        {
            "ref": _refs(corpus.refs(reader, which[order])),
            "jaccard": jaccard[order],
            "together": both[which[order]],
            "count": count[which[order]],
        }
    )


def label_fields(reader: Reader) -> pd.DataFrame:
    """Return the fields of per-position truth: `field, values` (how many different), `positions` (that have one)."""
    return reader.table(
        "SELECT field, count(DISTINCT value) AS values, count(pos) AS positions FROM fields "
        "LEFT JOIN labels USING (field_id) GROUP BY field_id, field ORDER BY field_id"
    )


def label_values(reader: Reader, field: str, n: int = 200) -> pd.DataFrame:
    """Return the most frequent values of a field: `value, positions`."""
    return reader.table(
        "SELECT value, count(*) AS positions FROM labels WHERE field_id = ? GROUP BY value "
        "ORDER BY positions DESC, value LIMIT ?",
        [reader.field(field), n],
    )


def label_matrix(reader: Reader, site: str, field: str, half: int | None = None) -> pd.DataFrame:
    """Return how often each code fires at positions with each label value: `value, code, count`; no rows for zeros."""
    codebook, field_id = reader.site(site), reader.field(field)
    layout = corpus.columns(reader)
    first, size = layout.first[codebook.site_id], codebook.info.num_codes
    values = reader.table("SELECT DISTINCT value FROM labels WHERE field_id = ? ORDER BY value", [field_id])["value"]
    numbered = (
        "SELECT number, pos FROM labels JOIN (SELECT value, row_number() OVER (ORDER BY value) - 1 AS number FROM "
        "(SELECT DISTINCT value FROM labels WHERE field_id = ?)) USING (value) WHERE field_id = ?"
    )
    # Batches keep memory bounded whatever the number of labels; a position has one value of a field at most.
    pairs, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for batch in reader.batches(numbered, [field_id, field_id]):
        order = np.argsort(batch["pos"], kind="stable")
        positions, number = batch["pos"][order], batch["number"][order]
        if half is not None:
            inside = corpus.halves(reader, positions) == half
            positions, number = positions[inside], number[inside]
        for block, part in corpus.code_blocks(reader, positions):
            codes = block.codes[positions[part] - block.start, first : first + codebook.info.slots].astype(np.int64)
            pair = number[part][:, None] * size + codes  # value and code as one number
            cells = np.unique(pair[codes != layout.empty], return_counts=True)
            pairs.append(cells[0])
            counts.append(cells[1])
    pair, which = np.unique(np.concatenate(pairs), return_inverse=True)
    total = np.bincount(which, np.concatenate(counts), len(pair)).astype(np.int64)
    return pd.DataFrame({"value": values.to_numpy()[pair // size], "code": pair % size, "count": total})


def code_totals(reader: Reader, site: str, half: int | None = None) -> pd.DataFrame:
    """Return the activations of each live code: `code, count`; with `half` only in items of that half."""
    codebook = reader.site(site)
    begin = corpus.columns(reader).code_offset[codebook.site_id]
    count = corpus.totals(reader, half)[begin : begin + codebook.info.num_codes]
    live = np.flatnonzero(count)
    return pd.DataFrame({"code": live, "count": count[live]})


def _refs(refs: Iterable[CodeRef]) -> pd.Series:
    return pd.Series(list(refs), dtype=object)
