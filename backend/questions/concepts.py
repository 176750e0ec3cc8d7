"""Every label value of a build with the code that stands for it best: chosen on half 0, measured on half 1.

1. For each value of each field (enough positions on both halves): how often every code of every codebook fires there,
   in one look-up of the position-major code blocks.
2. The code with the highest F1 on half 0; its precision and recall on half 1 with Wilson's intervals.
3. Controls: the code of the same codebook that fires most nearly as often, for the same value; the share of all
   positions that have the value; and on request the best neuron that reaches the code's recall.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from backend.analysis.intervals import wilson
from backend.calls import count_rows
from backend.errors import BadInput
from backend.questions.descriptions import twin
from backend.questions.neurons import best_neurons
from backend.store import corpus, numbered
from backend.store.reader import Reader

COLUMNS = ["field", "value", "support", "matches", "ref", "site", "code", "count", "precision", "recall", "f1", "hits"]
NEURON_COLUMNS = ("neuron", "neuron_precision", "neuron_recall", "neuron_n")


def concepts(reader: Reader, field: str | None = None, min_support: int = 20, neurons: bool = False) -> pd.DataFrame:
    """The code that stands best for each label value, chosen on half 0 by F1; every figure is of half 1.

    Args:
        reader: the model's build.
        field: only the values of this field; None: of all.
        min_support: a value needs at least this many positions on each half.
        neurons: look up the best neuron too, which takes long in a large build.

    Returns:
        `field, value, support` (positions, both halves), `matches` (half 1), `ref, site, code, count, precision,
        recall, f1, hits, precision_low, precision_high, recall_low, recall_high, control` (a code that fires about
        as often, str), `control_precision, chance` (share of positions with the value); with `neurons` as `search`.
    """
    if min_support < 1:
        raise BadInput(f"A support of {min_support} is out of range. Give 1 or more positions on each half.")
    fields = list(reader.fields) if field is None else [field]
    parts = [_of_field(reader, name, min_support, neurons) for name in fields]
    kept = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=COLUMNS)


def _of_field(reader: Reader, field: str, min_support: int, neurons: bool) -> pd.DataFrame:
    labels = numbered.labels(reader, field)
    order, begins = labels.positions()
    layout = corpus.columns(reader)
    held_out = corpus.totals(reader, 1)
    count_0 = corpus.totals(reader, None) - held_out
    rows, rivals = [], []
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
        control = twin(reader, ref)
        other = -1 if control is None else best - ref.code + control.code
        rows.append(
            {
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
                "control": "" if control is None else str(control),
                "control_precision": _share(hits_1[other], held_out[other]) if other >= 0 else np.nan,
                "chance": len(positions) / reader.positions,
            }
        )
        if neurons:
            rival = pd.DataFrame({"recall": [rows[-1]["recall"]]})
            best_neurons(reader, rival, positions, 1)
            rivals.append(rival)
    found = pd.DataFrame(rows, columns=[*COLUMNS, "control", "control_precision", "chance"])
    for side, n in (("precision", "count"), ("recall", "matches")):
        found[f"{side}_low"], found[f"{side}_high"] = wilson(found["hits"].to_numpy(), found[n].to_numpy())
    if rivals:
        found[list(NEURON_COLUMNS)] = pd.concat(rivals, ignore_index=True)[list(NEURON_COLUMNS)]
    return found


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
