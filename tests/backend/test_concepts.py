"""The best code and the best neuron of a concept, against scikit-learn's counting and plain sorting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import fbeta_score, precision_score, recall_score

from backend.analysis.concepts import BETA, concept_codes
from backend.types import CodebookInfo, CodeGrid

POSITIONS = 800
SITES = (CodebookInfo("a", 12, 4, 2), CodebookInfo("b", 9, 4, 1))


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, CodeGrid], dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Random codes and neurons; one code and one neuron that know the concept, each in its own imperfect way."""
    rng = np.random.default_rng(3)
    concept = rng.random(POSITIONS) < 0.15
    other = rng.random(POSITIONS) < 0.3
    codes = {info.site: rng.integers(0, info.num_codes, (POSITIONS, info.slots)) for info in SITES}
    codes["a"][concept & (rng.random(POSITIONS) < 0.6), 1] = 7
    codes["b"][other & (rng.random(POSITIONS) < 0.9), 0] = 2
    empty = np.zeros((POSITIONS, 2), np.float32)
    grids = {site: CodeGrid(site, c.astype(np.int32), empty, c[:, 0], empty[:, 0]) for site, c in codes.items()}
    neurons = {site: rng.normal(size=(POSITIONS, 6)).astype(np.float32) for site in ("L0.attn", "L0.mlp")}
    neurons["L0.mlp"][:, 4] -= 1.5 * concept
    truth = {"concept": np.flatnonzero(concept), "other": np.flatnonzero(other)}
    return grids, neurons, truth, np.arange(POSITIONS) % 2


def test_the_code_is_the_one_of_the_best_f_measure_on_one_half_and_is_measured_on_the_other(made) -> None:  # type: ignore[no-untyped-def]
    grids, neurons, concepts, half = made
    for found in concept_codes(grids, SITES, neurons, concepts, half, seed=0):
        true = np.isin(np.arange(POSITIONS), concepts[found.name])
        fires = {
            (info.site, code): (grids[info.site].codes == code).any(1)
            for info in SITES
            for code in range(info.num_codes)
        }
        scores = {key: fbeta_score(true[half == 0], fired[half == 0], beta=BETA) for key, fired in fires.items()}
        best = max(scores, key=lambda key: scores[key])
        assert (found.site, found.code) == best == {"concept": ("a", 7), "other": ("b", 2)}[found.name]
        held_out = true[half == 1], fires[best][half == 1]
        assert found.precision == pytest.approx(precision_score(*held_out))
        assert found.recall == pytest.approx(recall_score(*held_out))
        assert found.matches == true[half == 1].sum()


def test_the_rival_is_the_most_precise_neuron_of_either_sign_at_the_recall_of_the_code(made) -> None:  # type: ignore[no-untyped-def]
    grids, neurons, concepts, half = made
    found = concept_codes(grids, SITES, neurons, concepts, half, seed=0)[0]
    true = np.isin(np.arange(POSITIONS), concepts["concept"])
    fires = (grids["a"].codes == 7).any(1)

    def precision(values: np.ndarray, part: int) -> float:
        here = half == part
        needed = int(np.ceil((fires & true & here).sum() / (true & here).sum() * (true & here).sum()))
        order = np.argsort(-values[here], kind="stable")
        rank = np.flatnonzero(np.cumsum(true[here][order]) == needed)[0]
        return float(needed / (rank + 1))

    rivals = {
        f"{sign}{site}/{i}": (precision(signed, 0), precision(signed, 1))
        for site, values in neurons.items()
        for i in range(values.shape[1])
        for sign, signed in (("", values[:, i]), ("-", -values[:, i]))
    }
    best = max(rivals, key=lambda name: rivals[name][0])
    assert found.neuron == best == "-L0.mlp/4"
    assert found.neuron_precision == pytest.approx(rivals[best][1])
    assert found.precision > found.neuron_precision > 0.2


def test_controls_are_near_chance(made) -> None:  # type: ignore[no-untyped-def]
    grids, neurons, concepts, half = made
    found = {c.name: c for c in concept_codes(grids, SITES, neurons, concepts, half, seed=0)}
    assert found["concept"].shuffled_precision == pytest.approx(0.15, abs=0.08)
    assert found["concept"].random_precision < found["concept"].precision - 0.3
