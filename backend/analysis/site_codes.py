"""Which codebooks' codes say most of where something is true.

What a code says is what it adds to the divergence between "truth" and "anywhere": `p * log(p / q)`, p the share of the true
positions at which it fires, q that of all positions. A codebook's worth is the sum over its best k codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.types import CodebookInfo, CodeGrid

RARE = 0.03  # share of the true positions below which a code is not considered for its precision


@dataclass(frozen=True)
class SiteCodes:
    """The codes of one codebook that stand for something, best first.

    Attributes:
        site: the codebook.
        codes: int `[n]`, at most one per slot.
        precise: those of the highest precision that are not rare, at most as many.
        worth: nats, see the module.
        precision: share of the positions at which one of them fires that are true.
        recall: share of the true positions at which one of them fires.
    """

    site: str
    codes: tuple[int, ...]
    precise: tuple[int, ...]
    worth: float
    precision: float
    recall: float


def rank_sites(grids: Mapping[str, CodeGrid], infos: Sequence[CodebookInfo], truth: np.ndarray) -> list[SiteCodes]:
    """Rank the codebooks by how much their best codes say of the truth, best first; see the module."""
    ranked = []
    for info in infos:
        codes = grids[info.site].codes
        rows = [np.bincount(codes[part][codes[part] >= 0], minlength=info.num_codes) for part in (truth, slice(None))]
        p, q = rows[0] / max(1, truth.sum()), rows[1] / len(truth)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(p > q, p * np.log(p / q), 0.0)
        best = np.argsort(-gain, kind="stable")[: info.slots]
        best = best[gain[best] > 0]
        fires = np.isin(codes, best).any(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            # where every code that says something is rare, the most frequent of them still counts
            common = p >= min(RARE, p[gain > 0].max(initial=0.0))
            precision = np.where(common & (gain > 0), p / q, 0.0)
        precise = np.argsort(-precision, kind="stable")[: len(best)]
        ranked.append(
            SiteCodes(
                info.site,
                tuple(int(code) for code in best),
                tuple(int(code) for code in precise if precision[code] > 0),
                float(gain[best].sum()),
                float((fires & truth).sum() / max(1, fires.sum())),
                float((fires & truth).sum() / truth.sum()),
            )
        )
    return sorted([s for s in ranked if s.codes], key=lambda s: -s.worth)
