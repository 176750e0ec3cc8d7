"""How well single codes stand for concepts, beside single neurons: the paper's comparison, held out.

For every concept, a set of positions:
1. On half 0 choose the code with the best F0.5 (precision counts twice as much as recall: what is compared is precision) over
   all codes of all codebooks.
2. On half 1 count its precision and recall.
3. The rival: of all neurons, either sign, the one that is most precise on half 0 at the code's recall there; on half 1
   its threshold is set to reach the code's recall.
4. The controls: a random live code of the same codebook, and the code of another concept (the codes shuffled among them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.analysis.seeds import stream
from backend.types import CodebookInfo, CodeGrid

BETA = 0.5  # of the F-measure by which codes are chosen


@dataclass(frozen=True)
class ConceptCode:
    """The best code of one concept. All shares are of half 1.

    Attributes:
        name: the concept.
        site, code: the code chosen on half 0; empty and -1 where none fires on it.
        matches: positions of the concept on half 1.
        precision, recall: of the code.
        neuron: name of the best neuron, `site/number`, with `-` in front where low activations count.
        neuron_precision: of it, at the code's recall.
        random_precision, shuffled_precision: of the controls.
    """

    name: str
    site: str
    code: int
    matches: int
    precision: float
    recall: float
    neuron: str
    neuron_precision: float
    random_precision: float
    shuffled_precision: float


def concept_codes(
    grids: Mapping[str, CodeGrid],
    infos: Sequence[CodebookInfo],
    neurons: Mapping[str, np.ndarray],
    concepts: Mapping[str, np.ndarray],
    half: np.ndarray,
    seed: int,
) -> list[ConceptCode]:
    """Find the best code of every concept, chosen on half 0 and measured on half 1.

    Args:
        grids: site -> grid over P positions.
        infos: the codebooks.
        neurons: site -> float32 `[P, width]`.
        concepts: name -> ascending positions int64.
        half: int `[P]`, 0 or 1.
        seed: of the controls.
    """
    rng = stream(seed, "concept controls")
    sizes = np.array([info.num_codes for info in infos])
    first = np.concatenate(([0], np.cumsum(sizes)))
    numbered = np.concatenate(
        [_number_through(grids[info.site].codes, start, first[-1]) for info, start in zip(infos, first, strict=False)],
        axis=1,
    )  # [P, slots of all codebooks]: codes numbered through, the number behind the last for an empty slot
    counts = [np.bincount(numbered[half == part].ravel(), minlength=first[-1] + 1)[:-1] for part in (0, 1)]
    alive = np.flatnonzero(counts[0] > 0)
    chosen, hits = [], []
    for positions in concepts.values():
        tally = [
            np.bincount(numbered[positions[half[positions] == part]].ravel(), minlength=first[-1] + 1)[:-1]
            for part in (0, 1)
        ]
        matches = int((half[positions] == 0).sum())
        # F-beta from counts alone: precision is tally / counts, recall tally / matches
        score = (1 + BETA**2) * tally[0] / np.maximum(counts[0] + BETA**2 * matches, 1)
        chosen.append(int(score.argmax()) if score.max() > 0 else -1)
        hits.append(tally)
    recalls = [
        [
            h[part][code] / max(1, int((half[positions] == part).sum())) if code >= 0 else 0.0
            for code, h, positions in zip(chosen, hits, concepts.values(), strict=True)
        ]
        for part in (0, 1)
    ]
    rivals, rival_names = _test_neurons(neurons, list(concepts.values()), half, recalls)
    # each concept gets the code of the one before it
    shuffled = np.roll(np.array(chosen), 1) if len(chosen) > 1 else np.array([-1])
    results = []
    for i, (name, positions) in enumerate(concepts.items()):
        code, hit = chosen[i], hits[i][1]  # [codes of all codebooks]: how often each fires on the concept, half 1
        site = int(np.searchsorted(first, code, side="right")) - 1 if code >= 0 else -1
        candidates = alive[(alive >= first[site]) & (alive < first[site + 1])] if code >= 0 else alive[:0]
        random = int(rng.choice(candidates)) if len(candidates) else -1
        results.append(
            ConceptCode(
                name=name,
                site=infos[site].site if code >= 0 else "",
                code=int(code - first[site]) if code >= 0 else -1,
                matches=int((half[positions] == 1).sum()),
                precision=_share(hit, counts[1], code),
                recall=float(recalls[1][i]),
                neuron=rival_names[i],
                neuron_precision=float(rivals[i]),
                random_precision=_share(hit, counts[1], random),
                shuffled_precision=_share(hit, counts[1], int(shuffled[i])),
            )
        )
    return results


def _number_through(codes: np.ndarray, start: int, empty: int) -> np.ndarray:
    """Number codes `[P, slots]` through all codebooks; a code that fills several slots of a position counts once."""
    codes = codes.astype(np.int64)
    if codes.shape[1] > 1:
        codes = np.sort(codes, axis=1)
        codes[:, 1:][codes[:, 1:] == codes[:, :-1]] = -1
    return np.where(codes >= 0, codes + start, empty)


def _share(hits: np.ndarray, counts: np.ndarray, code: int) -> float:
    return float(hits[code] / counts[code]) if code >= 0 and counts[code] else 0.0


def _test_neurons(
    neurons: Mapping[str, np.ndarray],
    concepts: Sequence[np.ndarray],
    half: np.ndarray,
    recalls: Sequence[Sequence[float]],
) -> tuple[np.ndarray, list[str]]:
    """Return the precision on half 1 of each concept's best neuron, and its name; see step 3 of the module."""
    best = np.zeros(len(concepts))  # precision on half 0 of the best so far
    tested = np.zeros(len(concepts))
    names = [""] * len(concepts)
    places = [np.cumsum(half == part) - 1 for part in (0, 1)]  # of a position within its half
    for site, values in neurons.items():
        precision = np.zeros((2, len(concepts), 2 * values.shape[1]))
        for part in (0, 1):
            # [neuron of either sign, position of the half]: 0 is the highest
            ranks = _rank_activations(values[half == part])
            for i, positions in enumerate(concepts):
                inside = places[part][positions[half[positions] == part]]
                needed = int(np.ceil(recalls[part][i] * len(inside) - 1e-9))  # recall times n is whole but for rounding
                if needed < 1:
                    continue
                # the threshold lies at the rank of the last position needed; whatever ranks up to it is said to be the concept
                last = np.partition(ranks[:, inside], needed - 1, axis=1)[:, needed - 1]
                precision[part, i] = needed / (last + 1.0)
        for i in range(len(concepts)):
            top = int(precision[0, i].argmax())
            if precision[0, i, top] > best[i]:
                best[i], tested[i] = precision[0, i, top], precision[1, i, top]
                sign, number = ("-", top - values.shape[1]) if top >= values.shape[1] else ("", top)
                names[i] = f"{sign}{site}/{number}"
    return tested, names


def _rank_activations(values: np.ndarray) -> np.ndarray:
    """Rank activations `[P, neurons]` and their negatives, int32 `[2 * neurons, P]`, 0 the highest."""
    order = np.argsort(-values.T, axis=1, kind="stable")
    ranks = np.empty(order.shape, dtype=np.int32)
    np.put_along_axis(ranks, order, np.arange(order.shape[1], dtype=np.int32)[None], axis=1)
    return np.concatenate((ranks, order.shape[1] - 1 - ranks))
