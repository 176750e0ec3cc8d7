"""Which codes fire on a pattern? Exact precision and recall of every code, with controls.

1. The positions that match: a pattern (`patterns`), a label, or both.
2. hits[code] = matching positions at which the code fires, for all codes of all codebooks at once (one look-up of the
   matching rows in the position-major code blocks, one histogram).
3. precision = hits / positions where the code fires; recall = hits / matching positions; Wilson 95 % intervals.
4. The same on half 1 of the items; and the best code chosen on half 0 alone, measured on half 1.
5. Controls: a random code of the same codebook that fires about as often, and the best single neuron that reaches the
   code's recall by a threshold.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from backend.analysis.intervals import wilson
from backend.analysis.neurons import best_neurons
from backend.analysis.patterns import MAX_PATTERN, Matches, compile_pattern, matching_positions
from backend.answers import HeldOut, Order, SearchResult
from backend.calls import count_rows
from backend.errors import BadInput
from backend.store import corpus
from backend.store.reader import Reader
from backend.types import CodeRef

__all__ = ["MAX_PATTERN", "labelled_positions", "positions_of", "search"]
_ORDERS = ("f1", "precision", "recall", "hits")


def search(
    reader: Reader,
    pattern: str,
    *,
    sites: Sequence[str] | None,
    min_support: int,
    limit: int,
    field: str | None,
    value: str | None,
    order: Order,
    baselines: int,
    seed: int,
) -> SearchResult:
    """See `backend.explorer.Explorer.search`."""
    started = time.perf_counter()
    if order not in _ORDERS:
        raise BadInput(f"{str(order)[:40]!r} is no order. Give one of {', '.join(_ORDERS)}.")
    chosen = reader.chosen(sites)
    matches = positions_of(reader, pattern, field, value)
    positions = matches.positions
    matches_1 = int((corpus.halves(reader, positions) == 1).sum())
    layout = corpus.columns(reader)
    count, count_1 = corpus.totals(reader, None), corpus.totals(reader, 1)
    hits, hits_1 = corpus.count_codes(reader, positions)
    count_rows(len(positions) * len(layout.offset))

    allowed = np.zeros(layout.total, bool)
    for site in chosen:
        begin = layout.code_offset[site.site_id]
        allowed[begin : begin + site.info.num_codes] = True
    candidates = np.flatnonzero(allowed & (hits >= max(1, min_support)))
    best = _sorted(candidates, hits, count, len(positions), order)[: max(0, limit)]

    half_0 = np.flatnonzero(allowed & (hits - hits_1 >= max(1, min_support)))
    first = _sorted(half_0, hits - hits_1, count - count_1, len(positions) - matches_1, order)[:1]
    begins = np.array([layout.code_offset[s.site_id] for s in reader.sites.values()], np.int64)
    names = list(reader.sites)

    def ref(number: int) -> CodeRef:
        site = int(np.searchsorted(begins, number, side="right")) - 1
        return CodeRef(reader.model, names[site], int(number - begins[site]))

    codes = _measures(best, hits, count, len(positions))
    codes.insert(0, "ref", [ref(number) for number in best])
    codes.insert(1, "site", [one.site for one in codes["ref"]])
    codes.insert(2, "code", [one.code for one in codes["ref"]])
    for side, (low, high) in {
        "precision": wilson(hits[best], count[best]),
        "recall": wilson(hits[best], np.full(len(best), len(positions))),
    }.items():
        codes[f"{side}_low"], codes[f"{side}_high"] = low, high
    other = _measures(best, hits_1, count_1, matches_1)
    for name in ("precision", "recall", "hits", "count"):
        codes[f"held_out_{name}"] = other[name]
    _add_controls(codes, reader, begins, pattern, hits, count, len(positions), seed)
    covered = best_neurons(reader, codes, positions, baselines)
    return SearchResult(
        pattern=pattern,
        field=field or "",
        value=value or "",
        matches=len(positions),
        matches_held_out=matches_1,
        unplaced=matches.unplaced,
        positions=reader.positions,
        candidates=len(candidates),
        codes=codes,
        held_out=_held_out(ref(first[0]), first, hits, count, hits_1, count_1, len(positions), matches_1)
        if len(first)
        else None,
        neuron_positions=covered,
        seconds=time.perf_counter() - started,
    )


def positions_of(reader: Reader, pattern: str, field: str | None, value: str | None) -> Matches:
    """The positions that match a pattern ('' where a label is given), have a label, or both.

    Raises:
        BadPattern: the pattern cannot be used.
        BadInput: an unknown field, or one of `field` and `value` without the other.
    """
    if (field is None) != (value is None):
        raise BadInput("A label needs both a field and a value. Give both or none.")
    if field is None or value is None:
        return matching_positions(reader, compile_pattern(pattern))
    labelled = labelled_positions(reader, field, value)
    if not pattern:
        return Matches(labelled, 0)
    matches = matching_positions(reader, compile_pattern(pattern))
    return Matches(np.intersect1d(matches.positions, labelled, assume_unique=True), matches.unplaced)


def labelled_positions(reader: Reader, field: str, value: str) -> np.ndarray:
    """Positions whose label `field` is `value`, ascending: int64."""
    sql = "SELECT pos FROM labels WHERE field_id = ? AND value = ?"
    return np.unique(reader.arrays(sql, [reader.field(field), value])["pos"])


def _ratio(part: np.ndarray, whole: np.ndarray | int) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part, np.float64) / whole


def _measures(which: np.ndarray, hits: np.ndarray, count: np.ndarray, matches: int) -> pd.DataFrame:
    h, c = hits[which], count[which]
    f1 = _ratio(2 * h, c + matches)  # = 2 p r / (p + r)
    return pd.DataFrame({"precision": _ratio(h, c), "recall": _ratio(h, matches), "f1": f1, "hits": h, "count": c})


def _sorted(which: np.ndarray, hits: np.ndarray, count: np.ndarray, matches: int, order: str) -> np.ndarray:
    """Codes by `order`, best first; ties by F1, then hits, then by codebook and code."""
    table = _measures(which, hits, count, matches)
    return which[np.lexsort((which, -table["hits"], -table["f1"], -table[order]))]


def _held_out(
    ref: CodeRef,
    first: np.ndarray,
    hits: np.ndarray,
    count: np.ndarray,
    hits_1: np.ndarray,
    count_1: np.ndarray,
    matches: int,
    matches_1: int,
) -> HeldOut:
    chosen = _measures(first, hits - hits_1, count - count_1, matches - matches_1).iloc[0]
    tested = _measures(first, hits_1, count_1, matches_1).iloc[0]
    return HeldOut(
        ref=ref,
        precision=float(chosen["precision"]),
        recall=float(chosen["recall"]),
        f1=float(chosen["f1"]),
        held_out_precision=float(tested["precision"]),
        held_out_recall=float(tested["recall"]),
        held_out_f1=float(tested["f1"]),
        held_out_hits=int(tested["hits"]),
        held_out_count=int(tested["count"]),
        held_out_matches=matches_1,
    )


def _by_count(count: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """The live codes of a codebook by ascending count, and each one's place among them; and the bytes that takes."""
    order = np.argsort(count, kind="stable")
    live = order[count[order] > 0]
    rank = np.full(len(count), -1)
    rank[live] = np.arange(len(live))
    return (live, rank), live.nbytes + rank.nbytes


def _add_controls(
    codes: pd.DataFrame,
    reader: Reader,
    begins: np.ndarray,
    pattern: str,
    hits: np.ndarray,
    count: np.ndarray,
    matches: int,
    seed: int,
) -> None:
    """Add, for every row, a random live code of the same codebook out of the 20 whose counts are nearest."""
    controls: list[int] = []
    begin_of = dict(zip(reader.sites, begins.tolist(), strict=True))
    for ref in codes["ref"]:
        site, begin = reader.sites[ref.site], begin_of[ref.site]
        of_site = count[begin : begin + site.info.num_codes]
        live, rank_of = reader.cache.get((reader.path, "by count", site.site_id), partial(_by_count, of_site))
        rank = int(rank_of[ref.code])
        near = np.delete(live[max(0, rank - 10) : rank + 11], min(rank, 10))
        draw = zlib.crc32(f"{seed} {ref} {pattern}".encode("utf-8", "replace"))
        controls.append(begin + int(near[draw % len(near)]) if len(near) else -1)
    number = np.array(controls, np.int64)
    there = number >= 0
    safe = np.where(there, number, 0)
    codes["control"] = [
        f"{ref.model}/{ref.site}/{n - begin_of[ref.site]}" if n >= 0 else ""
        for ref, n in zip(codes["ref"], controls, strict=True)
    ]
    codes["control_precision"] = np.where(there, _ratio(hits[safe], count[safe]), np.nan)
    codes["control_recall"] = np.where(there, _ratio(hits[safe], matches), np.nan)
