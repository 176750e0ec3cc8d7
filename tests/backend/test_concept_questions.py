"""Concepts, descriptions and topics against what the store was made from, counted here in another way."""

from __future__ import annotations

import json
import math

import duckdb
import numpy as np
import pytest

from backend.errors import BadInput
from backend.explorer import Explorer
from tests.backend import tiny_store
from tests.backend.tiny_store import MODEL, SITES, Truth


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """150 items, tagged by whether their number is even, and by the number itself."""
    made = tiny_store.make(tmp_path_factory.mktemp("concepts"), items=150)
    with duckdb.connect(str(made.path)) as db:
        tags = [(json.dumps({"parity": "even" if i % 2 == 0 else "odd", "n": str(i)}), i) for i in range(150)]
        db.executemany("UPDATE items SET tags = ? WHERE item = ?", tags)
    return made


@pytest.fixture(scope="module")
def explorer(truth: Truth) -> Explorer:
    return Explorer(truth.data_dir)


def counted(truth: Truth, half: int, where: set[int]) -> dict[tuple[str, int], tuple[int, int]]:
    """(site, code) -> activations on a half at some positions, and in all."""
    found = {}
    for site, size, _ in SITES:
        for code in range(size):
            fires = {int(p) for p in truth.fires(site, code) if truth.half_of[p] == half}
            found[site, code] = (len(fires & where), len(fires))
    return found


def test_the_best_code_of_every_concept_is_chosen_on_one_half_and_measured_on_the_other(
    truth: Truth, explorer: Explorer
) -> None:
    found = explorer.concepts(MODEL, "word", min_support=3)
    assert len(found) > 5 and set(found["field"]) == {"word"}
    for row in found.to_dict("records"):
        where = {p for f, v, p in truth.labels if (f, v) == ("word", row["value"])}
        chosen = counted(truth, 0, where)
        matches = sum(truth.half_of[p] == 0 for p in where)
        f1 = {key: 2 * hits / max(1, count + matches) for key, (hits, count) in chosen.items()}
        assert f1[row["site"], row["code"]] == max(f1.values())
        hits, count = counted(truth, 1, where)[row["site"], row["code"]]
        there = sum(truth.half_of[p] == 1 for p in where)
        assert (row["hits"], row["count"], row["matches"]) == (hits, count, there)
        assert row["precision"] == pytest.approx(hits / count if count else math.nan, nan_ok=True)
        assert row["recall"] == pytest.approx(hits / there)
        assert row["recall_low"] <= row["recall"] <= row["recall_high"]
    assert found.set_index("value").loc["der", ["site", "code"]].tolist() == ["L0.mlp", 11]


def test_rare_values_are_left_out_and_all_fields_are_asked_by_default(truth: Truth, explorer: Explorer) -> None:
    everything = explorer.concepts(MODEL, min_support=1)
    assert set(everything["field"]) == {"even", "word"}
    few = explorer.concepts(MODEL, min_support=30)
    assert 0 < len(few) < len(everything)
    assert (few["matches"] >= 30).all()
    assert explorer.concepts(MODEL, min_support=10**6).empty
    rivals = explorer.concepts(MODEL, "word", min_support=3, neurons=True).set_index("value")
    assert rivals.loc["der", "neuron"] == "L0.mlp/3", "the neuron that was made for it"
    for support in (0, -1):
        with pytest.raises(BadInput):
            explorer.concepts(MODEL, min_support=support)
    with pytest.raises(BadInput, match="no label field"):
        explorer.concepts(MODEL, "colour")


def test_a_planted_code_is_described_and_its_controls_are_not(truth: Truth, explorer: Explorer) -> None:
    found = explorer.describe(truth.ref("L0.mlp", 11))
    assert found is not None and found.held_out
    assert found.kind in ("label", "token") and found.value.lower() == "der"
    fires = [p for p in truth.fires("L0.mlp", 11) if truth.half_of[p] == 1]
    true = [p for p in fires if truth.tokens[p][5] == found.value]
    assert (found.hits, found.n) == (len(true), len(fires))
    assert found.precision == pytest.approx(len(true) / len(fires))
    matching = [t for t in truth.tokens if t[5] == found.value and truth.half_of[t[0]] == 1]
    assert found.matches == len(matching) and found.recall == pytest.approx(len(true) / len(matching))
    assert found.chance == pytest.approx(len(matching) / (truth.half_of == 1).sum())
    assert found.low < found.precision < found.high
    assert found.precision > 3 * found.chance and not found.control > found.precision / 2
    assert not found.shuffled > found.precision / 2


def test_what_says_nothing_is_no_description(truth: Truth, explorer: Explorer) -> None:
    assert explorer.describe(truth.ref("L0.mlp", 10)) is None, "a dead code"
    table = explorer.descriptions(MODEL, "L0.mlp").set_index("code")
    assert "even = True" not in set(table["text"]), "half of all positions"
    one = explorer.describe(truth.ref("L0.mlp", 11))
    assert one is not None
    assert table.loc[11, ["text", "precision", "n"]].tolist() == [one.text, one.precision, one.n]


def test_codes_of_a_passage_have_their_shares(truth: Truth, explorer: Explorer) -> None:
    item = int(np.argmax(truth.lengths))
    first = int(truth.lengths[:item].sum())
    for start, stop in ((0, None), (2, 7)):
        last = truth.lengths[item] if stop is None else stop
        places = range(first + start, first + last)
        found = explorer.passage_codes(MODEL, item, start, stop, n=1000)
        expected = {}
        for site, size, _ in SITES:
            for code in range(size):
                fires = truth.fires(site, code)
                if here := int(np.isin(fires, places).sum()):
                    lift = here / len(places) / (len(fires) / len(truth.tokens))
                    expected[truth.ref(site, code)] = (here / len(places), pytest.approx(lift))
        rows = zip(found["ref"], found["share"], found["lift"], strict=True)
        assert {ref: (share, lift) for ref, share, lift in rows} == expected
        bits = [round(share * len(places)) * math.log2(lift) for share, lift in found[["share", "lift"]].to_numpy()]
        assert found["bits"].tolist() == pytest.approx(bits) and found["bits"].is_monotonic_decreasing
    of_item = np.repeat(np.arange(150), truth.lengths)
    row = found.iloc[0]
    fires = truth.fires(row["site"], row["ref"].code)
    parity = of_item[fires] % 2 == item % 2
    assert row["tag"] == f"parity = {'even' if item % 2 == 0 else 'odd'}", "a tag of one item alone is no topic"
    assert row["tag_precision"] == pytest.approx(parity.mean())
    assert row["tag_share"] == pytest.approx((of_item % 2 == item % 2).mean())
    for start, stop in ((0, 0), (-1, 2), (0, 99), (5, 3)):
        with pytest.raises(BadInput):
            explorer.passage_codes(MODEL, item, start, stop)
    with pytest.raises(BadInput):
        explorer.passage_codes(MODEL, 150)


def test_passages_of_a_code_come_most_covered_first_with_their_firing_tokens(truth: Truth, explorer: Explorer) -> None:
    ref = truth.ref("L1.mlp", 2)
    per_item = np.bincount(np.repeat(np.arange(150), truth.lengths)[truth.fires("L1.mlp", 2)], minlength=150)
    share = per_item / truth.lengths
    found = explorer.covered_passages(ref, 0.3, n=100)
    expected = sorted((i for i in range(150) if share[i] >= 0.3), key=lambda i: (-share[i], i))
    assert found.table["item"].tolist() == expected and (found.items, found.total) == (len(expected), 150)
    for passage, item in zip(found.passages, found.table["item"], strict=True):
        tokens = [passage.token, *passage.after]
        assert [t.fires for t in tokens].count(True) == per_item[item] and len(tokens) == truth.lengths[item]
    short = explorer.covered_passages(ref, 0.0, n=5, cap=2).passages
    assert len(short) == 5 and all(len(one.after) <= 1 for one in short)
    assert explorer.covered_passages(truth.ref("L0.mlp", 10)).table.empty


def test_the_next_topic_is_the_next_item_that_a_rare_code_covers(truth: Truth, explorer: Explorer) -> None:
    of_item = np.repeat(np.arange(150), truth.lengths)
    share: dict[int, float] = {}
    for site, size, _ in SITES:
        for code in range(size):
            fires = truth.fires(site, code)
            usual = len(fires) / len(truth.tokens)
            part = np.bincount(of_item[fires], minlength=150) / truth.lengths
            for item in np.flatnonzero((part > 0) & (part >= 3 * usual)):
                share[int(item)] = max(share.get(int(item), 0.0), float(part[item]))
    topical = sorted(item for item, best in share.items() if best > 0.5)
    assert topical
    seen, at = [], -1
    for _ in topical:
        found = explorer.next_topic(MODEL, at)
        assert found is not None and found.share == pytest.approx(share[found.item]) and found.lift >= 3
        seen.append(at := found.item)
    assert seen == topical
    again = explorer.next_topic(MODEL, 149)
    assert again is not None and again.item == topical[0], "from the start again"
    with pytest.raises(BadInput):
        explorer.next_topic(MODEL, 0, 1.0)


@pytest.mark.parametrize("step", [-1, 1, 3])
def test_codes_beside_a_code_are_counted_within_items(truth: Truth, explorer: Explorer, step: int) -> None:
    item = np.repeat(np.arange(150), truth.lengths)
    mine = truth.fires("L1.attn/h0", 1)
    there = [p + step for p in mine if 0 <= p + step < len(item) and item[p + step] == item[p]]
    expected = {}
    for site, size, _ in SITES:
        for code in range(size):
            fires = truth.fires(site, code)
            both = int(np.isin(fires, there).sum())
            if both >= 5:
                pmi = math.log2(both / len(there) / (len(fires) / len(item)))
                expected[truth.ref(site, code)] = (both, pytest.approx(pmi))
    found = explorer.beside(truth.ref("L1.attn/h0", 1), step, n=1000)
    assert dict(zip(found["ref"], zip(found["together"], found["pmi"], strict=True), strict=True)) == expected
    assert found["pmi"].is_monotonic_decreasing
    with pytest.raises(BadInput):
        explorer.beside(truth.ref("L1.attn/h0", 1), 0)
