"""How much a claim "this code fires on that" is worth, by precision, recall and the number of cases behind both.

A share of few cases is worth its lower bound: 3 of 3 is 44 %, 300 of 300 is 99 %. So a claim is worth the F-measure of the
lower ends of both Wilson intervals, precision counting twice as much as recall. On the half of the items on which claims are
chosen the one that is worth most is taken; on the other half it is *good* only above a floor, which asks for enough
activations, and that it be true of most of them beyond doubt. Below the floor nothing is claimed.
"""

from __future__ import annotations

import numpy as np

from backend.analysis.intervals import wilson

BETA = 0.5  # of the F-measure: precision counts twice as much as recall
MIN_TESTED = 10  # activations on the half that tests; fewer cannot show anything
MIN_PRECISION = 0.5  # of the lower end of precision's interval: true of most of the activations


def worth(hits: np.ndarray, fires: np.ndarray, matches: np.ndarray) -> np.ndarray:
    """Return F0.5 of the lower ends of the 95 % intervals of precision and recall; 0 where nothing is known.

    Args:
        hits: activations at which the claim is true, any shape.
        fires: all activations of the code, of a shape that broadcasts with it.
        matches: all positions at which the claim is true, likewise.
    """
    hits, fires, matches = np.broadcast_arrays(hits, fires, matches)
    any_hits = hits > 0
    precision, recall = wilson(hits[any_hits], fires[any_hits])[0], wilson(hits[any_hits], matches[any_hits])[0]
    values = np.zeros(hits.shape)
    values[any_hits] = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
    return values


def is_good(hits: np.ndarray, fires: np.ndarray) -> np.ndarray:
    """Return whether a tested claim is above the floor: bool, of the arguments' shape."""
    with np.errstate(invalid="ignore"):
        return (np.asarray(fires) >= MIN_TESTED) & (wilson(hits, fires)[0] >= MIN_PRECISION)


def objection(hits: int, fires: int) -> str:
    """Return why a tested claim is below the floor, in words; empty where it is good."""
    if fires < MIN_TESTED:
        return f"the code fires {fires:,} times on the held-out half, and fewer than {MIN_TESTED} show nothing"
    low, high = (float(bound) for bound in wilson(np.array(hits), np.array(fires)))
    if low < MIN_PRECISION:
        return (
            f"it is true of {hits:,} of {fires:,} held-out activations ({100 * low:.0f} to {100 * high:.0f} %), so perhaps "
            "not of most"
        )
    return ""
