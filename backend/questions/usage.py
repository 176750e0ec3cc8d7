"""How much there is and how it is used: models, codebooks, codes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from backend.analysis.usage import utilization_ceiling
from backend.answers.stored import CodeStats
from backend.store.archive import Archive
from backend.store.reader import Reader
from backend.types import CodeRef

_CODEBOOKS = [
    *("site", "place", "layer", "head", "num_codes", "dim", "slots", "similarity", "projection"),
    *("alive", "dead", "dead_fraction", "activations", "entropy_bits", "perplexity", "rare"),
]
RARE = 4  # a live code with at most so many activations is rare


def codebooks(reader: Reader) -> pd.DataFrame:
    """Return all codebooks in the order of the forward pass.

    Returns:
        `site, place, layer, head` (nullable), `num_codes, dim, slots, similarity, projection` ('umap' or 'pca':
        what `codes().x, y` are), `alive, dead, dead_fraction, activations, entropy_bits, perplexity` (of the usage
        distribution), `rare` (codes with 1 to 4 activations).
    """
    table: pd.DataFrame = reader.cache.get((reader.path, "codebooks"), lambda: (_codebooks(reader), 1 << 14))
    return table.copy()  # the caller may change its own


def _codebooks(reader: Reader) -> pd.DataFrame:
    used = reader.table(
        "SELECT site, count(*) FILTER (count > 0) AS alive, count(*) FILTER (count = 0) AS dead, "
        "sum(count)::BIGINT AS activations, "
        # H = log2 n - sum(c log2 c) / n
        "coalesce(log2(sum(count)) - sum(CASE WHEN count > 0 THEN count * log2(count) ELSE 0 END) / sum(count), 0) "
        "AS entropy_bits, count(*) FILTER (count BETWEEN 1 AND ?) AS rare "
        "FROM codes JOIN codebooks USING (site_id) GROUP BY site HAVING sum(count) > 0",
        [RARE],
    ).set_index("site")
    rows: list[dict[str, Any]] = []
    for name, site in reader.sites.items():
        unused = {"alive": 0, "dead": site.info.num_codes, "activations": 0, "entropy_bits": 0.0, "rare": 0}
        row = dict(used.loc[name]) if name in used.index else unused
        rows.append({**dataclasses.asdict(site.info), "projection": site.projection, **row})
    table = pd.DataFrame(rows, columns=_CODEBOOKS)
    table["dead_fraction"] = table["dead"] / table["num_codes"]
    table["entropy_bits"] = table["entropy_bits"].clip(lower=0)
    table["perplexity"] = np.exp2(table["entropy_bits"])
    for name in ("alive", "dead", "activations", "rare"):
        table[name] = table[name].astype(np.int64)
    table[["layer", "head"]] = table[["layer", "head"]].astype("Int64")
    return table


def codes(reader: Reader, site: str) -> pd.DataFrame:
    """Return all codes of a codebook by id, dead ones included.

    Returns:
        `code, count, items, share, entropy` (see `CodeStats`), `x, y` (by `codebooks().projection`, NaN for dead
        codes), `pca_x, pca_y, rank`.
    """
    return reader.table(
        "SELECT code, count, items, share, entropy, x, y, pca_x, pca_y, rank() OVER (ORDER BY count DESC) AS rank "
        "FROM codes WHERE site_id = ? ORDER BY code",
        [reader.site(site).site_id],
    )


def code(archive: Archive, ref: CodeRef) -> CodeStats:
    """Return the figures of one code, with its newest human label."""
    reader = archive.reader(ref.model)
    site = reader.site_of(ref)
    row = reader.table(
        "SELECT count, items, share, entropy, vector, 1 + (SELECT count(*) FROM codes o WHERE o.site_id = c.site_id "
        "AND o.count > c.count) AS rank FROM codes c WHERE site_id = ? AND code = ?",
        [site.site_id, ref.code],
    ).iloc[0]
    return CodeStats(
        ref=ref,
        info=site.info,
        count=int(row["count"]),
        items=int(row["items"]),
        share=float(row["share"]),
        entropy=float(row["entropy"]),
        positions=reader.positions,
        total_items=len(reader.items.item),
        rank=int(row["rank"]),
        vector=np.asarray(row["vector"], np.float32),
        label=archive.people.label(ref),
        build=reader.build,
    )


def previous_and_next(reader: Reader, ref: CodeRef) -> tuple[CodeRef | None, CodeRef | None]:
    """Return the live codes of the codebook before and after a code, by number; None where there is none."""
    site = reader.site_of(ref)
    row = reader.arrays(
        "SELECT coalesce(max(code) FILTER (code < ?), -1) AS before, coalesce(min(code) FILTER (code > ?), -1) AS after "
        "FROM codes WHERE site_id = ? AND count > 0",
        [ref.code, ref.code, site.site_id],
    )
    before, after = (
        CodeRef(ref.model, ref.site, int(row[name][0])) if row[name][0] >= 0 else None for name in ("before", "after")
    )
    return before, after


def utilization(reader: Reader, site: str, points: int = 120) -> pd.DataFrame:
    """Count how many codes were chosen at least once among the first choices of the build, at growing numbers of choices.

    Returns:
        `chosen` (positions x slots, T), `codes` (different ones among them), `share` (of all K codes), `ceiling`
        (1 - exp(-T / K): the share to expect of a codebook whose codes are all equally likely).
    """
    codebook = reader.site(site)
    first = reader.arrays("SELECT min(pos) AS pos FROM postings WHERE site_id = ? GROUP BY code", [codebook.site_id])[
        "pos"
    ]
    seen = np.unique(np.geomspace(1, max(1, reader.positions), points).astype(np.int64))
    chosen = seen * codebook.info.slots
    used = np.searchsorted(np.sort(first), seen, side="left")
    ceiling = utilization_ceiling(chosen, codebook.info.num_codes)
    return pd.DataFrame({"chosen": chosen, "codes": used, "share": used / codebook.info.num_codes, "ceiling": ceiling})


def outputs(reader: Reader, site: str) -> pd.DataFrame:
    """Return a sample of the vectors that the codebook was asked for, placed among the codes: `pos, pca_x, pca_y`."""
    codebook = reader.site(site)
    return reader.table("SELECT pos, pca_x, pca_y FROM outputs WHERE site_id = ? ORDER BY pos", [codebook.site_id])


def training_curve(reader: Reader) -> pd.DataFrame:
    """Return what the model's card says of its training: `step` and the measures of that moment; empty where nothing."""
    return pd.DataFrame(reader.facts.get("training_curve", []))
