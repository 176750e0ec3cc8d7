"""What does a code fire on, in words that were tested? One description a code, chosen on half 0, measured on half 1.

1. All that can be said of a position (`features`): labels, that a field says anything at all, tokens, shapes, endings.
2. On half 0 each of these is worth the F0.5 of the lower ends of the code's precision and recall (`analysis.claims`): few
   cases are worth little, and precision counts most: "fires on June, and nowhere else" is a description even if the code
   misses half of the Junes. What is true of most positions, or hardly more often here than anywhere, does not stand for
   election. The one that is worth most is taken.
3. On half 1, precision and recall of that one description, with Wilson's interval. It is good if it is above the floor of
   `analysis.claims`; else nothing is claimed, and what was best is kept with what speaks against it.
4. Controls: the same of other codes (`controls`); how often the description is true anywhere; and the precision of the best
   description, found in the same way, of the code's places moved to elsewhere in the text, which says how well one can
   describe by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from backend.analysis.claims import is_good, objection, worth
from backend.analysis.intervals import wilson
from backend.answers.meaning import Description
from backend.calls import count_rows
from backend.questions.controls import controls_of
from backend.questions.features import Feature, features
from backend.store import corpus
from backend.store.cache import ByteCache
from backend.store.numbered import Numbered, crossed
from backend.store.reader import Reader
from backend.types import CodeRef

MIN_HITS = 5  # on half 0: less is no evidence
MAX_SHARE = 0.5  # of all positions: what is true of most says nothing
MIN_LIFT = 2.0  # on half 0: as often as anywhere is no description
COLUMNS = ["code", "text", "kind", "precision", "recall", "n", "low", "good", "objection"]


@dataclass(frozen=True)
class _Choice:
    """For each of some codes what describes it best on half 0: the number of a feature (-1: nothing does) and its value."""

    feature: np.ndarray
    value: np.ndarray


def describe(reader: Reader, ref: CodeRef) -> Description | None:
    """Say what the code fires on, found on half 0 and tested on half 1; None where nothing has five hits on half 0.

    The description may be below the floor: then `good` is False and `objection` says why nothing should be claimed.
    """
    known = features(reader)
    fires = _fires(reader, ref)
    choice = _choose_one(reader, known, fires)
    if choice.feature[0] < 0:
        return None
    feature, value = known[choice.feature[0]], int(choice.value[0])
    tested = _held_out(reader, fires)
    hits, n, matches = int(feature.is_true(value, tested).sum()), len(tested), int(feature.totals[1, value])
    low, high = wilson(np.array(hits), np.array(n))
    rivals = [
        _share_true(feature, value, _held_out(reader, _fires(reader, other))) for other in controls_of(reader, ref)
    ]
    rivals = [share for share in rivals if share == share]
    moved = np.unique((fires + reader.positions // 2 + len(fires)) % reader.positions)
    chance = _choose_one(reader, known, moved)
    return Description(
        text=feature.words(value),
        kind="field" if value == feature.any_value else feature.kind,
        field=feature.name,
        value="" if value == feature.any_value else feature.values.names[value],
        precision=hits / n if n else float("nan"),
        low=float(low),
        high=float(high),
        recall=hits / matches if matches else float("nan"),
        hits=hits,
        n=n,
        matches=matches,
        control=float(np.mean(rivals)) if rivals else float("nan"),
        control_low=min(rivals, default=float("nan")),
        control_high=max(rivals, default=float("nan")),
        controls=len(rivals),
        chance=matches / max(1, _held_out_positions(reader)),
        shuffled=_share_true(known[chance.feature[0]], int(chance.value[0]), _held_out(reader, moved))
        if chance.feature[0] >= 0
        else float("nan"),
        good=bool(is_good(np.array(hits), np.array(n))),
        objection=objection(hits, n),
    )


def descriptions(reader: Reader, site: str) -> pd.DataFrame:
    """Describe all live codes of a codebook, without controls; codes of which nothing can be said are left out.

    Returns:
        `code, text, kind, precision, recall, n` (held-out activations), `low` (of the precision), `good` (bool: above the
        floor; else nothing should be claimed), `objection` (why not; empty where it is good).
    """
    table: pd.DataFrame = reader.cache.get((reader.path, "descriptions", site), partial(_descriptions, reader, site))
    good = table.loc[table["good"], ["code", "text", "kind", "precision"]]
    reader.cache.remember((reader.path, "described", site), lambda: good)
    return table.copy()  # the caller may change its own


def described(cache: ByteCache, path: Path, sites: Iterable[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the codebooks of a build that were described so far, with their good descriptions: `code, text, kind, precision`."""
    for site in sites:
        good = cache.remembered((path, "described", site))
        if good is not None:
            yield site, good


def _descriptions(reader: Reader, name: str) -> tuple[pd.DataFrame, int]:
    site, known = reader.site(name), features(reader)
    size, codes = site.info.num_codes, corpus.codes_of_site(reader, site)
    half = corpus.halves(reader, np.arange(reader.positions))
    count_rows(codes.size * len(known))
    begin = corpus.columns(reader).code_offset[site.site_id]
    tested = corpus.totals(reader, 1)[begin : begin + size]
    fires = corpus.totals(reader, None)[begin : begin + size] - tested
    chosen_on = np.flatnonzero(half == 0)
    choice = _choose(reader, known, lambda values: crossed(codes, size, values, chosen_on), fires)
    hits, matches = _test(known, choice, codes, np.flatnonzero(half == 1))
    described = np.flatnonzero(choice.feature >= 0)
    hits, matches, n = hits[described], matches[described], tested[described]
    picked = [(known[choice.feature[code]], int(choice.value[code])) for code in described]
    with np.errstate(divide="ignore", invalid="ignore"):
        table = pd.DataFrame(
            {
                "code": described,
                "text": [feature.words(value) for feature, value in picked],
                "kind": ["field" if value == feature.any_value else feature.kind for feature, value in picked],
                "precision": hits / n,
                "recall": hits / matches,
                "n": n,
                "low": wilson(hits, n)[0],
                "good": is_good(hits, n),
                "objection": [objection(int(h), int(c)) for h, c in zip(hits, n, strict=True)],
            },
            columns=COLUMNS,
        )
    return table, 400 * len(table)


def _choose(
    reader: Reader,
    known: Sequence[Feature],
    count: Callable[[Numbered], Iterator[tuple[int, np.ndarray]]],
    fires: np.ndarray,
) -> _Choice:
    """Choose what is worth most on half 0 for each code; of equal ones the first.

    Args:
        reader: the model's build.
        known: everything that can be said.
        count: how often each code fires on half 0 where each value holds, some codes at a time, as `crossed` says it.
        fires: how often each code fires on half 0: int64 `[codes]`.
    """
    places = reader.positions - _held_out_positions(reader)
    best, of_feature, of_value = np.zeros(len(fires)), np.full(len(fires), -1), np.full(len(fires), -1)
    for number, feature in enumerate(known):
        totals = feature.totals
        if not totals.shape[1]:
            continue
        for first, hits in count(feature.values):
            if feature.kind == "label":  # any value of the field comes last
                hits = np.append(hits, hits.sum(1, keepdims=True), axis=1)
            n = fires[first : first + len(hits)]
            code, value = np.nonzero(hits >= MIN_HITS)
            true, matches = hits[code, value], totals[:, value]
            says = matches.sum(0) <= MAX_SHARE * reader.positions
            says &= true * places >= MIN_LIFT * matches[0] * n[code]
            code, value = code[says], value[says]
            score = worth(true[says], n[code], matches[0, says])
            order = np.lexsort((value, -score, code))
            top = order[np.unique(code[order], return_index=True)[1]]  # the best value of each code
            top = top[score[top] > best[first + code[top]]]
            at = first + code[top]
            best[at], of_feature[at], of_value[at] = score[top], number, value[top]
    return _Choice(of_feature, of_value)


def _choose_one(reader: Reader, known: Sequence[Feature], fires: np.ndarray) -> _Choice:
    """Return the same for one code that fires at some positions."""
    chosen_on = fires[corpus.halves(reader, fires) == 0]
    return _choose(reader, known, lambda values: iter([(0, values.count(chosen_on)[None])]), np.array([len(chosen_on)]))


def _test(
    known: Sequence[Feature], choice: _Choice, codes: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count the activations of each code at which its description is true, and positions at which it is true, on one half."""
    size = len(choice.feature)
    hits, matches = np.zeros(size, np.int64), np.zeros(size, np.int64)
    slots = np.ascontiguousarray(codes[where].T)
    for number in np.unique(choice.feature[choice.feature >= 0]).tolist():
        feature, its_codes = known[number], np.flatnonzero(choice.feature == number)
        matches[its_codes] = feature.totals[1, choice.value[its_codes]]
        value = np.full(size + 1, -2)  # what has to hold for each code of this feature; the last for empty slots
        value[its_codes] = choice.value[its_codes]
        for slot in slots:
            true = feature.is_true(value[slot], where)
            hits += np.bincount(slot[true & (value[slot] >= 0)], minlength=size + 1)[:size]
    return hits, matches


def _fires(reader: Reader, ref: CodeRef) -> np.ndarray:
    sql = "SELECT pos FROM postings WHERE site_id = ? AND code = ?"
    return np.unique(reader.arrays(sql, [reader.site_of(ref).site_id, ref.code])["pos"])


def _held_out(reader: Reader, positions: np.ndarray) -> np.ndarray:
    return positions[corpus.halves(reader, positions) == 1]


def _held_out_positions(reader: Reader) -> int:
    return int(reader.cache.get((reader.path, "held out"), lambda: (_count_held_out(reader), 8)))


def _count_held_out(reader: Reader) -> int:
    return int((corpus.halves(reader, np.arange(reader.positions)) == 1).sum())


def _share_true(feature: Feature, value: int, positions: np.ndarray) -> float:
    """Return the share of some positions at which a feature has a value; NaN without any."""
    return float(feature.is_true(value, positions).mean()) if len(positions) else float("nan")
