"""Which codes fire on a pattern? Exact precision and recall of every code, with controls.

1. The positions that match: a pattern (`patterns`), labels and tags, or both.
2. hits[code] = matching positions at which the code fires, for all codes of all codebooks at once (one look-up of the
   matching rows in the position-major code blocks, one histogram).
3. precision = hits / positions where the code fires; recall = hits / matching positions; Wilson 95 % intervals.
4. The same on half 1 of the items; and the best code chosen on half 0 alone, measured on half 1. With `held_out` all
   codes are chosen and put in order on half 0 alone, and every figure of theirs is of half 1.
5. Controls: other codes of the same codebook (`controls`), and the best single neuron that reaches the code's recall by a
   threshold.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.analysis.intervals import wilson
from backend.analysis.patterns import compile_pattern
from backend.answers.stored import HeldOut, Order, SearchResult
from backend.calls import count_rows
from backend.errors import BadInput
from backend.questions import tags
from backend.questions.controls import add_controls, controls
from backend.questions.neurons import best_neurons
from backend.questions.patterns import Matches, matching_positions
from backend.store import corpus
from backend.store.reader import Reader
from backend.types import CodeRef

_ORDERS = ("f1", "precision", "recall", "hits")


@dataclass(frozen=True)
class _Tally:
    """What was counted over some of the positions: per code its hits and activations, and the matching positions."""

    hits: np.ndarray
    count: np.ndarray
    matches: int

    def __sub__(self, other: _Tally) -> _Tally:
        return _Tally(self.hits - other.hits, self.count - other.count, self.matches - other.matches)


def search(
    reader: Reader,
    pattern: str,
    *,
    sites: Sequence[str] | None = None,
    min_support: int = 5,
    limit: int = 200,
    field: str | None = None,
    value: str | None = None,
    also: Sequence[tuple[str, str]] = (),
    order: Order = "f1",
    baselines: int = 20,
    seed: int = 0,
    held_out: bool = False,
) -> SearchResult:
    r"""Find the codes that fire on a pattern; exact over the whole build.

    Args:
        reader: the model's build.
        pattern: an RE2 expression (linear time; no look-around, no back-references; `\d`, `\w` and `\b` are ASCII),
            at most `MAX_PATTERN` characters. The token that holds the first character of group 1, or of the whole
            match where there is no group, is the match; a token counts once. May be '' where a label is given.
        sites: only these codebooks.
        min_support: a code needs at least this many hits.
        limit: rows of `SearchResult.codes`.
        field: a label field, or `item:FIELD` for a tag; with `value` a position must have it too (both or none).
        value: its value.
        also: further labels (field, value) that a position must have; `item:FIELD` is a tag of its item.
        order: what the best codes are sorted by.
        baselines: for how many of the best codes the best neuron is looked up.
        seed: of the control codes.
        held_out: `min_support`, `limit` and `order` look at half 0 alone, and the codes' figures are of half 1 alone,
            where no neuron is looked up.

    Raises:
        BadPattern: too long, empty, not RE2, or it matches the empty string; `position` says where.
        BadInput: an unknown label field, or a label value without a field.
    """
    started = time.perf_counter()
    if order not in _ORDERS:
        raise BadInput(f"{str(order)[:40]!r} is not an order. Give each of {', '.join(_ORDERS)}.")
    chosen = reader.chosen(sites)
    matches = positions_of(reader, pattern, field, value, also)
    positions = matches.positions
    layout = corpus.columns(reader)
    hits, hits_1 = corpus.count_codes(reader, positions)
    count_rows(len(positions) * len(layout.offset))
    whole = _Tally(hits, corpus.totals(reader, None), len(positions))
    half_1 = _Tally(hits_1, corpus.totals(reader, 1), int((corpus.halves(reader, positions) == 1).sum()))
    half_0 = whole - half_1
    choosing, measuring = (half_0, half_1) if held_out else (whole, whole)

    allowed = np.zeros(layout.total, bool)
    for site in chosen:
        begin = layout.code_offset[site.site_id]
        allowed[begin : begin + site.info.num_codes] = True

    def ranked(tally: _Tally) -> np.ndarray:
        return _sorted(np.flatnonzero(allowed & (tally.hits >= max(1, min_support))), tally, order)

    candidates = ranked(choosing)
    best, first = candidates[: max(0, limit)], ranked(half_0)[:1]
    begins = np.array([layout.code_offset[s.site_id] for s in reader.sites.values()], np.int64)
    names = list(reader.sites)

    def ref(number: int) -> CodeRef:
        site = int(np.searchsorted(begins, number, side="right")) - 1
        return CodeRef(reader.model, names[site], int(number - begins[site]))

    codes = _measures(best, measuring)
    codes.insert(0, "ref", [ref(number) for number in best])
    codes.insert(1, "site", [each.site for each in codes["ref"]])
    codes.insert(2, "code", [each.code for each in codes["ref"]])
    for side, (low, high) in {
        "precision": wilson(measuring.hits[best], measuring.count[best]),
        "recall": wilson(measuring.hits[best], np.full(len(best), measuring.matches)),
    }.items():
        codes[f"{side}_low"], codes[f"{side}_high"] = low, high
    other = _measures(best, half_1)
    for name in ("precision", "recall", "hits", "count"):
        codes[f"held_out_{name}"] = other[name]
    others = controls(reader, list(codes["ref"]), seed)
    add_controls(codes, reader, others, measuring.hits[others], measuring.count[others])
    recalls = np.where(others >= 0, _ratio(measuring.hits[others], measuring.matches), np.nan)
    codes["control_recall"] = pd.DataFrame(recalls).mean(axis=1)
    covered = best_neurons(reader, codes, positions, 0 if held_out else baselines)
    return SearchResult(
        pattern=pattern,
        field=field or "",
        value=value or "",
        matches=whole.matches,
        matches_held_out=half_1.matches,
        unplaced=matches.unplaced,
        positions=reader.positions,
        candidates=len(candidates),
        codes=codes,
        held_out=_best_held_out(ref(first[0]), first, half_0, half_1) if len(first) else None,
        neuron_positions=covered,
        seconds=time.perf_counter() - started,
    )


def positions_of(
    reader: Reader, pattern: str, field: str | None, value: str | None, also: Sequence[tuple[str, str]] = ()
) -> Matches:
    """Return the positions that match a pattern ('' where a label is given), and have a label and all those of `also`.

    Raises:
        BadPattern: the pattern cannot be used.
        BadInput: an unknown field, or one of `field` and `value` without the other.
    """
    if (field is None) != (value is None):
        raise BadInput("A label needs both a field and a value. Give both or none.")
    labels = [*([(field, value)] if field is not None and value is not None else []), *also]
    matches = matching_positions(reader, compile_pattern(pattern)) if pattern or not labels else None
    positions = None if matches is None else matches.positions
    for label in labels:
        labelled = labelled_positions(reader, *label)
        positions = labelled if positions is None else np.intersect1d(positions, labelled, assume_unique=True)
    assert positions is not None
    return Matches(positions, 0 if matches is None else matches.unplaced)


def labelled_positions(reader: Reader, field: str, value: str) -> np.ndarray:
    """Return positions whose label `field` is `value`, ascending: int64; for `item:FIELD` those of the items with that tag."""
    if field.startswith(tags.PREFIX):
        return tags.tagged_positions(reader, field.removeprefix(tags.PREFIX), value)
    sql = "SELECT pos FROM labels WHERE field_id = ? AND value = ?"
    return np.unique(reader.arrays(sql, [reader.field(field), value])["pos"])


def _ratio(part: np.ndarray, whole: np.ndarray | int) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part, np.float64) / whole


def _measures(which: np.ndarray, tally: _Tally) -> pd.DataFrame:
    h, c = tally.hits[which], tally.count[which]
    f1 = _ratio(2 * h, c + tally.matches)  # = 2 p r / (p + r)
    return pd.DataFrame(
        {"precision": _ratio(h, c), "recall": _ratio(h, tally.matches), "f1": f1, "hits": h, "count": c}
    )


def _sorted(which: np.ndarray, tally: _Tally, order: str) -> np.ndarray:
    """Return codes by `order`, best first; ties by F1, then hits, then by codebook and code."""
    table = _measures(which, tally)
    return which[np.lexsort((which, -table["hits"], -table["f1"], -table[order]))]


def _best_held_out(ref: CodeRef, first: np.ndarray, half_0: _Tally, half_1: _Tally) -> HeldOut:
    chosen, tested = _measures(first, half_0).iloc[0], _measures(first, half_1).iloc[0]
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
        held_out_matches=half_1.matches,
    )
