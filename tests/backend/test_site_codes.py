"""Which codebooks say most of a truth, against plain counting."""

from __future__ import annotations

import numpy as np
import pytest

from backend.analysis.site_codes import rank_sites
from backend.types import CodebookInfo, CodeGrid


def test_codes_are_ranked_by_what_they_add_to_the_divergence() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(500) < 0.3
    codes = rng.integers(0, 6, (500, 2))
    codes[truth & (rng.random(500) < 0.7), 0] = 5
    weak = rng.integers(0, 6, (500, 2))
    empty = np.zeros((500, 2), np.float32)
    grids = {
        n: CodeGrid(n, c.astype(np.int32), empty, codes[:, 0], empty[:, 0]) for n, c in (("a", weak), ("b", codes))
    }
    ranked = rank_sites(grids, [CodebookInfo(n, 6, 4, 2) for n in grids], truth)
    assert [s.site for s in ranked] == ["b", "a"] and ranked[0].codes[0] == 5
    p = sum((codes[i] == 5).sum() for i in range(500) if truth[i]) / truth.sum()
    q = sum((codes[i] == 5).sum() for i in range(500)) / 500
    gains = {5: p * np.log(p / q)}
    assert ranked[0].worth >= gains[5] > 0.5 * ranked[0].worth
    fires = [bool({*codes[i]} & {*ranked[0].codes}) for i in range(500)]
    hits = sum(f and t for f, t in zip(fires, truth, strict=True))
    assert ranked[0].precision == pytest.approx(hits / sum(fires)) and ranked[0].recall == pytest.approx(
        hits / truth.sum()
    )


def test_where_the_frequent_codes_say_nothing_the_rare_ones_are_precise() -> None:
    truth = np.arange(600) % 2 == 0
    codes = np.where(np.arange(600) % 20 == 2, 1 + np.arange(600) // 20 % 30, 0)[:, None].astype(np.int32)
    empty = np.zeros((600, 1), np.float32)
    ranked = rank_sites(
        {"a": CodeGrid("a", codes, empty, codes[:, 0], empty[:, 0])}, [CodebookInfo("a", 40, 4, 1)], truth
    )
    assert len(ranked[0].codes) == len(ranked[0].precise) == 1
