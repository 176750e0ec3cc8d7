"""Every label value of a build, or every tag of its items, with its best code: chosen on half 0, measured on half 1.

1. For each value of each field (enough positions on both halves): how often every code of every codebook fires there,
   in one look-up of the position-major code blocks.
2. The code with the highest F1 on half 0; its precision and recall on half 1 with Wilson's intervals.
3. Controls: other codes of the same codebook for the same value (`controls`); the share of all positions that have the
   value; and on request the best neuron that reaches the code's recall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from backend.analysis.claims import worth
from backend.analysis.intervals import wilson
from backend.calls import count_rows
from backend.errors import BadInput
from backend.questions import tags
from backend.questions.controls import add_controls, controls
from backend.questions.neurons import best_neurons
from backend.store import corpus
from backend.store.reader import Reader

COLUMNS = ["field", "value", "support", "matches", "ref", "site", "code", "count", "precision", "recall", "f1", "hits"]
MIN_SUPPORT = 20  # positions of a value on each half, where nobody asks for another number
NEURON_COLUMNS = ("neuron", "neuron_precision", "neuron_recall", "neuron_n")


def concepts(
    reader: Reader, field: str | None = None, min_support: int = MIN_SUPPORT, neurons: bool = False
) -> pd.DataFrame:
    """Find the code that stands best for each label value, chosen on half 0 by F1; every figure is of half 1.

    Args:
        reader: the model's build.
        field: only the values of this field; None: of all.
        min_support: a value needs at least this many positions on each half.
        neurons: look up the best neuron too, which takes long in a large build.

    Returns:
        `field, value, support` (positions, both halves), `matches` (half 1), `ref, site, code, count, precision,
        recall, f1, hits, precision_low, precision_high, recall_low, recall_high, chance` (share of positions with the
        value), `worth` (on half 0, where the code was chosen: F0.5 of the lower ends of both intervals), `control,
        controls, control_precision, control_low, control_high` (other codes that fire about as often, as in
        `SearchResult`); with `neurons` as `search`.
    """
    if min_support < 1:
        raise BadInput(f"A support of {min_support} is out of range. Give 1 or more positions on each half.")
    if field is None and min_support == MIN_SUPPORT and not neurons:
        key = (reader.path, "concepts")
        return reader.cache.remember(key, lambda: _table(reader, _fields(reader), min_support, False)).copy()
    return _table(reader, _fields(reader) if field is None else [field], min_support, neurons)


def _fields(reader: Reader) -> list[str]:
    """Return the fields of labels; of a build without labels those of its items' tags, as `item:FIELD`.

    A tag is true of all positions of an item: beside labels it would only lower the mean of what a code stands for.
    """
    return list(reader.fields) or list(dict.fromkeys(tags.PREFIX + name for name, _ in tags.tags(reader)))


def _table(reader: Reader, fields: Sequence[str], min_support: int, neurons: bool) -> pd.DataFrame:
    """Return the values of some fields with their best codes; see `concepts`."""
    rows, rivals = [], []
    for name in fields:
        for concept, positions in _of_field(reader, name, min_support):
            rows.append(concept)
            if neurons:
                rival = pd.DataFrame({"recall": [concept["recall"]]})
                best_neurons(reader, rival, positions, 1)
                rivals.append(rival)
    table = pd.DataFrame(rows, columns=[*COLUMNS, "chance", "worth", "begin", "others"])
    begins, counted = table.pop("begin").to_numpy(np.int64), table.pop("others")
    for side, n in (("precision", "count"), ("recall", "matches")):
        table[f"{side}_low"], table[f"{side}_high"] = wilson(table["hits"].to_numpy(), table[n].to_numpy())
    numbers = controls(reader, list(table["ref"]))
    hits = [
        of_site[np.maximum(drawn - begin, 0)] for drawn, begin, of_site in zip(numbers, begins, counted, strict=True)
    ]
    add_controls(table, reader, numbers, np.array(hits).reshape(numbers.shape), corpus.totals(reader, 1)[numbers])
    if rivals:
        table[list(NEURON_COLUMNS)] = pd.concat(rivals, ignore_index=True)[list(NEURON_COLUMNS)]
    return table


def _of_field(reader: Reader, field: str, min_support: int) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield the values of a field with their best codes, and the positions of each; see `COLUMNS`.

    With each also `begin`, the number of code 0 of the best code's codebook, and `others`, how often each code of that
    codebook fires at the positions of half 1.
    """
    labels = tags.labels_or_tags(reader, field)
    order, begins = labels.positions()
    layout = corpus.columns(reader)
    held_out = corpus.totals(reader, 1)
    count_0 = corpus.totals(reader, None) - held_out
    for number in np.flatnonzero(labels.totals.min(0) >= min_support):
        positions = order[begins[number] : begins[number + 1]]
        hits, hits_1 = corpus.count_codes(reader, positions)
        count_rows(len(positions) * len(layout.offset))
        f1 = 2 * (hits - hits_1) / np.maximum(count_0 + labels.totals[0, number], 1)
        best = int(f1.argmax())
        if f1[best] <= 0:
            continue
        matches = int(labels.totals[1, number])
        ref = corpus.refs(reader, np.array([best]))[0]
        begin = best - ref.code
        row = {
            "field": field,
            "value": labels.names[number],
            "support": len(positions),
            "matches": matches,
            "ref": ref,
            "site": ref.site,
            "code": ref.code,
            "count": int(held_out[best]),
            "precision": _share(hits_1[best], held_out[best]),
            "recall": _share(hits_1[best], matches),
            "f1": _share(2 * hits_1[best], held_out[best] + matches),
            "hits": int(hits_1[best]),
            "chance": len(positions) / reader.positions,
            "worth": float(worth(hits[best] - hits_1[best], count_0[best], labels.totals[0, number])),
            "begin": begin,
            "others": hits_1[begin : begin + reader.sites[ref.site].info.num_codes].astype(np.int32),
        }
        yield row, positions


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
