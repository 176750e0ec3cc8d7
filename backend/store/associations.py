"""What goes with a code: tokens, labels, neighbours, codes that fire with it or like it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from backend.calls import count_rows
from backend.store import corpus
from backend.store.reader import Reader
from backend.types import CodeRef

_POSITIONS = "SELECT pos FROM postings WHERE site_id = ? AND code = ?"


def tokens_of(reader: Reader, ref: CodeRef, n: int) -> pd.DataFrame:
    """See `backend.explorer.Explorer.tokens_of`."""
    site = reader.site_of(ref)
    return reader.table(
        f"SELECT token, count(*) AS count, count(*) / sum(count(*)) OVER () AS share FROM ({_POSITIONS}) "
        "JOIN tokens USING (pos) GROUP BY token ORDER BY count DESC, token LIMIT ?",
        [site.site_id, ref.code, n],
    )


def labels_of(reader: Reader, ref: CodeRef, n: int) -> pd.DataFrame:
    """See `backend.explorer.Explorer.labels_of`."""
    site = reader.site_of(ref)
    found = reader.table(
        f"WITH here AS MATERIALIZED ({_POSITIONS}), hit AS (SELECT field_id, value, count(*) AS count FROM labels "
        "JOIN here USING (pos) GROUP BY ALL) "
        "SELECT field, value, hit.count, hit.count / (SELECT count(*) FROM here) AS precision FROM hit "
        "JOIN fields USING (field_id) ORDER BY hit.count DESC, field, value LIMIT ?",
        [site.site_id, ref.code, n],
    )
    totals = _label_totals(reader)
    found["total"] = [totals[pair] for pair in zip(found["field"], found["value"], strict=True)]
    found["total"] = found["total"].astype(np.int64)
    found.insert(found.columns.get_loc("total"), "recall", found["count"] / found["total"])
    return found


def _label_totals(reader: Reader) -> dict[tuple[str, str], int]:
    """(field, value) -> positions that have it."""

    def count() -> tuple[dict[tuple[str, str], int], int]:
        found = reader.table(
            "SELECT field, value, count(*) AS n FROM labels JOIN fields USING (field_id) GROUP BY field, value"
        )
        keys = zip(found["field"], found["value"], strict=True)
        return dict(zip(keys, found["n"].tolist(), strict=True)), 200 * len(found)

    return reader.cache.get((reader.path, "label totals"), count)


def neighbours(reader: Reader, ref: CodeRef, n: int) -> pd.DataFrame:
    """See `backend.explorer.Explorer.neighbours`."""
    site = reader.site_of(ref)
    found = reader.table(
        "SELECT neighbour AS ref, cosine, c.count FROM neighbours JOIN codes c ON c.site_id = neighbours.site_id "
        "AND c.code = neighbour WHERE neighbours.site_id = ? AND neighbours.code = ? ORDER BY neighbours.rank LIMIT ?",
        [site.site_id, ref.code, n],
    )
    found["ref"] = _refs(CodeRef(reader.model, ref.site, int(code)) for code in found["ref"])
    return found


def together(reader: Reader, ref: CodeRef, n: int) -> pd.DataFrame:
    """See `backend.explorer.Explorer.together`."""
    site = reader.site_of(ref)
    found = reader.table(
        "SELECT o.other_site_id, o.other_code, o.together, o.pmi, c.count FROM cooccurrence o JOIN codes c "
        "ON c.site_id = o.other_site_id AND c.code = o.other_code WHERE o.site_id = ? AND o.code = ? "
        "ORDER BY o.pmi DESC, o.together DESC, o.other_site_id, o.other_code LIMIT ?",
        [site.site_id, ref.code, n],
    )
    pairs = zip(found.pop("other_site_id"), found.pop("other_code"), strict=True)
    found.insert(0, "ref", _refs(CodeRef(reader.model, reader.site_names[s], int(c)) for s, c in pairs))
    return found


def alike(reader: Reader, ref: CodeRef, n: int) -> pd.DataFrame:
    """See `backend.explorer.Explorer.alike`."""
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
    sites = list(reader.sites.values())
    begins = np.array([layout.code_offset[one.site_id] for one in sites], np.int64)
    of_site = np.searchsorted(begins, which[order], side="right") - 1
    return pd.DataFrame(
        {
            "ref": _refs(
                CodeRef(reader.model, sites[s].info.site, int(number - begins[s]))
                for s, number in zip(of_site, which[order], strict=True)
            ),
            "jaccard": jaccard[order],
            "together": both[which[order]],
            "count": count[which[order]],
        }
    )


def label_fields(reader: Reader) -> pd.DataFrame:
    """See `backend.explorer.Explorer.label_fields`."""
    return reader.table(
        "SELECT field, count(DISTINCT value) AS values, count(DISTINCT pos) AS positions FROM fields "
        "LEFT JOIN labels USING (field_id) GROUP BY field_id, field ORDER BY field_id"
    )


def label_values(reader: Reader, field: str, n: int) -> pd.DataFrame:
    """See `backend.explorer.Explorer.label_values`."""
    return reader.table(
        "SELECT value, count(*) AS positions FROM labels WHERE field_id = ? GROUP BY value "
        "ORDER BY positions DESC, value LIMIT ?",
        [reader.field(field), n],
    )


def label_matrix(reader: Reader, site: str, field: str, half: int | None) -> pd.DataFrame:
    """See `backend.explorer.Explorer.label_matrix`."""
    one = reader.site(site)
    labels = reader.table("SELECT value, pos FROM labels WHERE field_id = ? ORDER BY pos", [reader.field(field)])
    number, values = pd.factorize(labels["value"], sort=True)
    positions = labels["pos"].to_numpy()
    if half is not None:
        kept = corpus.halves(reader, positions) == half
        number, positions = number[kept], positions[kept]
    layout = corpus.columns(reader)
    first, size = layout.first[one.site_id], one.info.num_codes
    pieces = []
    for block, part in corpus.code_blocks(reader, positions):
        codes = block.codes[positions[part] - block.start, first : first + one.info.slots].astype(np.int64)
        pair = number[part][:, None] * size + codes
        pieces.append(np.unique(pair[codes != layout.empty], return_counts=True))
    count_rows(len(positions) * one.info.slots)
    if not pieces:
        return pd.DataFrame({"value": [], "code": [], "count": []}).astype({"code": np.int64, "count": np.int64})
    pairs, of_pair = np.unique(np.concatenate([p for p, _ in pieces]), return_inverse=True)
    total = np.zeros(len(pairs), np.int64)
    np.add.at(total, of_pair.ravel(), np.concatenate([c for _, c in pieces]))
    return pd.DataFrame({"value": np.asarray(values)[pairs // size], "code": pairs % size, "count": total})


def code_totals(reader: Reader, site: str, half: int | None) -> pd.DataFrame:
    """See `backend.explorer.Explorer.code_totals`."""
    one = reader.site(site)
    begin = corpus.columns(reader).code_offset[one.site_id]
    count = corpus.totals(reader, half)[begin : begin + one.info.num_codes]
    live = np.flatnonzero(count)
    return pd.DataFrame({"code": live, "count": count[live]})


def _refs(refs) -> pd.Series:  # type: ignore[no-untyped-def]
    return pd.Series(list(refs), dtype=object)
