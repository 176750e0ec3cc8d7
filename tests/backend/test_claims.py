"""Nothing is claimed of a code below a floor, few cases are worth little, and no code is the control of its twin."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pytest

from app.search import concepts as page
from backend.analysis.claims import MIN_PRECISION, MIN_TESTED, is_good, objection, worth
from backend.analysis.intervals import wilson
from backend.explorer import Explorer
from backend.questions import controls
from tests.backend import tiny_store
from tests.backend.tiny_store import MODEL, SITES, Truth


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """300 items; a third field says of every "der" and "Der", at which a code was planted, what they have in common."""
    made = tiny_store.make(tmp_path_factory.mktemp("claims"), items=300)
    with duckdb.connect(str(made.path)) as db:
        db.execute("INSERT INTO fields VALUES (2, 'article')")
        there = [[t[0]] for t in made.tokens if t[5].lower() == "der"]
        db.executemany("INSERT INTO labels VALUES (2, 'der', ?)", there)
    return made


@pytest.fixture(scope="module")
def explorer(truth: Truth) -> Explorer:
    return Explorer(truth.data_dir)


def test_three_cases_of_three_are_worth_less_than_many_with_a_few_misses() -> None:
    hits, fires, matches = (
        np.array([3, 90, 300, 18, 0]),
        np.array([3, 100, 300, 1000, 9]),
        np.array([3, 200, 900, 18, 9]),
    )
    score = worth(hits, fires, matches)
    assert score[2] > score[1] > score[0] > score[3] > score[4] == 0
    low = [float(wilson(np.array(90), np.array(n))[0]) for n in (100, 200)]
    assert score[1] == pytest.approx(1.25 * low[0] * low[1] / (0.25 * low[0] + low[1]))


def test_the_floor_asks_for_cases_and_for_most_of_them_and_says_what_is_missing() -> None:
    for hits, fires, good, says in (
        (3, 3, False, "fires 3 times"),
        (MIN_TESTED, MIN_TESTED, True, ""),
        (18, 1000, False, "18 of 1,000 held-out activations (1 to 3 %)"),
        (55, 100, False, "55 of 100"),
        (65, 100, True, ""),
        (0, 0, False, "fires 0 times"),
    ):
        assert bool(is_good(np.array(hits), np.array(fires))) == good
        assert objection(hits, fires).count(says) and bool(objection(hits, fires)) != good


def test_a_description_below_the_floor_is_said_not_to_be_one_and_is_never_claimed(
    truth: Truth, explorer: Explorer
) -> None:
    table = explorer.descriptions(MODEL, "L1.attn/h0")
    assert len(table) and not table["good"].all(), "codes drawn at random mean nothing"
    for row in table.to_dict("records"):
        one = explorer.describe(truth.ref("L1.attn/h0", row["code"]))
        assert one is not None
        assert (one.text, one.kind, one.n, one.good, one.objection) == tuple(
            row[k] for k in ("text", "kind", "n", "good", "objection")
        )
        assert one.precision == pytest.approx(row["precision"], nan_ok=True)
        assert one.good == (one.n >= MIN_TESTED and one.low >= MIN_PRECISION) and bool(one.objection) != one.good
        assert ("Fires on" in page.description(one)) == one.good
        assert ("No good description" in page.description(one)) != one.good
    planted = explorer.describe(truth.ref("L0.mlp", 11))
    assert planted is not None and planted.good and planted.objection == ""
    shown = page.descriptions_table(explorer.descriptions(MODEL, "L0.mlp"), MODEL, "L0.mlp", {})
    assert "no good description; best: " in shown and shown.index(">11<") < shown.index("no good description")


def test_the_description_is_the_one_that_is_worth_most_on_half_0(truth: Truth, explorer: Explorer) -> None:
    half_0 = truth.half_of == 0
    for code in (0, 1, 11):
        fires = np.intersect1d(truth.fires("L0.mlp", code), np.flatnonzero(half_0))
        best = 0.0
        for word in {t[5] for t in truth.tokens}:
            where = np.array([t[0] for t in truth.tokens if t[5] == word])
            there = where[half_0[where]]
            hits = len(np.intersect1d(fires, there))
            if hits >= 5 and hits / len(fires) >= 2 * len(there) / half_0.sum():
                best = max(best, float(worth(np.array(hits), np.array(len(fires)), np.array(len(there)))))
        found = explorer.describe(truth.ref("L0.mlp", code))
        if best:
            assert found is not None
        if found is not None and found.kind in ("token", "label") and found.field in ("", "word"):
            where = np.array([t[0] for t in truth.tokens if t[5] == found.value])
            there = where[half_0[where]]
            own = worth(np.array(len(np.intersect1d(fires, there))), np.array(len(fires)), np.array(len(there)))
            assert float(own) >= best


def twins(tmp_path, items: int = 300) -> Truth:
    """A store in which codes 0 and 1 of a codebook of three slots always fire together."""
    truth = tiny_store.make(tmp_path, items=items)
    site, number, size = "L1.attn/h0", 1, 30
    grid = truth.grids[site]
    both = (grid == 0).any(1) | (grid == 1).any(1)
    grid[both, 0], grid[both, 1] = 0, 1
    grid[:, 2][np.isin(grid[:, 2], (0, 1))] = -1
    with duckdb.connect(str(truth.path)) as db:
        db.execute("DELETE FROM postings WHERE site_id = ?", [number])
        db.execute("DELETE FROM grid WHERE site_id = ?", [number])
        place, slot = np.nonzero(grid >= 0)
        rows = sorted((number, int(grid[p, s]), int(p), int(s), 1.0, 0.5) for p, s in zip(place, slot, strict=True))
        db.executemany("INSERT INTO postings VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.executemany(
            "INSERT INTO grid VALUES (?, ?, ?, ?, ?, ?, 1)", sorted((p, i, s, c, a, b) for i, c, p, s, a, b in rows)
        )
        counts = [(int((grid == code).any(1).sum()), number, code) for code in range(size)]
        db.executemany("UPDATE codes SET count = ? WHERE site_id = ? AND code = ?", counts)
    return truth


def test_codes_that_fire_together_are_never_each_other_s_control(tmp_path) -> None:
    truth = twins(tmp_path)
    reader = Explorer(tmp_path).reader(MODEL)
    site = "L1.attn/h0"
    assert np.array_equal(truth.fires(site, 0), truth.fires(site, 1))
    for seed in range(20):
        first, second = (
            controls.controls_of(reader, truth.ref(site, 0), seed),
            controls.controls_of(reader, truth.ref(site, 1), seed),
        )
        for drawn in (first, second):
            assert len(drawn) == len(set(drawn)) == controls.CONTROLS
            assert all(one.site == site and one.code > 1 and len(truth.fires(site, one.code)) for one in drawn)
    table = Explorer(tmp_path).concepts(MODEL, min_support=1)
    of_twin = table[table["ref"].isin([truth.ref(site, 0), truth.ref(site, 1)])]
    named = of_twin["control"].str.split().explode()
    assert not named.isin([str(truth.ref(site, 0)), str(truth.ref(site, 1))]).any()


def test_the_controls_of_a_code_are_the_same_on_every_page(truth: Truth, explorer: Explorer) -> None:
    drawn = controls.controls_of(explorer.reader(MODEL), truth.ref("L0.mlp", 11))
    assert len(drawn) == 8 and truth.ref("L0.mlp", 11) not in drawn
    names = " ".join(map(str, drawn))
    searched = explorer.search(MODEL, "[dD]er").codes
    assert searched.loc[searched["code"] == 11, "control"].iloc[0] == names
    concepts = explorer.concepts(MODEL, "word", min_support=3)
    row = concepts[concepts["value"] == "der"].iloc[0]
    assert row["control"] == names
    described = explorer.describe(truth.ref("L0.mlp", 11))
    assert described is not None and described.controls == 8 and described.text == "article = der"
    held_out = truth.half_of == 1
    reached = []
    for ref in drawn:
        fires = [p for p in truth.fires("L0.mlp", ref.code) if held_out[p]]
        reached.append(sum(truth.tokens[p][5].lower() == "der" for p in fires) / len(fires))
    assert described.control == pytest.approx(np.mean(reached))
    assert (described.control_low, described.control_high) == (min(reached), max(reached))
    assert row["control_high"] >= row["control_precision"] >= row["control_low"] >= 0


def test_a_codebook_of_one_live_code_has_no_control(tmp_path) -> None:
    truth = tiny_store.make(tmp_path)
    with duckdb.connect(str(truth.path)) as db:
        for table in ("postings", "grid"):
            db.execute(f"DELETE FROM {table} WHERE site_id = 2 AND code > 0")
    explorer = Explorer(tmp_path)
    found = explorer.search(MODEL, "a", sites=["L1.mlp"], min_support=1).codes
    assert found["control"].tolist() == [""] and found["controls"].tolist() == [0]
    assert found[["control_precision", "control_low", "control_high", "control_recall"]].isna().all().all()


def test_the_first_look_is_the_code_that_says_most_beyond_the_token_under_it(tmp_path) -> None:
    """Code 11 of L0.mlp says the token; one of L1.mlp is made to say what no token says."""
    truth = tiny_store.make(tmp_path, items=300)
    grid = truth.grids["L1.mlp"]
    of_item = np.repeat(np.arange(300), truth.lengths)
    topic = of_item % 5 == 0
    grid[topic, 0] = 8
    with duckdb.connect(str(truth.path)) as db:
        positions = np.flatnonzero(topic).tolist()
        for table in ("postings", "grid"):
            db.execute(f"UPDATE {table} SET code = 8 WHERE site_id = 2 AND pos IN (SELECT unnest(?))", [positions])
        db.execute("INSERT INTO fields VALUES (2, 'topic')")
        db.executemany("INSERT INTO labels VALUES (2, 'sea', ?)", [[p] for p in positions])
    explorer = Explorer(tmp_path)
    assert explorer.concepts(MODEL)["value"].isin(["der", "sea"]).sum() >= 2
    found = explorer.first_look(MODEL)
    assert (found.site, found.code, found.text, found.kind) == ("L1.mlp", 8, "topic = sea", "label")
    tested = int((truth.half_of[positions] == 1).sum())
    assert (found.precision, found.recall, found.n) == (1.0, 1.0, tested)


def test_without_labels_the_first_look_shows_a_code_of_few_tokens(tmp_path) -> None:
    truth = tiny_store.make(tmp_path, items=300)
    with duckdb.connect(str(truth.path)) as db:
        for table in ("labels", "fields"):
            db.execute(f"DELETE FROM {table}")
        db.execute("UPDATE codes SET entropy = code")
    found = Explorer(tmp_path).first_look(MODEL)
    fires = truth.fires(found.site, found.code)
    words = [truth.tokens[p][5] for p in fires]
    top = max(set(words), key=lambda word: (words.count(word), [-ord(c) for c in word]))
    assert (found.kind, found.text, found.n) == ("token", repr(top), len(fires))
    assert found.precision == pytest.approx(words.count(top) / len(words))


def test_every_live_code_of_texts_has_a_name(truth: Truth, explorer: Explorer) -> None:
    for site, size, _ in SITES:
        names = explorer.code_names(MODEL, site).set_index("code")
        assert set(names.index) == {code for code in range(size) if len(truth.fires(site, code))}
        described = explorer.descriptions(MODEL, site).set_index("code")
        for code, row in names.iterrows():
            if row["kind"] == "most":
                words = [truth.tokens[p][5] for p in truth.fires(site, int(code))]
                assert words.count(eval(row["name"])) == max(map(words.count, words))
                assert code not in described.index or not described.loc[code, "good"]
            else:
                assert described.loc[code, "good"] and row["name"] == described.loc[code, "text"]
    assert json.dumps(explorer.code_names(MODEL, "L0.mlp")["name"].tolist())
