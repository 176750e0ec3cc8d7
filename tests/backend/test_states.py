"""State codes and their baselines against counting by hand."""

import numpy as np
import pytest

from backend.analysis.states import jensen_shannon, neuron_precision, purity, state_codes, wrong_code_precision


def test_precision_and_recall_are_counted_over_all_positions_of_the_other_half():
    truth = np.array([0, 1, -1, 0, 1, -1, 0, 0, 1, -1])
    codes = np.array([5, 6, 7, 5, 6, 7, 5, 4, 6, 5])[:, None]
    half = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    found = state_codes(codes, truth, half, 8, 2)
    assert found.owner.tolist() == [-1, -1, -1, -1, -1, 0, 1, -1]  # 7 fires on no state, 4 never on half 0
    assert found.precision.tolist() == [0.5, 1.0]  # code 5 also fires at the last position, where no state is read
    assert found.recall.tolist() == [0.5, 1.0]  # the reading by code 4 is lost
    assert found.main.tolist() == [[5], [6]]
    assert found.count.tolist() == [2, 1]


def test_several_codes_of_a_state_count_together_and_a_position_once():
    truth = np.array([0, 0, 0, 1, 0, 0, 0, 1])
    codes = np.array([[1, 2], [1, 3], [2, 3], [4, 5], [1, 2], [1, 3], [0, 5], [4, 1]])
    half = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    found = state_codes(codes, truth, half, 6, 2)
    assert found.owner.tolist() == [-1, 0, 0, 0, 1, 1]
    assert found.recall.tolist() == [2 / 3, 1.0]
    assert found.precision.tolist() == [2 / 3, 1 / 2]
    assert found.single_recall.tolist() == [2 / 3, 1.0]
    assert found.single_precision.tolist() == [2 / 3, 1.0]


def test_random_numbers_agree_with_a_slow_count():
    rng = np.random.default_rng(0)
    truth = rng.integers(-1, 6, 500)
    codes = np.stack([rng.permutation(20)[:2] for _ in range(500)])
    half = rng.integers(0, 2, 500)
    found = state_codes(codes, truth, half, 20, 6)
    for state in range(6):
        own = set(np.flatnonzero(found.owner == state))
        fires = [p for p in np.flatnonzero(half == 1) if own & set(codes[p])]
        right = sum(truth[p] == state for p in fires)
        assert found.precision[state] == pytest.approx(right / len(fires) if fires else 0)
        assert found.recall[state] == pytest.approx(right / ((truth == state) & (half == 1)).sum())


def test_the_best_neuron_is_held_to_the_same_recall():
    rng = np.random.default_rng(1)
    truth = rng.integers(-1, 4, 4000)
    half = np.arange(4000) % 2
    noise = rng.normal(size=(4000, 6))
    noise[:, 2] -= 100 * (truth == 3)  # a perfect neuron for state 3, of negative sign
    noise[:, 4] += 1.5 * (truth == 1)
    recall = np.array([0.9, 0.5, 0.0, 0.95])
    precision = neuron_precision(noise, truth, half, recall, 4)
    assert precision[3] == 1.0 and precision[2] == 0.0
    values = noise[half == 1][:, 4]
    hits = truth[half == 1] == 1
    needed = int(np.ceil(0.5 * hits.sum()))
    threshold = np.sort(values[hits])[::-1][needed - 1]
    assert precision[1] == pytest.approx(needed / (values >= threshold).sum())
    assert precision[0] < 0.5


def test_controls_are_near_chance():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 10, 5000)
    codes = truth[:, None].copy()
    main = np.arange(10)
    assert wrong_code_precision(codes, truth, main, "shuffled", rng) == 0.0
    assert wrong_code_precision(codes, truth, main, "random", rng) < 0.5


def test_purity_counts_codes_of_one_group_only():
    codes = np.array([1, 1, 2, 2, 3, 4, 4])[:, None]
    groups = np.array([0, 0, 0, 1, 1, 2, -1])
    assert purity(codes, groups, 5) == (0.5, 2)  # 3 fires once, 4 once with a group


def test_jensen_shannon_is_zero_for_equal_and_ln_2_for_disjoint():
    p = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    q = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    assert jensen_shannon(p, q) == pytest.approx([0.0, np.log(2)])
