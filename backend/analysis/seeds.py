"""Seeds: the line between items that models are trained on and held-out ones, and how one seed becomes many.

A seed that a person gives is used for several things. Each has its own purpose below, so that no two of them see the same
random numbers. The numbers are part of recorded figures: none is changed, and none is used a second time.
"""

from __future__ import annotations

import numpy as np

HELD_OUT_SEED = 900_000  # items of this seed and above are never trained on
STREAMS = {
    "wrong state codes": 5,
    "forced states": 11,
    "random codes": 13,
    "effect": 17,
    "walks of a belief": 19,
    "concept controls": 23,
    "pairs of walks": 77,
}
STRIDES = {  # how far apart the numbers of two neighbouring seeds begin: more than there are of each
    "behaviours": 100,
    "code restarts": 7919,
    "sampled walks": 100_003,
    "training batches": 1_000_003,
}


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the random numbers of one purpose.

    Args:
        seed: the same gives the same numbers.
        purpose: key of `STREAMS`.
    """
    return np.random.default_rng((seed, STREAMS[purpose]))


def numbered(seed: int, purpose: str, number: int) -> int:
    """Return the seed of one of many things that are drawn one after the other: of a batch, of a step.

    Args:
        seed: of all of them.
        purpose: key of `STRIDES`.
        number: which one, from 0.
    """
    return seed * STRIDES[purpose] + number
