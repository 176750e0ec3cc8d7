"""How codes are used: how often, in how many items, on how many different tokens, and how much of what could be used.

All counts are exact and come from activations in order of code and position, one run of whole codes at a time, so that
memory does not grow with the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_MOST_BINS = 4_000_000


@dataclass(frozen=True)
class Usage:
    """Usage of a run of codes, one entry a code.

    Attributes:
        count: int64, activations (position-slots).
        items: int64, items in which the code fires at least once.
        entropy: float64, bits, of the distribution of symbols (tokens) under the code; 0 where nothing is known.
        repeated: activations of a code at a position where it fires in an earlier slot already; 0 for a sound model.
    """

    count: np.ndarray
    items: np.ndarray
    entropy: np.ndarray
    repeated: int


def count_usage(
    codes: np.ndarray, positions: np.ndarray, num_codes: int, item_of: np.ndarray, symbol_of: np.ndarray
) -> Usage:
    """Count the usage of codes `0` to `num_codes - 1`.

    Args:
        codes: integers `[n]`, ascending.
        positions: integers `[n]`, ascending within each code.
        num_codes: how many codes to report.
        item_of: `[P]`, the item of every position, ascending.
        symbol_of: `[P]`, the symbol (token id) at every position; negative where there is none.
    """
    codes = np.asarray(codes, np.int64)
    items = item_of[positions]
    symbols = symbol_of[positions]
    same_code = codes[1:] == codes[:-1]
    first = np.ones(len(codes), bool)
    first[1:] = ~(same_code & (items[1:] == items[:-1]))
    has_symbol = symbols >= 0
    return Usage(
        np.bincount(codes, minlength=num_codes),
        np.bincount(codes[first], minlength=num_codes),
        entropy_of_symbols(codes[has_symbol], symbols[has_symbol], num_codes),
        int(np.count_nonzero(same_code & (positions[1:] == positions[:-1]))),
    )


def utilization_ceiling(chosen: npt.ArrayLike, codes: int) -> np.ndarray:
    """Return the share of K equally likely codes that T choices reach on average: 1 - exp(-T / K), in the shape of T.

    Args:
        chosen: T.
        codes: K.
    """
    return np.asarray(-np.expm1(-np.asarray(chosen, np.float64) / codes))


@dataclass(frozen=True)
class TokenUse:
    """How the codes of a tokenizer are used by T tokens in each of its tables (one, or one a residual level).

    Attributes:
        codes: K, summed over tables.
        used: codes chosen at least once, summed over tables.
        reachable: codes that T tokens choose on average if all K are equally likely, summed over tables.
        utilization: used / K, mean over tables.
        ceiling: 1 - exp(-T / K), mean over tables: what T tokens reach at best.
        of_ceiling: utilization / ceiling of each table, mean over tables.
        perplexity: exp of the entropy of the codes' use, mean over tables.
        bits: of one cell if all codes cost the same: log2 K, summed over tables.
        bits_effective: of one cell for a coder that knows how the codes are used: their entropy, summed over tables.
    """

    codes: int
    used: int
    reachable: float
    utilization: float
    ceiling: float
    of_ceiling: float
    perplexity: float
    bits: float
    bits_effective: float


def token_use(counts: Sequence[np.ndarray], tokens: int) -> TokenUse:
    """Say how the codes of a tokenizer's tables are used.

    Args:
        counts: how often each code was chosen, integers `[K]`, one array a table.
        tokens: T, how many tokens a table was asked for.
    """
    codes = np.array([len(table) for table in counts])
    used = np.array([np.count_nonzero(table) for table in counts])
    entropy = np.array([_entropy(table) for table in counts])
    utilization, ceiling = used / codes, utilization_ceiling(tokens / codes, 1)
    return TokenUse(
        codes=int(codes.sum()),
        used=int(used.sum()),
        reachable=float((codes * ceiling).sum()),
        utilization=float(utilization.mean()),
        ceiling=float(ceiling.mean()),
        of_ceiling=float((utilization / ceiling).mean()) if tokens else float("nan"),
        perplexity=float(np.exp2(entropy).mean()),
        bits=float(np.log2(codes).sum()),
        bits_effective=float(entropy.sum()),
    )


def _entropy(counts: np.ndarray) -> float:
    """Return the entropy of counts in bits."""
    shares = counts[counts > 0] / max(1, counts.sum())
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def entropy_of_symbols(codes: np.ndarray, symbols: np.ndarray, num_codes: int) -> np.ndarray:
    """Compute the entropy of the symbols under each code, bits, float64: `H = log2 N - (1/N) sum_s n_s log2 n_s`.

    Args:
        codes: integers `[n]` below `num_codes`.
        symbols: integers `[n]`, 0 or more.
        num_codes: length of the answer; codes never seen have 0.
    """
    if not len(codes):
        return np.zeros(num_codes)
    width = int(symbols.max()) + 1
    keys = codes.astype(np.int64) * width + symbols
    if num_codes * width <= _MOST_BINS:  # counting is faster than sorting as long as the bins fit into the caches
        bins = np.bincount(keys)
        pairs = np.flatnonzero(bins)
        counts = bins[pairs].astype(float)
    else:
        pairs, counts = np.unique(keys, return_counts=True)
        counts = counts.astype(float)
    owner = pairs // width
    total = np.bincount(owner, counts, num_codes)
    weighted = np.bincount(owner, counts * np.log2(counts), num_codes)
    alive = total > 0
    entropy = np.zeros(num_codes)
    entropy[alive] = np.log2(total[alive]) - weighted[alive] / total[alive]
    return np.maximum(entropy, 0.0)  # rounding can leave -1e-16
