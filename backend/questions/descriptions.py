"""What does a code fire on, in words that were tested? One description a code, chosen on half 0, measured on half 1.

1. Everything that can be said of a position: its label in each field, that a field says anything at all, its token, the
   token before it, the shape of its token (a number, a capital, punctuation), the ending of its token.
2. On half 0, precision and recall of the code for each of these; the best by F0.5, which asks for precision first:
   "fires on June, and nowhere else" is a description even if the code misses half of the Junes. What is true of most
   positions, or hardly more often here than anywhere, does not stand for election.
3. On half 1, precision and recall of that one description, with Wilson's interval.
4. Controls: the precision of another code of the same codebook that fires about as often; how often the description is
   true anywhere; and the precision of the best description, found in the same way, of the code's places moved to
   elsewhere in the text, which says how well one can describe by chance.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backend.analysis.intervals import wilson
from backend.answers.meaning import Description, DescriptionKind
from backend.store import corpus, numbered
from backend.store.numbered import Numbered
from backend.store.reader import Reader
from backend.types import CodeRef

MIN_HITS = 5  # on half 0: less is no evidence
MAX_SHARE = 0.5  # of all positions: what is true of most says nothing
MIN_LIFT = 2.0  # on half 0: as often as anywhere is no description
SHAPES = (  # the first that matches; spaces around a token do not matter
    ("white space", r"\s+"),
    ("numbers", r"\d+"),
    ("punctuation", r"[^\w\s]+"),
    ("words in capitals", r"[^\W\d_a-z]{2,}"),
    ("words with a capital", r"[A-Z]\w*"),
    ("words in small letters", r"[^\W\d_A-Z]+"),
    ("names with digits or underscores", r"\w+"),
)
ENDINGS = ("ing", "ed", "ly", "est", "er", "tion", "ness", "'s", "n't", "s")


@dataclass(frozen=True)
class Feature:
    """One way to say something of a position, with all its values."""

    kind: DescriptionKind
    field: str
    values: Numbered


@dataclass(frozen=True)
class _Best:
    """The best value of one feature on half 0, with its counts on half 1."""

    feature: Feature
    value: int  # -1: any
    score: float
    hits: int
    matches: int


def describe(reader: Reader, ref: CodeRef) -> Description | None:
    """What the code fires on, found on half 0 and tested on half 1; None where nothing has five hits on half 0."""
    features = _features(reader)
    fires = _fires(reader, ref)
    best = _best(reader, features, fires)
    if best is None:
        return None
    other = twin(reader, ref)
    moved = np.unique((fires + reader.positions // 2 + len(fires)) % reader.positions)
    shuffled = _best(reader, features, moved)
    return _description(
        best,
        _held_out(reader, fires),
        control=_precision(reader, best, _fires(reader, other)) if other is not None else np.nan,
        positions=_held_out_positions(reader),
        shuffled=_precision(reader, shuffled, moved) if shuffled is not None else np.nan,
    )


def descriptions(reader: Reader, site: str) -> pd.DataFrame:
    """The same of all live codes of a codebook, without controls: `code, text, kind, precision, recall, n`."""
    features = _features(reader)
    rows = []
    for code in np.flatnonzero(_counts(reader, site)):
        fires = _fires(reader, CodeRef(reader.model, site, int(code)))
        best = _best(reader, features, fires)
        if best is not None:
            n = int(_held_out(reader, fires).size)
            precision = best.hits / n if n else np.nan
            recall = best.hits / best.matches if best.matches else np.nan
            rows.append((int(code), _words(best), best.feature.kind, precision, recall, n))
    return pd.DataFrame(rows, columns=["code", "text", "kind", "precision", "recall", "n"])


def _features(reader: Reader) -> Sequence[Feature]:
    found = [Feature("label", field, numbered.labels(reader, field)) for field in reader.fields]
    tokens = numbered.tokens(reader)
    if not tokens.names:
        return found

    def derived() -> tuple[tuple[Feature, ...], int]:
        before = np.append(-1, tokens.number[:-1])
        before[reader.items.first_pos[reader.items.first_pos < reader.positions]] = -1
        made = [Feature("before", "", numbered.numbered(reader, tokens.names, before))]
        shapes = np.array([_shape(name) for name in tokens.names] + [-1])
        endings = np.array([_ending(name) for name in tokens.names] + [-1])
        for kind, names, of_name in (
            ("shape", tuple(name for name, _ in SHAPES), shapes),
            ("ending", ENDINGS, endings),
        ):
            made.append(Feature(kind, "", numbered.numbered(reader, names, of_name[tokens.number])))  # type: ignore[arg-type]
        return tuple(made), sum(one.values.nbytes for one in made)

    return [*found, Feature("token", "", tokens), *reader.cache.get((reader.path, "described"), derived)]


def _shape(token: str) -> int:
    bare = token.strip() or token
    return next((i for i, (_, pattern) in enumerate(SHAPES) if re.fullmatch(pattern, bare)), -1)


def _ending(token: str) -> int:
    bare = token.strip()
    return next((i for i, ending in enumerate(ENDINGS) if bare.endswith(ending) and len(bare) > len(ending) + 1), -1)


def _fires(reader: Reader, ref: CodeRef) -> np.ndarray:
    sql = "SELECT pos FROM postings WHERE site_id = ? AND code = ?"
    return np.unique(reader.arrays(sql, [reader.site_of(ref).site_id, ref.code])["pos"])


def _held_out(reader: Reader, positions: np.ndarray) -> np.ndarray:
    return positions[corpus.halves(reader, positions) == 1]


def _held_out_positions(reader: Reader) -> int:
    return int(reader.cache.get((reader.path, "held out"), lambda: (_count_held_out(reader), 8)))


def _count_held_out(reader: Reader) -> int:
    return int((corpus.halves(reader, np.arange(reader.positions)) == 1).sum())


def _best(reader: Reader, features: Sequence[Feature], fires: np.ndarray) -> _Best | None:
    """The description with the highest F0.5 on half 0; of equal ones the first."""
    half = corpus.halves(reader, fires)
    parts = fires[half == 0], fires[half == 1]
    places = reader.positions - _held_out_positions(reader)
    found: _Best | None = None
    for feature in features:
        hits, totals = feature.values.count(parts[0]), feature.values.totals
        if feature.kind == "label":  # any value of the field comes last
            hits, totals = np.append(hits, hits.sum()), np.append(totals, totals.sum(1, keepdims=True), axis=1)
        says = (hits >= MIN_HITS) & (totals.sum(0) <= MAX_SHARE * reader.positions)
        says &= hits * places >= MIN_LIFT * totals[0] * len(parts[0])
        score = np.where(says, 1.25 * hits / (0.25 * totals[0] + max(1, len(parts[0]))), 0.0)
        top = int(score.argmax()) if len(score) else 0
        if not len(score) or score[top] <= (found.score if found else 0.0):
            continue
        value = top if top < len(feature.values.names) else -1
        held_out = feature.values.number[parts[1]]
        found = _Best(
            feature,
            value,
            float(score[top]),
            int((held_out == value).sum() if value >= 0 else (held_out >= 0).sum()),
            int(totals[1][top]),
        )
    return found


def _precision(reader: Reader, best: _Best, fires: np.ndarray) -> float:
    """Share of the held-out places among some at which a description is true."""
    there = best.feature.values.number[_held_out(reader, fires)]
    true = there == best.value if best.value >= 0 else there >= 0
    return float(true.mean()) if len(there) else float("nan")


def _counts(reader: Reader, site: str) -> np.ndarray:
    """Activations of every code of a codebook."""
    begin = corpus.columns(reader).code_offset[reader.site(site).site_id]
    return corpus.totals(reader, None)[begin : begin + reader.site(site).info.num_codes]


def twin(reader: Reader, ref: CodeRef) -> CodeRef | None:
    """The control of a code: the live code of the same codebook that fires most nearly as often; the lower of two."""
    count = _counts(reader, ref.site).astype(np.int64)
    other = np.flatnonzero(count)
    other = other[other != ref.code]
    if not len(other):
        return None
    return CodeRef(ref.model, ref.site, int(other[np.abs(count[other] - count[ref.code]).argmin()]))


def _words(best: _Best) -> str:
    feature = best.feature
    value = feature.values.names[best.value] if best.value >= 0 else ""
    return {
        "label": f"{feature.field} = {value}" if best.value >= 0 else f"any {feature.field}",
        "token": f"the token {value!r}",
        "before": f"whatever follows {value!r}",
        "shape": value,
        "ending": f"words in -{value}" if value.isalpha() else f"words in {value}",
    }[feature.kind]


def _description(best: _Best, fires: np.ndarray, *, control: float, positions: int, shuffled: float) -> Description:
    low, high = wilson(np.array(best.hits), np.array(len(fires)))
    any_value = best.feature.kind == "label" and best.value < 0
    return Description(
        text=_words(best),
        kind="field" if any_value else best.feature.kind,
        field=best.feature.field,
        value=best.feature.values.names[best.value] if best.value >= 0 else "",
        precision=best.hits / len(fires) if len(fires) else float("nan"),
        low=float(low),
        high=float(high),
        recall=best.hits / best.matches if best.matches else float("nan"),
        hits=best.hits,
        n=len(fires),
        matches=best.matches,
        control=float(control),
        chance=best.matches / max(1, positions),
        shuffled=float(shuffled),
    )
