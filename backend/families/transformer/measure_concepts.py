"""Which concepts a text has: the values of its labels, and regular expressions that every text can be asked.

A concept is a set of positions. Labels come with the data; a pattern names the token that holds the first character of
its group 1 (of the whole match where it has none), as everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from backend.analysis.concepts import BETA, concept_codes
from backend.analysis.measures import Measures
from backend.analysis.patterns import compile_pattern
from backend.data.datasets import source_of
from backend.data.texts.corpus import TextItems
from backend.families.transformer.model import TransformerFamily
from backend.types import CodeGrid, Item

MIN_SUPPORT = 20  # positions on each half
MAX_SHARE = 0.5  # of all positions; what is true of most positions is no concept
MAX_CONCEPTS = 300
GENERAL = (
    r"(\d+)",
    r"[.!?]\s+([A-Z][a-z]+)",
    r"\w(,)",
    r"\w([.!?])",
    r"(\")",
    r"\b(the|The) ",
    r"\b(and|or|but)\b",
    r"\b(he|she|He|She)\b",
    r"\b(was|were|is|are)\b",
    r"[a-z](ed)\b",
    r"[a-z](ing)\b",
    r"\b(not|n't)\b",
)


def concepts(items: Sequence[Item], half: np.ndarray, patterns: Sequence[str]) -> dict[str, np.ndarray]:
    """Name the concepts of some items that occur often enough to be judged: name -> ascending positions int64.

    Args:
        items: with labels and texts; their positions are numbered through.
        half: int `[P]`, 0 or 1.
        patterns: regular expressions that they are asked beside the general ones.
    """
    places: dict[str, np.ndarray] = {}
    for (field, value), positions in _labelled(items).items():
        places[f"{field} = {value}"] = positions
    for pattern in (*GENERAL, *patterns):
        places[pattern] = matching(items, pattern)
    total = len(half)
    frequent = {
        name: positions
        for name, positions in places.items()
        if len(positions) <= MAX_SHARE * total
        and min(np.bincount(half[positions], minlength=2), default=0) >= MIN_SUPPORT
    }
    return dict(list(frequent.items())[:MAX_CONCEPTS])


def matching(items: Sequence[Item], pattern: str) -> np.ndarray:
    """Return positions whose token a pattern names, ascending int64.

    Raises:
        BadPattern: the pattern cannot be used.
    """
    compiled = compile_pattern(pattern)
    positions: list[int] = []
    start = 0
    for item in items:
        assert item.spans is not None
        ends = item.spans[:, 1]
        for match in compiled.compiled.finditer(item.text):
            at = match.start(compiled.group)
            token = int(np.searchsorted(ends, at, side="right"))
            if at >= 0 and token < len(ends) and item.spans[token, 0] <= at:
                positions.append(start + token)
        start += item.positions
    return np.unique(np.array(positions, dtype=np.int64))


def _labelled(items: Sequence[Item]) -> Mapping[tuple[str, str], np.ndarray]:
    """Return positions of every label value, the most frequent values of a field first."""
    places: dict[tuple[str, str], list[int]] = {}
    start = 0
    for item in items:
        for field, values in item.labels.items():
            for place, value in enumerate(values):
                if value:
                    places.setdefault((field, value), []).append(start + place)
        start += item.positions
    counts = Counter({key: len(positions) for key, positions in places.items()})
    return {key: np.array(places[key], dtype=np.int64) for key, _ in counts.most_common()}


def text_floor(family: TransformerFamily, items: Sequence[Item], seed: int) -> float | None:
    """Return the mean nats per predicted token that the generator of the items drew; None where no generator made them.

    Args:
        family: whose data set the items are of.
        items: as its data set made them; those that were cut off do not count.
        seed: of the items.
    """
    if not isinstance(family.dataset, TextItems):
        return None
    nats, tokens = 0.0, 0
    for item in items:
        document = family.dataset.corpus.document(item.index, seed)
        if document.nats is not None and document.text == item.text:
            nats += document.nats
            tokens += item.positions - 1
    return nats / tokens if tokens else None


def measure_concepts(
    family: TransformerFamily,
    items: Sequence[Item],
    grids: Mapping[str, CodeGrid],
    neurons: Mapping[str, np.ndarray],
    into: Measures,
    seed: int,
) -> None:
    """Measure the best code of every concept beside the best neuron at equal recall; see `backend.analysis.concepts`."""
    half = np.repeat(np.arange(len(items)) % 2, [item.positions for item in items])
    places = concepts(items, half, source_of(family.spec.dataset).concepts)
    if not places:
        return
    codes = concept_codes(grids, family.codebooks(), neurons, places, half, seed)
    n = len(codes)
    about = (
        f"mean over {n} concepts (label values and patterns with at least {MIN_SUPPORT} positions on each half); "
        f"best code by F{BETA:g} on one half of the items, measured on the other"
    )
    count = sum(values.shape[1] for values in neurons.values())
    rival = f"best of {count} neurons, either sign, chosen on one half, at the recall of the code on the other"

    def mean(name: str) -> float:
        return float(np.mean([getattr(code, name) for code in codes]))

    into.add("concept_precision", mean("precision"), n, f"precision, {about}")
    into.add("concept_recall", mean("recall"), n, f"recall, {about}")
    into.add("concept_precision_neuron", mean("neuron_precision"), n, f"{rival}; {about}")
    into.add(
        "concept_precision_above_neuron",
        mean("precision") - mean("neuron_precision"),
        n,
        f"concept_precision minus {rival}; {about}",
    )
    into.add("concept_precision_random_code", mean("random_precision"), n, f"control: a random live code; {about}")
    into.add(
        "concept_precision_shuffled_codebook",
        mean("shuffled_precision"),
        n,
        f"control: another concept's code; {about}",
    )
