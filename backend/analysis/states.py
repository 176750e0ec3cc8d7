"""State codes: which codes stand for a state of a finite-state machine, and how exactly (Tamkin et al., section 3.1).

All functions take flat arrays over positions: `codes[P, slots]`, the codes that a codebook chose (a code fires at a
position if any slot holds it), and `truth[P]`, the state just read completely, or -1 where no state is complete (first
digits, BOS). Claims are made on one half of the items and tested on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class StateCodes:
    """How well the codes of one codebook name the states, on the half that was not used to decide.

    Attributes:
        owner: int64 `[num_codes]`: the state on which each code fires most (decided on half 0); -1: on no state, or never.
        main: int64 `[states, slots]`: each state's most frequent codes on half 0, most frequent first; -1 where there are
            no more. They need not belong to the state: a code of the first digits may be among them.
        precision, recall: float64 `[states]`: of all codes that a state owns together.
        single_precision, single_recall: float64 `[states]`: of the most frequent code that it owns, alone.
        count: int64 `[states]`: times the state was read on half 1.
    """

    owner: np.ndarray
    main: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    single_precision: np.ndarray
    single_recall: np.ndarray
    count: np.ndarray


def state_codes(codes: np.ndarray, truth: np.ndarray, half: np.ndarray, num_codes: int, states: int) -> StateCodes:
    """Assign codes to states on half 0 and test them on half 1, over all positions.

    Args:
        codes: int `[P, slots]`, -1 for an empty slot.
        truth: int `[P]`, -1 where no state is complete.
        half: 0 or 1 `[P]`.
        num_codes: rows of the table.
        states: number of states.

    Returns:
        Precision: of the positions where one of the state's codes fires, the share at which that state was just read
        (0 for a state that owns none). Recall: of the positions at which it was just read, the share where one fires.
    """
    slots = codes.shape[1]
    tables = []
    for part in (0, 1):
        use = (half == part)[:, None] & (codes >= 0)
        table = np.zeros((num_codes, states + 1), dtype=np.int64)  # last column: no state
        np.add.at(table, (codes[use], np.broadcast_to(truth[:, None], codes.shape)[use]), 1)
        tables.append(table)
    decided, tested = tables
    owner = np.where(decided.sum(1) > 0, decided.argmax(1), states)
    owner[owner == states] = -1
    order = np.argsort(-decided[:, :states], axis=0, kind="stable")[:slots].T  # [states, slots]
    main = np.where(decided[order, np.arange(states)[:, None]] > 0, order, -1)
    by_owner = np.where(owner[:, None] == np.arange(states), decided[:, :states], 0)
    single = np.where(by_owner.max(0) > 0, by_owner.argmax(0), -1)
    count = np.bincount(truth[(half == 1) & (truth >= 0)], minlength=states)
    owners = np.where(codes >= 0, owner[codes], -1)[half == 1]
    place = np.broadcast_to(np.arange(len(owners))[:, None], owners.shape)
    fires = np.unique(np.stack((place[owners >= 0], owners[owners >= 0])), axis=1)  # each state once a position
    fired = np.bincount(fires[1], minlength=states)
    right = np.bincount(fires[1][truth[half == 1][fires[0]] == fires[1]], minlength=states)
    single_fired = np.where(single >= 0, tested[single].sum(1), 0)
    single_right = np.where(single >= 0, tested[single, np.arange(states)], 0)
    return StateCodes(
        owner,
        main,
        _share(right, fired),
        _share(right, count),
        _share(single_right, single_fired),
        _share(single_right, count),
        count,
    )


def neuron_precision(
    activations: np.ndarray, truth: np.ndarray, half: np.ndarray, recall: np.ndarray, states: int
) -> np.ndarray:
    """Return the precision of the best neuron for each state at the same recall as the state's codes.

    A neuron says "this state" where its activation (or its negative: both directions compete) is above a threshold. The
    neuron is chosen on half 0; on half 1 its threshold is set to reach the given recall.

    Args:
        activations: float `[P, neurons]`.
        truth: as in `state_codes`.
        half: as in `state_codes`.
        recall: float `[states]` to match.
        states: number of states.

    Returns:
        float64 `[states]`; 0 where a state never occurs or is to be recalled never.
    """
    best = np.zeros((2, states))
    chosen = np.zeros(states, dtype=np.int64)
    for part in (0, 1):
        use = half == part
        values = activations[use]
        ranks = np.empty(values.shape, dtype=np.int32)  # 0 is the highest activation
        order = np.argsort(-values, axis=0, kind="stable")
        np.put_along_axis(ranks, order, np.arange(len(values), dtype=np.int32)[:, None], axis=0)
        # [P, 2 * neurons]: the second half is that of the negative activations
        both = np.concatenate((ranks, len(values) - 1 - ranks), axis=1)
        by_state = truth[use]
        for state in range(states):
            rows = both[by_state == state]
            needed = int(np.ceil(recall[state] * len(rows) - 1e-9))  # recall times n is whole but for rounding
            if needed < 1:
                continue
            # the threshold lies at the rank of the last position needed; whatever ranks up to it is said to be the state
            last = np.partition(rows, needed - 1, axis=0)[needed - 1]
            precision = needed / (last + 1.0)
            if part == 0:
                chosen[state] = precision.argmax()
                best[0, state] = precision.max()
            else:
                best[1, state] = precision[chosen[state]]
    return best[1]


def purity(codes: np.ndarray, groups: np.ndarray, num_codes: int) -> tuple[float, int]:
    """Return the share of the codes that fire for one group only, and how many codes that is counted over.

    Codes that fire once are left out: they could not do otherwise.

    Args:
        codes: int `[P, slots]`.
        groups: int `[P]`, e.g. the state; only positions with a group >= 0 count.
        num_codes: rows of the table.
    """
    use = (groups >= 0)[:, None] & (codes >= 0)
    pairs = np.unique(np.stack((codes[use], np.broadcast_to(groups[:, None], codes.shape)[use])), axis=1)
    kinds = np.bincount(pairs[0], minlength=num_codes)
    alive = np.bincount(codes[use], minlength=num_codes) >= 2
    return (float((kinds[alive] == 1).mean()) if alive.any() else 0.0), int(alive.sum())


def wrong_code_precision(
    codes: np.ndarray,
    truth: np.ndarray,
    main: np.ndarray,
    kind: Literal["random", "shuffled"],
    rng: np.random.Generator,
) -> float:
    """Measure a control: the mean precision when each state gets a `random` live code, or another's by a shuffled map.

    Args:
        codes: int `[P, slots]`.
        truth: int `[P]`.
        main: int `[states]`, the states' own codes.
        kind: which control.
        rng: of the choice.
    """
    states = len(main)
    live = np.unique(codes[codes >= 0])
    if kind == "random":
        wrong = rng.choice(live, states)
    else:
        order = rng.permutation(states)
        wrong = main[order[(np.argsort(order) + 1) % states]]  # a cycle: no state keeps its own
    shares = []
    for state, code in enumerate(wrong):
        fires = (codes == code).any(1)
        shares.append((truth[fires] == state).mean() if code >= 0 and fires.any() else 0.0)
    return float(np.mean(shares))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Compute the Jensen-Shannon divergence in nats (0 to ln 2) of probabilities `[..., outcomes]`."""
    middle = (p + q) / 2

    def divergence(a: np.ndarray) -> np.ndarray:
        return np.where(a > 0, a * (np.log(np.maximum(a, 1e-300)) - np.log(np.maximum(middle, 1e-300))), 0).sum(-1)

    return (divergence(p) + divergence(q)) / 2


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)
